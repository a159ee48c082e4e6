// SPDX-License-Identifier: Apache-2.0
// An engine on a root of its own below /tmp, a busybox root filesystem, the real shim and the real
// runtimes; and after each test a look at everything that could have been left: processes, mounts,
// cgroups, descriptors, files.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/spawn.h"
#include "engine/engine.h"

namespace ctrd::engine {

inline constexpr Nanos kLong = std::chrono::seconds(60);  // only ever reached by a failing test
inline const std::string kNs = "default";

Wait soon();
Wait within_ms(int ms);
std::string shim_binary();

// Code of what f throws, kOk if nothing; the error in *error.
Code code_of(const std::function<void()>& f, Error* error = nullptr);

// One more process that uses ctrd: this test program again, as `mode` (helper.cpp). Its stdin ends
// with this object, so it ends at the latest then.
class Second {
 public:
  Second(const std::string& mode, const std::vector<std::string>& args);
  ~Second();
  std::string line();                 // the next line of its stdout; "" at its end
  void say(const std::string& text);  // to its stdin
  void kill();                        // SIGKILL, and reaped
  Exit wait();                        // closes its stdin first
  pid_t pid() const { return child_.pid; }

 private:
  UniqueFd in_, out_;
  Child child_;
  bool reaped_ = false;
};
int helper_main(int argc, char** argv);

class EngineTest : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;  // closes what open() gave, then looks
  void close_all();          // the first half of it

  Config config() const;
  std::shared_ptr<Engine> open();  // closed at the end
  Engine& engine();                // the first one
  CreateOptions options(const std::vector<std::string>& args) const;
  CreateOptions shell(const std::string& script) const {
    return options({"/bin/sh", "-c", script});
  }

  std::string create(const std::vector<std::string>& args);
  std::string start(const std::vector<std::string>& args,
                    const Stdio& stdio = {});  // created, its task too, started
  TaskRef task(const std::string& id) const { return {kNs, id, ""}; }
  RunResult run(const CreateOptions& create, const RunOptions& options = {});
  std::string bundle(const std::string& id) const { return state_ + "/" + kNs + "/" + id; }
  std::string log_text(const std::string& id, bool follow = true);
  pid_t shim_pid(const std::string& id) const;
  void kill_shim(const std::string& id) const;  // SIGKILL, and waits for its end
  std::vector<std::string> helper_args() const { return {root_, state_, rootfs_}; }

  std::string top_, root_, state_, rootfs_, runtime_ = "auto";

 private:
  void expect_no_trace() const;
  std::vector<std::shared_ptr<Engine>> open_;
  std::set<std::string> descriptors_;
};

// Each test with each runtime.
class RuntimeTest : public EngineTest, public ::testing::WithParamInterface<const char*> {
 protected:
  void SetUp() override {
    runtime_ = GetParam();
    EngineTest::SetUp();
  }
};
#define CTRD_EACH_RUNTIME(suite)                                           \
  INSTANTIATE_TEST_SUITE_P(Real, suite, ::testing::Values("crun", "runc"), \
                           [](const auto& each) { return std::string(each.param); })

}  // namespace ctrd::engine
