// SPDX-License-Identifier: Apache-2.0
// Task messages, events, and the shim's files. The first byte says which.
#include "api/bundle.h"
#include "api/event.h"
#include "api/log_format.h"
#include "api/task.h"
#include "base/segment_name.h"
#include "fuzz/fuzz.h"

namespace ctrd::fuzz {
namespace {

// What was accepted once is accepted again, and means the same.
template <typename T>
void message(std::string_view bytes) {
  T first = api::decode<T>(bytes);
  std::string written = api::encode(first);
  require(api::encode(api::decode<T>(written)) == written, "a message changed");
}

constexpr Case kCases[] = {
    message<api::CreateRequest>,
    message<api::CreateResponse>,
    message<api::StateResponse>,
    message<api::DeleteResponse>,
    message<api::PidsResponse>,
    message<api::KillRequest>,
    message<api::ExecProcessRequest>,
    message<api::ResizePtyRequest>,
    message<api::CloseIORequest>,
    message<api::UpdateTaskRequest>,
    message<api::WaitResponse>,
    message<api::StatsResponse>,
    message<api::CheckpointTaskRequest>,
    message<api::InfoResponse>,
    message<api::LimitRequest>,
    message<api::Options>,
    message<api::Event>,
    [](std::string_view bytes) { api::decode_status_file(bytes); },
    [](std::string_view bytes) { api::decode_exit_file(bytes); },
    [](std::string_view bytes) {
      api::decode_log_header(bytes);
      parse_segment_name(bytes);
    },
    message<api::ExitInfo>,
    message<api::ProcessDetails>,
};

std::string seed(std::size_t which, const std::string& bytes) {
  return static_cast<char>(which) + bytes;
}

}  // namespace

std::vector<std::string> seeds() {
  api::CreateRequest create;
  create.id = "web";
  create.bundle = "/run/ctrd/x";
  create.rootfs = {{"overlay", "overlay", "", {"lowerdir=/a", "upperdir=/b"}}};
  create.options = {"ctrd.shim.v1.Options", "x"};
  api::StatusFile status;
  status.instance = "0123456789abcdef";
  status.pid = 7;
  api::ExitFile exit;
  exit.status = 137;
  std::vector<std::string> all = {
      seed(0, api::encode(create)),
      seed(4, api::encode(api::PidsResponse{})),
      seed(5, api::encode(api::KillRequest{"id", "exec", 9, true})),
      seed(16, api::encode(api::Event{1, "ns", "/tasks/exit", {"t", "v"}, "0123456789abcdef"})),
      seed(17, api::encode_file(status)),
      seed(18, api::encode_file(exit)),
  };
  for (std::size_t i = 0; i < std::size(kCases); ++i) all.push_back(seed(i, "\x0a\x01x\x10\x02"));
  return all;
}

void run(std::string_view input) { run_case(kCases, input); }

}  // namespace ctrd::fuzz
