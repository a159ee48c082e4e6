// SPDX-License-Identifier: Apache-2.0
// Drives the real shim with a real runtime: a bundle in a temporary directory, the spawn contract
// of design.md 5, ttrpc calls, and at the end a look for whatever a test may have left.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "api/bundle.h"
#include "api/task.h"
#include "base/error.h"
#include "base/spawn.h"
#include "base/time.h"
#include "base/unique_fd.h"
#include "oci/json.h"
#include "ttrpc/frame.h"

namespace ctrd::shim {

inline constexpr Nanos kLong = std::chrono::seconds(60);  // only ever reached by a failing test

std::string shim_binary();
UniqueFd pidfd_of(pid_t pid);
Wait soon();
// All until its end (every writer closed).
std::string read_to_end(int fd);
// Descriptors of a process whose target has `like` in its name.
std::size_t open_fds(pid_t pid, const std::string& like = "");
// All of a shim's, when only its listener is left of its sockets: no client is connected.
std::size_t resting_fds(pid_t shim);
// Asks again and again; false: it has not come true.
bool eventually(const std::function<bool()>& condition);
// A request to the Task service, for calls that are more than Harness::call.
ttrpc::Request to_task(const std::string& method, std::string payload);
// What f throws; kOk if nothing.
template <typename F>
Error error_of(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    return error;
  }
  return Error(Code::kOk, "there was no error");
}
// A directory with busybox in it, for all tests of this process.
const std::string& busybox_root();

class Harness {
 public:
  explicit Harness(std::string runtime);
  ~Harness();  // ends what a failed test left, checks that nothing is left

  // config.json; patch is merged into it.
  void configure(const std::vector<std::string>& args,
                 const oci::Json& patch = oci::Json::object());
  // owner, spawner: pidfds to hand over; -1: /dev/null for the owner, this process for the spawner.
  void spawn(int owner = -1, int spawner = -1);

  template <typename Response, typename Request>
  Response call(const std::string& method, const Request& request,
                std::string_view service = api::kTaskV2) {
    return api::decode<Response>(raw_call(service, method, api::encode(request)));
  }
  std::string raw_call(std::string_view service, const std::string& method, std::string payload);

  api::CreateRequest create_request() const;
  // A container whose init sleeps, created and started.
  void run_sleeper(const oci::Json& patch = oci::Json::object());

  // An exec of this id: its directory with FIFOs, as a client makes it.
  struct Proc {
    std::string id;
    UniqueFd in, out, err;  // our ends: in for writing (and reading), the others for reading
    api::ExecProcessRequest request;
  };
  // streams: which of "stdin", "stdout", "stderr" are FIFOs; the rest is /dev/null.
  Proc proc(const std::string& exec_id, const std::vector<std::string>& args,
            const std::vector<std::string>& streams = {}, const oci::Json& patch = {});
  void add(const Proc& proc) { call<api::Empty>("Exec", proc.request); }
  uint32_t start(const std::string& exec_id) {
    return call<api::StartResponse>("Start", api::StartRequest{id, exec_id}).pid;
  }
  api::ExitInfo wait(const std::string& exec_id) {
    return call<api::ExitInfo>("Wait", api::WaitRequest{id, exec_id}, api::kShimV1);
  }
  api::ExitInfo remove(const std::string& exec_id) {
    return call<api::ExitInfo>("Delete", api::DeleteRequest{id, exec_id}, api::kShimV1);
  }
  api::StateResponse state(const std::string& exec_id) {
    return call<api::StateResponse>("State", api::StateRequest{id, exec_id});
  }
  void close_stdin(const std::string& exec_id) {
    call<api::Empty>("CloseIO", api::CloseIORequest{id, exec_id, true});
  }
  void resize(const std::string& exec_id, uint32_t columns, uint32_t rows) {
    call<api::Empty>("ResizePty", api::ResizePtyRequest{id, exec_id, columns, rows});
  }
  void limit(const std::string& exec_id, Nanos timeout) {
    call<api::Empty>("Limit", api::LimitRequest{id, exec_id, timeout.count()}, api::kShimV1);
  }
  // Ends init with the rest, deletes; the shim ends.
  void end();
  uint32_t create() { return call<api::CreateResponse>("Create", create_request()).pid; }
  uint32_t start() { return call<api::StartResponse>("Start", api::StartRequest{id, ""}).pid; }
  api::StateResponse state() {
    return call<api::StateResponse>("State", api::StateRequest{id, ""});
  }
  api::WaitResponse wait() { return call<api::WaitResponse>("Wait", api::WaitRequest{id, ""}); }
  void kill_exec(const std::string& exec_id, uint32_t signal, bool all = false) {
    call<api::Empty>("Kill", api::KillRequest{id, exec_id, signal, all});
  }
  std::size_t count_pids() {
    return call<api::PidsResponse>("Pids", api::PidsRequest{id}).processes.size();
  }
  void kill(uint32_t signal, bool all = false) {
    call<api::Empty>("Kill",
                     api::KillRequest{.id = id, .exec_id = "", .signal = signal, .all = all});
  }
  api::DeleteResponse remove() {
    return call<api::DeleteResponse>("Delete", api::DeleteRequest{id, ""});
  }
  // Delete, and the shim ends with 0.
  api::DeleteResponse remove_and_leave();
  int exit_status();  // of the shim, reaped; -1 if it does not end

  // Makes a FIFO io/<name>, opens it for reading (writing for stdin), sets the path for create.
  UniqueFd fifo(const std::string& name);
  api::ExitFile exit_file() const;
  api::StatusFile status_file() const;
  std::string shim_log() const;
  // Processes of the shim's cgroup path and children are gone, no mount, no cgroup.
  void expect_no_trace() const;
  void expect_no_cgroup() const;

  const std::string id = "c1";
  std::string dir, bundle, cgroup, runtime;
  UniqueFd bundle_dir;
  api::Options options;
  std::string stdin_path, stdout_path, stderr_path;
  bool terminal = false;
  std::vector<Mount> rootfs;
  Child shim;

 private:
  int fds_before_;
};

// Each test with each runtime.
class Runtimes : public ::testing::TestWithParam<const char*> {
 protected:
  std::string runtime() const;
};

#define CTRD_EACH_RUNTIME(suite)                                           \
  INSTANTIATE_TEST_SUITE_P(Real, suite, ::testing::Values("crun", "runc"), \
                           [](const auto& row) { return std::string(row.param); })

}  // namespace ctrd::shim
