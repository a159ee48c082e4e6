// SPDX-License-Identifier: Apache-2.0
// run: a command to its end in a container of its own, of which nothing is left.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "base/files.h"
#include "engine/fixture.h"

namespace ctrd::engine {
namespace {

class RunTest : public RuntimeTest {};
CTRD_EACH_RUNTIME(RunTest);

TEST_P(RunTest, BothStreamsAndTheStatus) {
  RunResult result = run(shell("echo out; echo err >&2; exit 3"));
  EXPECT_EQ(result.out, "out\n");
  EXPECT_EQ(result.err, "err\n");
  EXPECT_EQ(result.exit.status, 3);
  EXPECT_FALSE(result.truncated);
  EXPECT_EQ(result.args,
            (std::vector<std::string>{"/bin/sh", "-c", "echo out; echo err >&2; exit 3"}));
  EXPECT_FALSE(result.container_id.empty());
  EXPECT_GT(result.exit.exited_ns, result.exit.started_ns);
  EXPECT_TRUE(engine().list(kNs, {}, soon()).empty());
}

TEST_P(RunTest, InputGoesInAndMuchComesOut) {
  RunOptions options;
  options.has_input = true;
  for (int i = 0; i < 1'000'000; ++i) options.input += "0123456789"[i % 10];
  RunResult result = run(this->options({"/bin/cat"}), options);
  EXPECT_EQ(result.out, options.input);
  RunOptions empty;
  empty.has_input = true;
  EXPECT_EQ(run(this->options({"/bin/cat"}), empty).out, "");
  EXPECT_EQ(run(this->options({"/bin/true"}), options).exit.status, 0);  // never read: no harm
}

TEST_P(RunTest, TenMebibytesOnEachStream) {
  constexpr std::size_t kSize = 10u << 20;
  RunResult result =
      run(shell("head -c 10485760 /dev/zero & head -c 10485760 /dev/zero >&2; wait"));
  EXPECT_EQ(result.out.size(), kSize);
  EXPECT_EQ(result.err.size(), kSize);
  EXPECT_EQ(result.exit.status, 0);
}

TEST_P(RunTest, AtItsTimeoutItIsKilledAndThenSaid) {
  RunOptions options;
  options.timeout_ns = 300'000'000;
  RunResult partial;
  Error error(Code::kOk, "");
  EXPECT_EQ(
      code_of(
          [&] { engine().run(kNs, shell("echo begun; sleep 1000"), options, soon(), &partial); },
          &error),
      Code::kDeadlineExceeded);
  EXPECT_EQ(error.find("timed_out"), "true");
  EXPECT_EQ(partial.out, "begun\n");
  EXPECT_EQ(partial.exit.status, 137);
  EXPECT_TRUE(partial.exit.timed_out);
  EXPECT_TRUE(engine().list(kNs, {}, soon()).empty());
}

TEST_P(RunTest, AnInterruptionEndsEverythingFirst) {
  struct Interrupted {};
  for (int after : {1, 2, 3, 5, 8, 12, 20}) {
    int asked = 0;
    Wait wait = soon();
    wait.interrupted = [&] {
      if (++asked == after) throw Interrupted();
    };
    RunResult partial;
    EXPECT_THROW(engine().run(kNs, shell("echo begun; sleep 1000"), {}, wait, &partial),
                 Interrupted);
    EXPECT_TRUE(engine().list(kNs, {}, soon()).empty());
  }
}

TEST_P(RunTest, ATakenIdIsRefusedAndReplaceTakesIt) {
  CreateOptions options = shell("echo ran");
  options.id = "c";
  engine().create(kNs, options, soon());
  Error error(Code::kOk, "");
  EXPECT_EQ(code_of([&] { run(options); }, &error), Code::kAlreadyExists);
  EXPECT_EQ(error.kind(), Kind::kContainer);
  EXPECT_TRUE(engine().contains(kNs, "c", soon()));
  options.replace = true;
  EXPECT_EQ(run(options).out, "ran\n");
  EXPECT_FALSE(engine().contains(kNs, "c", soon()));
}

TEST_P(RunTest, AMissingProgramIsNotFoundAndLeavesNothing) {
  Error error(Code::kOk, "");
  EXPECT_EQ(code_of([&] { run(options({"/bin/nosuch"})); }, &error), Code::kNotFound)
      << error.message();
  EXPECT_EQ(code_of([&] { run(options({"/etc/passwd"})); }, &error), Code::kPermissionDenied)
      << error.message();
  EXPECT_TRUE(engine().list(kNs, {}, soon()).empty());
}

class RunOnce : public EngineTest {
 protected:
  std::pair<UniqueFd, UniqueFd> pipe() {
    int fds[2];
    EXPECT_EQ(::pipe2(fds, O_CLOEXEC), 0);
    return {UniqueFd(fds[0]), UniqueFd(fds[1])};
  }
};

TEST_F(RunOnce, WhatIsBeyondTheLimitIsReadAndThrownAway) {
  RunOptions options;
  options.max_output = 5;
  RunResult result = run(shell("echo 0123456789; echo ab >&2; exit 2"), options);
  EXPECT_EQ(result.out, "01234");
  EXPECT_EQ(result.err, "ab\n");
  EXPECT_TRUE(result.truncated);
  EXPECT_EQ(result.exit.status, 2);
}

TEST_F(RunOnce, StderrMergesIntoStdout) {
  RunOptions options;
  options.err = RunOptions::Sink::kStdout;
  EXPECT_EQ(run(shell("echo a; echo b >&2; echo c"), options).out, "a\nb\nc\n");
}

TEST_F(RunOnce, NothingIsCapturedFromDevnull) {
  RunOptions options;
  options.out = options.err = RunOptions::Sink::kDevnull;
  RunResult result = run(shell("echo a; echo b >&2; exit 4"), options);
  EXPECT_EQ(result.out + result.err, "");
  EXPECT_EQ(result.exit.status, 4);
}

TEST_F(RunOnce, OutputGoesToADescriptorAndToAFunction) {
  auto [reader, writer] = pipe();
  std::string called;
  RunOptions options;
  options.out = RunOptions::Sink::kFd;
  options.out_fd = writer.get();
  options.err = RunOptions::Sink::kCall;
  options.write = [&](int stream, std::string_view data) {
    EXPECT_EQ(stream, 2);
    called += data;
  };
  run(shell("echo out; echo err >&2"), options);
  writer.reset();
  char buffer[64];
  ssize_t got = ::read(reader.get(), buffer, sizeof buffer);
  EXPECT_EQ(std::string(buffer, static_cast<std::size_t>(got)), "out\n");
  EXPECT_EQ(called, "err\n");
}

TEST_F(RunOnce, ADescriptorThatTakesNoMoreHarmsNobody) {
  auto [reader, writer] = pipe();
  reader.reset();
  RunOptions options;
  options.out = RunOptions::Sink::kFd;
  options.out_fd = writer.get();
  EXPECT_EQ(run(shell("head -c 1000000 /dev/zero; exit 6"), options).exit.status, 6);
}

TEST_F(RunOnce, WhatTheFunctionThrowsEndsTheRun) {
  struct Enough {};
  RunOptions options;
  options.out = RunOptions::Sink::kCall;
  options.write = [](int, std::string_view) { throw Enough(); };
  EXPECT_THROW(run(shell("echo a; sleep 1000"), options), Enough);
  EXPECT_TRUE(engine().list(kNs, {}, soon()).empty());
}

TEST_F(RunOnce, ASlowProgramsOutputComesAsItIsWritten) {
  struct Seen {};
  RunOptions options;
  options.out = RunOptions::Sink::kCall;
  std::string seen;
  options.write = [&](int, std::string_view data) {
    seen += data;
    if (seen == "1\n2\n") throw Seen();
  };
  EXPECT_THROW(run(shell("echo 1; sleep 0.1; echo 2; sleep 1000"), options), Seen);
}

TEST_F(RunOnce, AShimThatDiesIsAnExitToo) {
  CreateOptions options = shell("echo up; sleep 1000");
  options.id = "c";
  RunOptions to;
  to.out = RunOptions::Sink::kCall;
  to.write = [&](int, std::string_view) { ::kill(shim_pid("c"), SIGKILL); };
  RunResult result = engine().run(kNs, options, to, soon(), nullptr);
  EXPECT_EQ(result.exit.status, 137);
  EXPECT_EQ(result.exit.lost, Lost::kShim);
}

TEST_F(RunOnce, BadOptionsAreRefusedBeforeAnythingIsMade) {
  RunOptions options;
  options.out = RunOptions::Sink::kStdout;
  EXPECT_EQ(code_of([&] { run(shell("true"), options); }), Code::kInvalidArgument);
  CreateOptions bad = shell("true");
  bad.spec.args.clear();
  EXPECT_EQ(code_of([&] { run(bad); }), Code::kInvalidArgument);
}

}  // namespace
}  // namespace ctrd::engine
