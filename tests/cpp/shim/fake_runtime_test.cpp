// SPDX-License-Identifier: Apache-2.0
// Runtimes that misbehave: shell scripts in the place of crun. In-process where a deadline must be
// short.
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <boost/asio/co_spawn.hpp>
#include <csignal>
#include <filesystem>

#include "base/cgroup.h"
#include "base/files.h"
#include "base/process.h"
#include "shim/harness.h"
#include "shim/signals.h"
#include "shim/task.h"

namespace ctrd::shim {
namespace {

// $pidfile is what create was told; verbs other than create do `other`.
std::string script(const Harness& h, const std::string& on_create,
                   const std::string& other = "exit 0") {
  std::string path = h.dir + "/runtime";
  std::string text =
      "#!/bin/busybox sh\n"
      "verb=; pidfile=; log=; previous=\n"
      "for arg in \"$@\"; do\n"
      "  case $previous in --pid-file) pidfile=$arg;; --log) log=$arg;; esac\n"
      "  case $arg in create|start|delete|kill) [ -z \"$verb\" ] && verb=$arg;; esac\n"
      "  previous=$arg\n"
      "done\n"
      "if [ \"$verb\" = create ]; then\n" +
      on_create + "\nelse\n" + other + "\nfi\n";
  replace_file_at(open_dir(h.dir).get(), "runtime", text, 0755, false);
  return path;
}

// The error of Create under the real shim with this runtime; then the real one must still work.
Error error_with(const std::string& on_create) {
  Harness h(find_program("crun").value());
  h.configure({"/bin/true"});
  h.stdout_path = h.stderr_path = api::kLogPath;
  h.options.binary_name = script(h, on_create);
  h.spawn();
  Error error = error_of([&] { h.create(); });
  EXPECT_EQ(error_of([&] { h.state(); }).code(), Code::kNotFound);
  EXPECT_FALSE(std::filesystem::exists(h.options.log_dir));
  h.options.binary_name = h.runtime;
  h.create();
  h.start();
  EXPECT_EQ(h.wait().exit_status, 0U);
  h.remove_and_leave();
  return error;
}

void expect_runtime_failed(const Error& error, const std::string& words) {
  EXPECT_EQ(error.code(), Code::kInternal) << error.message();
  EXPECT_EQ(error.kind(), Kind::kRuntime) << error.message();
  EXPECT_NE(error.message().find(words), std::string::npos) << error.message();
}

TEST(FakeRuntime, WithoutPidFile) {
  expect_runtime_failed(error_with("exit 0"), "without a pid file");
}

TEST(FakeRuntime, GarbageInPidFile) {
  expect_runtime_failed(error_with("echo -n '12x' > $pidfile"), "12x");
  expect_runtime_failed(error_with("echo -n '-1' > $pidfile"), "-1");
  expect_runtime_failed(error_with("echo -n 99999999999999999999 > $pidfile"), "no pid");
  expect_runtime_failed(error_with("head -c 100 /dev/zero > $pidfile"), "");
}

TEST(FakeRuntime, PidOfSomebodyElse) {
  expect_runtime_failed(error_with("echo -n 1 > $pidfile"), "no child");
  EXPECT_TRUE(start_time(1));
}

TEST(FakeRuntime, KilledBySignal) { expect_runtime_failed(error_with("kill -9 $$"), ""); }

TEST(FakeRuntime, ItsLogHasTheWords) {
  expect_runtime_failed(
      error_with(
          "echo '{\"level\":\"error\",\"msg\":\"the disk is made of cheese\"}' > $log; exit 1"),
      "made of cheese");
}

TEST(FakeRuntime, TenMegabytesOnBothStreams) {
  expect_runtime_failed(error_with("yes | head -c 10000000; yes | head -c 10000000 >&2; exit 1"),
                        "");
}

TEST(FakeRuntime, LeavesChildrenBehind) {
  Error error = error_with("sleep 1000 >/dev/null 2>&1 & sleep 1000 & exit 1");
  expect_runtime_failed(error, "");
}

// A task in this process, with short limits.
class InProcess {
 public:
  explicit InProcess(Harness& h)
      : h_(h),
        task_(loop_, reaper_, Bundle(h.bundle, open_dir(h.bundle)), h.id,
              {.fifo = std::chrono::milliseconds(100),
               .kill = std::chrono::seconds(5),
               .verb = std::chrono::milliseconds(300)}) {
    shim::start(loop_, signals_.run([this] { reaper_.reap(); }, [] {}), "signals");
  }
  ~InProcess() {
    reap_the_killed();
    ::prctl(PR_SET_CHILD_SUBREAPER, 0);
    ::sigprocmask(SIG_SETMASK, &before_.mask, nullptr);
    std::signal(SIGPIPE, SIG_DFL);
  }
  // Throws what the work throws.
  template <typename T>
  T run(asio::awaitable<T> work) {
    std::optional<T> result;
    std::exception_ptr failure;
    asio::co_spawn(loop_, std::move(work), [&](std::exception_ptr error, T value) {
      failure = std::move(error);
      result = std::move(value);
      loop_.stop();
    });
    loop_.restart();
    loop_.run();
    if (failure) std::rethrow_exception(failure);
    return std::move(*result);
  }
  Task& task() { return task_; }

 private:
  struct Mask {
    sigset_t mask;
    Mask() {
      ::sigprocmask(SIG_SETMASK, nullptr, &mask);
      ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    }
  };
  // A killed runtime's own children become ours, and end some time after it; a shim's loop goes on
  // reaping.
  void reap_the_killed() {
    siginfo_t info{};
    Wait wait{after(std::chrono::seconds(10)), {}};
    while (!wait.expired() && ::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0) {
      reaper_.reap();
      poll_until({}, wait.within(std::chrono::milliseconds(1)));
    }
  }
  Harness& h_;
  Mask before_;
  asio::io_context loop_{1};
  Signals signals_{loop_};
  Reaper reaper_;
  Task task_;
};

TEST(FakeRuntime, ThatHangsIsKilledAtItsDeadline) {
  Harness h(find_program("crun").value());
  h.configure({"/bin/true"});
  h.options.binary_name = script(h, "sleep 1000");
  InProcess shim(h);
  Error error = error_of([&] { shim.run(shim.task().create(h.create_request(), kForever)); });
  EXPECT_EQ(error.code(), Code::kDeadlineExceeded) << error.message();
  EXPECT_FALSE(shim.task().exists());
}

TEST(FakeRuntime, ThatHangsInStartLeavesTheTaskCreated) {
  Harness h(find_program("crun").value());
  h.configure({"/bin/true"});
  h.options.binary_name =
      script(h, "sleep 1000 & echo -n $! > $pidfile", "[ $verb = start ] && sleep 1000; exit 0");
  InProcess shim(h);
  shim.run(shim.task().create(h.create_request(), kForever));
  EXPECT_EQ(error_of([&] { shim.run(shim.task().start()); }).code(), Code::kDeadlineExceeded);
  EXPECT_EQ(shim.task().state().status, api::Status::kCreated);
  EXPECT_EQ(shim.run(shim.task().remove()).status, 137U);
}

// The error of a Start whose runtime says this, when Create has made a process that sleeps.
Error start_error(const std::string& on_start) {
  Harness h(find_program("crun").value());
  h.configure({"/bin/true"});
  h.options.binary_name = script(h, "sleep 1000 & echo -n $! > $pidfile",
                                 "[ $verb = start ] || exit 0; cd " + h.dir + "; " + on_start);
  h.spawn();
  h.create();
  Error error = error_of([&] { h.start(); });
  EXPECT_EQ(h.state().status, api::Status::kCreated);
  std::string left = find_file_at(open_dir(h.dir).get(), "left").value_or("");
  if (!left.empty()) ::kill(std::stoi(left), SIGKILL);
  h.remove_and_leave();
  return error;
}

// When its log says nothing: within bounds, and whoever keeps it open is not waited for.
TEST(FakeRuntime, ItsStandardErrorHasTheWords) {
  expect_runtime_failed(start_error("echo made of cheese >&2; exit 3"), "status 3: made of cheese");
  std::string logs = "echo '{\"level\":\"error\",\"msg\":\"logged\"}' > $log; ";
  Error logged = start_error(logs + "echo cheese >&2; exit 3");
  expect_runtime_failed(logged, "status 3: logged");
  EXPECT_EQ(logged.message().find("cheese"), std::string::npos) << logged.message();
  Error much = start_error(
      "sleep 1000 & echo $! > left; yes | head -c 1000000 >&2; echo too late >&2; exit 3");
  expect_runtime_failed(much, "y\\x0ay");
  EXPECT_EQ(much.message().find("late"), std::string::npos) << much.message();
  EXPECT_LT(much.message().size(), 2000U);
}

// B8.
TEST(FakeRuntime, FifoWithoutReaderEndsAtTheDeadline) {
  Harness h(find_program("crun").value());
  h.configure({"/bin/true"});
  UniqueFd out = h.fifo("stdout");
  out.reset();
  InProcess shim(h);
  Error error = error_of([&] { shim.run(shim.task().create(h.create_request(), kForever)); });
  EXPECT_EQ(error.code(), Code::kDeadlineExceeded);
  EXPECT_NE(error.message().find(h.stdout_path), std::string::npos) << error.message();
}

}  // namespace
}  // namespace ctrd::shim
