// SPDX-License-Identifier: Apache-2.0
// Terminals of init and of execs, under the real shim with the real runtimes. shim-protocol.md 6.5.
#include <csignal>

#include "api/frame_log.h"
#include "base/error.h"
#include "base/files.h"
#include "shim/harness.h"

namespace ctrd::shim {
namespace {

class Terminal : public Runtimes {};
CTRD_EACH_RUNTIME(Terminal);

using oci::Json;

Json with_dev() {
  Json mounts = Json::array();
  mounts.push_back({{"destination", "/proc"}, {"type", "proc"}, {"source", "proc"}});
  mounts.push_back({{"destination", "/dev"}, {"type", "tmpfs"}, {"source", "tmpfs"}});
  mounts.push_back({{"destination", "/dev/pts"},
                    {"type", "devpts"},
                    {"source", "devpts"},
                    {"options", {"newinstance", "ptmxmode=0666", "mode=0620"}}});
  return {{"mounts", mounts}};
}

Json sized(int columns, int rows) {
  return {{"terminal", true}, {"consoleSize", {{"width", columns}, {"height", rows}}}};
}

Json terminal_config(int columns, int rows) {
  Json config = with_dev();
  config["process"] = sized(columns, rows);
  return config;
}

std::vector<std::string> sh(const std::string& script) { return {"/bin/sh", "-c", script}; }

// The size of an exec's terminal: crun 1.8 gives it while the program may be running already (stty
// ends with 0 also when there is none).
std::string say_size(const std::string& runtime) {
  if (!runtime.ends_with("crun")) return "stty size";
  return "size=; until [ \"$size\" ]; do size=$(stty size 2>/dev/null); done; echo $size";
}

// Until the text has `end` at its end.
std::string read_until(int fd, const std::string& end) {
  std::string text;
  char c = 0;
  while (!text.ends_with(end)) {
    wait_ready(fd, POLLIN, soon(), "reading a terminal");
    ssize_t n = ::read(fd, &c, 1);
    if (n == 0) break;
    if (n > 0) text += c;
  }
  return text;
}

TEST_P(Terminal, OfInit) {
  Harness h(runtime());
  h.terminal = true;
  UniqueFd out = h.fifo("stdout");
  h.configure(sh("stty size; [ -t 0 ] && [ -t 1 ] && [ -t 2 ] && tty; exit 3"),
              terminal_config(91, 37));
  h.spawn();
  h.create();
  EXPECT_TRUE(h.state().terminal);
  h.start();
  EXPECT_EQ(read_to_end(out.get()), "37 91\r\n/dev/pts/0\r\n");
  EXPECT_EQ(h.wait().exit_status, 3U);
  EXPECT_EQ(open_fds(h.shim.pid, "ptmx"), 0U);
  h.resize("", 1, 1);  // after the end: nothing to do
  h.remove_and_leave();
}

TEST_P(Terminal, SizeOfInitIsSetBeforeItsStart) {
  Harness h(runtime());
  h.terminal = true;
  UniqueFd out = h.fifo("stdout");
  h.configure(
      sh("stty size; trap 'stty size; exit 0' WINCH; echo on; while :; do sleep 0.02; done"),
      terminal_config(80, 24));
  h.spawn();
  h.create();
  h.resize("", 132, 43);
  h.start();
  EXPECT_EQ(read_until(out.get(), "on\r\n"), "43 132\r\non\r\n");
  h.resize("", 10, 20);
  EXPECT_EQ(read_to_end(out.get()), "20 10\r\n");
  for (auto [columns, rows] : {std::pair{0U, 1U}, {1U, 0U}, {65536U, 1U}, {1U, ~0U}})  // D8 83
    EXPECT_EQ(error_of([&] { h.resize("", columns, rows); }).code(), Code::kInvalidArgument);
  h.wait();
  h.remove_and_leave();
}

TEST_P(Terminal, TheLogHasItsOneStream) {
  Harness h(runtime());
  h.terminal = true;
  h.stdout_path = api::kLogPath;
  h.configure(sh("echo out; echo err >&2"), terminal_config(80, 24));
  h.spawn();
  h.create();
  h.start();
  h.wait();
  api::LogReader reader(open_dir(h.options.log_dir));
  std::string out;
  while (auto record = reader.next())
    if (record->stream == api::Stream::kStdout) out += record->data;
  EXPECT_EQ(out, "out\r\nerr\r\n");
  h.remove_and_leave();
}

TEST_P(Terminal, NobodyReads) {
  Harness h(runtime());
  h.terminal = true;
  h.configure(sh("yes | head -c 1000000"), terminal_config(80, 24));
  h.spawn();
  h.create();
  h.start();
  EXPECT_EQ(h.wait().exit_status, 0U);
  h.remove_and_leave();
}

TEST_P(Terminal, OfAnExec) {
  Harness h(runtime());
  h.run_sleeper(with_dev());
  Harness::Proc p = h.proc("e", sh(say_size(runtime()) + "; tty; yes | head -c 300000"), {"stdout"},
                           {{"consoleSize", {{"width", 71}, {"height", 17}}}});
  p.request.terminal = true;  // counts, whatever the process says
  h.add(p);
  EXPECT_TRUE(h.state("e").terminal);
  h.start("e");
  std::string text = read_to_end(p.out.get());
  EXPECT_EQ(text.substr(0, 19), "17 71\r\n/dev/pts/0\r\n");
  EXPECT_EQ(text.size(), 19U + 450000U);
  EXPECT_EQ(h.wait("e").status, 0U);
  EXPECT_EQ(error_of([&] { h.resize("e", 1, 1); }).code(), Code::kFailedPrecondition);
  h.remove("e");
  EXPECT_EQ(open_fds(h.shim.pid, "ptmx"), 0U);
  h.end();
}

TEST_P(Terminal, SizeOfAnExecIsRemembered) {
  Harness h(runtime());
  h.run_sleeper(with_dev());
  for (int round = 0; round < 3; ++round) {
    Harness::Proc p = h.proc("e", sh(say_size(runtime())), {"stdout"});
    p.request.terminal = true;
    h.add(p);
    h.resize("e", 20, 10);
    h.resize("e", 99, 33);
    h.start("e");
    EXPECT_EQ(read_to_end(p.out.get()), "33 99\r\n");
    h.wait("e");
    h.remove("e");
  }
  Harness::Proc none = h.proc("e", {"/bin/true"});
  h.add(none);
  h.resize("e", 0, 0);  // without a terminal there is nothing to do
  h.start("e");
  h.wait("e");
  h.end();
}

TEST_P(Terminal, InputAndItsEnd) {
  Harness h(runtime());
  h.run_sleeper(with_dev());
  auto typed = [&](const std::string& text) {
    Harness::Proc p = h.proc("e", {"/bin/cat"}, {"stdin", "stdout"});
    p.request.terminal = true;
    h.add(p);
    h.start("e");
    write_all(p.in.get(), text);
    p.in.reset();
    h.close_stdin("e");
    std::string out = read_to_end(p.out.get());
    EXPECT_EQ(h.wait("e").status, 0U);
    h.remove("e");
    return out;
  };
  EXPECT_EQ(typed("hello\n"), "hello\r\nhello\r\n");
  EXPECT_EQ(typed("no line"), "no lineno line");
  EXPECT_EQ(typed(""), "");
  h.end();
}

TEST_P(Terminal, ControlCIsASignal) {
  Harness h(runtime());
  h.run_sleeper(with_dev());
  Harness::Proc p = h.proc("e", sh("echo on; exec sleep 1000"), {"stdin", "stdout"});
  p.request.terminal = true;
  h.add(p);
  h.start("e");
  EXPECT_EQ(read_until(p.out.get(), "on\r\n"), "on\r\n");
  write_all(p.in.get(), "\x03");
  EXPECT_EQ(h.wait("e").status, 130U);
  h.remove("e");
  h.end();
}

// EIO from the master is the end only once the process has ended.
TEST_P(Terminal, ClosedAndOpenedAgain) {
  Harness h(runtime());
  h.run_sleeper(with_dev());
  Harness::Proc p = h.proc(
      "e", sh("tty=$(tty); echo one; exec <&- >&- 2>&-; sleep 0.2; echo two >$tty"), {"stdout"});
  p.request.terminal = true;
  h.add(p);
  h.start("e");
  EXPECT_EQ(read_to_end(p.out.get()), "one\r\ntwo\r\n");
  h.wait("e");
  h.remove("e");
  h.end();
}

// B32, B35.
TEST_P(Terminal, FailedStartsLeaveNone) {
  Harness h(runtime());
  h.run_sleeper(with_dev());
  std::size_t before = resting_fds(h.shim.pid);
  for (int round = 0; round < 10; ++round) {
    Harness::Proc p = h.proc("e", {"/bin/nope"}, {"stdin", "stdout"});
    p.request.terminal = true;
    h.add(p);
    EXPECT_EQ(error_of([&] { h.start("e"); }).code(), Code::kNotFound);
    h.remove("e");
  }
  EXPECT_EQ(resting_fds(h.shim.pid), before);
  EXPECT_EQ(open_fds(h.shim.pid, "ptmx"), 0U);
  h.end();
}

TEST(FakeTerminal, ARuntimeThatSendsNone) {
  Harness h(find_program("crun").value());
  h.terminal = true;
  h.configure({"/bin/true"}, terminal_config(80, 24));
  std::string path = h.dir + "/runtime";
  std::string text =
      "#!/bin/busybox sh\n"
      "pidfile=; previous=\n"
      "for arg in \"$@\"; do [ \"$previous\" = --pid-file ] && pidfile=$arg; previous=$arg; done\n"
      "[ -n \"$pidfile\" ] || exit 0\n"
      "sleep 1000 & echo -n $! > $pidfile\n";
  replace_file_at(open_dir(h.dir).get(), "runtime", text, 0755, false);
  h.options.binary_name = path;
  h.spawn();
  Error error = error_of([&] { h.create(); });
  EXPECT_EQ(error.code(), Code::kInternal) << error.message();
  EXPECT_EQ(error.kind(), Kind::kRuntime);
  EXPECT_NE(error.message().find("terminal"), std::string::npos) << error.message();
}

}  // namespace
}  // namespace ctrd::shim
