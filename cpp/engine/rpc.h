// SPDX-License-Identifier: Apache-2.0
// Calls to the shim of a task: each opens its own connection through the bundle's directory, so it
// reaches that very instance.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "api/task.h"
#include "engine/task.h"
#include "ttrpc/client.h"

namespace ctrd::engine {

// A call that may be polled beside other descriptors. kUnavailable if nobody listens.
ttrpc::Call begin_call(int bundle_dir, std::string_view service, std::string_view method,
                       std::string payload, const Wait& wait);
// nullopt: the shim has gone (it was waited for, and its task is settled). Throws what the shim
// answers; kDeadlineExceeded.
std::optional<std::string> ask_bytes(Core& core, const Task& task, std::string_view service,
                                     std::string_view method, std::string payload,
                                     const Wait& wait);
// True if the error says that the shim is not there, and indeed it is not (waited for, and
// settled).
bool shim_is_gone(Core& core, const Task& task, const Error& error, const Wait& wait);

template <typename Reply, typename Ask>
std::optional<Reply> ask(Core& core, const Task& task, std::string_view method, const Ask& request,
                         const Wait& wait) {
  auto bytes = ask_bytes(core, task, api::kTaskV2, method, api::encode(request), wait);
  if (!bytes) return std::nullopt;
  return api::decode<Reply>(*bytes);
}

}  // namespace ctrd::engine
