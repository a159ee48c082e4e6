// SPDX-License-Identifier: Apache-2.0
#include "engine/rpc.h"

#include <algorithm>

#include "base/error.h"
#include "engine/children.h"
#include "engine/other_task.h"
#include "engine/settle.h"

namespace ctrd::engine {

ttrpc::Call begin_call(int bundle_dir, std::string_view service, std::string_view method,
                       std::string payload, const Wait& wait) {
  UniqueFd socket = ttrpc::connect_at(bundle_dir, api::kSocketFile, wait);
  ttrpc::Request request{std::string(service), std::string(method), std::move(payload), 0, {}};
  if (wait.deadline != kForever)
    request.timeout_ns = std::max<int64_t>(1, Nanos(wait.deadline - Clock::now()).count());
  return ttrpc::Call(std::move(socket), request, wait);
}

bool shim_is_gone(Core& core, const Task& task, const Error& error, const Wait& wait) {
  if (error.code() != Code::kUnavailable) return false;
  if (!wait_process(shim_of(task.status), wait.within(std::chrono::seconds(5)))) return false;
  settle(core, task.ns, task.id, wait);
  return true;
}

std::optional<std::string> ask_bytes(Core& core, const Task& task, std::string_view service,
                                     std::string_view method, std::string payload,
                                     const Wait& wait) {
  ShimCall call{service, method, std::move(payload)};
  ShimCall sent = prepared(task, call);
  try {
    auto begun = begin_call(task.dir.get(), sent.service, sent.method, sent.payload, wait);
    return answered(core, task, call, begun.finish(wait));
  } catch (const Error& error) {
    if (shim_is_gone(core, task, error, wait)) return std::nullopt;
    if (error.code() == Code::kDeadlineExceeded && wait.expired())
      throw_timeout("container \"" + task.id + "\": " + std::string(method), wait);
    throw refused(task, call, error);
  }
}

}  // namespace ctrd::engine
