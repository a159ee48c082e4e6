// SPDX-License-Identifier: Apache-2.0
// The program's action init, as a parent of one program. As process 1 of a container it is in
// tests/py/test_limits.py.
#include "shim/init.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include "base/pidfd.h"
#include "base/spawn.h"
#include "shim/harness.h"

namespace ctrd::shim {
namespace {

SpawnSpec init(std::vector<std::string> args) {
  SpawnSpec spec;
  spec.argv = {shim_binary(), "init", "--"};
  spec.argv.insert(spec.argv.end(), args.begin(), args.end());
  spec.env = {"PATH=/bin:/usr/bin"};
  return spec;
}

Output result(std::vector<std::string> args) {
  return run_command(init(std::move(args)), "in", soon());
}

TEST(Init, ends_as_the_program_does) {
  Output said = result({"sh", "-c", "cat; echo err >&2; exit 7"});
  EXPECT_EQ(said.exit.status, 7);
  EXPECT_EQ(said.out, "in");
  EXPECT_EQ(said.err, "err\n");
  EXPECT_EQ(result({"sh", "-c", "kill -9 $$"}).exit.status, 137);
  EXPECT_EQ(result({"true"}).exit.status, 0);
}

TEST(Init, says_what_it_cannot_start) {
  Output missing = result({"nosuch"});
  EXPECT_EQ(missing.exit.status, 127);
  EXPECT_EQ(missing.err, "ctrd-init: \"nosuch\": No such file or directory\n");
  EXPECT_EQ(result({"/etc"}).exit.status, 126);
}

TEST(Init, passes_signals_on) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  UniqueFd out(ends[0]), in(ends[1]);
  SpawnSpec spec = init({"sh", "-c",
                         "trap 'exit 5' TERM; trap 'echo usr1' USR1; echo up;"
                         "while :; do sleep 0.02; done"});
  spec.fds = {{in.get(), 1}};
  Child child = spawn(spec);
  in.reset();
  auto line = [&] {
    std::string text;
    for (char c; ::read(out.get(), &c, 1) == 1 && c != '\n';) text += c;
    return text;
  };
  EXPECT_EQ(line(), "up");
  raw_pidfd_send_signal(child.pidfd.get(), SIGUSR1);
  EXPECT_EQ(line(), "usr1");
  raw_pidfd_send_signal(child.pidfd.get(), SIGTERM);
  EXPECT_EQ(reap(child, soon())->status, 5);
}

// Signals arrive as they were: nothing blocked, nothing ignored.
TEST(Init, gives_the_program_a_clean_mask) {
  EXPECT_EQ(result({"grep", "SigBlk", "/proc/self/status"}).out, "SigBlk:\t0000000000000000\n");
}

}  // namespace
}  // namespace ctrd::shim
