// SPDX-License-Identifier: Apache-2.0
#include "shim/info.h"

#include <cstdlib>

#include "api/bootstrap.h"
#include "base/error.h"
#include "base/log.h"
#include "base/spawn.h"
#include "oci/json.h"
#include "shim/containerd_options.h"

namespace ctrd::shim {
namespace {

constexpr Nanos kLimit = std::chrono::seconds(5);

// "": a runtime that is older than that verb.
std::string features_of(const std::string& runtime) {
  SpawnSpec spec;
  spec.argv = {runtime, "features"};
  if (const char* path = std::getenv("PATH")) spec.env = {std::string("PATH=") + path};
  Output output = run_command(spec, "", Wait{.deadline = after(kLimit), .interrupted = {}});
  if (output.exit.status != 0 || output.timed_out) return {};
  return oci::parse_json(output.out, "features").is_object() ? output.out : std::string();
}

}  // namespace

std::string runtime_info(const std::string& options) {
  api::RuntimeInfo info{.name = "io.containerd.ctrd.v2",
                        .version = {.version = CTRD_VERSION, .revision = {}},
                        .options = api::decode<api::Any>(options),
                        .features = {}};
  try {
    std::string features = features_of(find_runtime(runc_options(info.options)));
    if (!features.empty()) info.features = {std::string(api::kFeaturesType), std::move(features)};
  } catch (const Error& error) {
    log(Level::kWarning, error.message());
  }
  return api::encode(info);
}

}  // namespace ctrd::shim
