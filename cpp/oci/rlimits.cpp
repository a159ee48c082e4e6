// SPDX-License-Identifier: Apache-2.0
#include "oci/rlimits.h"

#include <sys/resource.h>

#include <algorithm>
#include <iterator>
#include <map>

#include "base/error.h"

namespace ctrd::oci {
namespace {

struct Limit {
  std::string_view name;
  __rlimit_resource resource;
};
constexpr Limit kLimits[] = {
    {"RLIMIT_CPU", RLIMIT_CPU},           {"RLIMIT_FSIZE", RLIMIT_FSIZE},
    {"RLIMIT_DATA", RLIMIT_DATA},         {"RLIMIT_STACK", RLIMIT_STACK},
    {"RLIMIT_CORE", RLIMIT_CORE},         {"RLIMIT_RSS", RLIMIT_RSS},
    {"RLIMIT_NPROC", RLIMIT_NPROC},       {"RLIMIT_NOFILE", RLIMIT_NOFILE},
    {"RLIMIT_MEMLOCK", RLIMIT_MEMLOCK},   {"RLIMIT_AS", RLIMIT_AS},
    {"RLIMIT_LOCKS", RLIMIT_LOCKS},       {"RLIMIT_SIGPENDING", RLIMIT_SIGPENDING},
    {"RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE}, {"RLIMIT_NICE", RLIMIT_NICE},
    {"RLIMIT_RTPRIO", RLIMIT_RTPRIO},     {"RLIMIT_RTTIME", RLIMIT_RTTIME},
};

const Limit* find_limit(std::string_view name) {
  auto fits = [&](const Limit& limit) { return limit.name == name; };
  const Limit* found = std::find_if(std::begin(kLimits), std::end(kLimits), fits);
  return found == std::end(kLimits) ? nullptr : found;
}

// "NOFILE", "nofile" and "RLIMIT_NOFILE" are one name.
std::string normal_name(const std::string& given) {
  std::string name;
  std::transform(given.begin(), given.end(), std::back_inserter(name),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  if (!name.starts_with("RLIMIT_")) name.insert(0, "RLIMIT_");
  if (!is_rlimit(name)) throw invalid("rlimits", given, "is no resource limit");
  return name;
}

}  // namespace

bool is_rlimit(std::string_view name) { return find_limit(name) != nullptr; }

Json rlimits_json(const SpecOptions& options) {
  std::map<std::string, std::pair<uint64_t, uint64_t>> limits = {{"RLIMIT_NOFILE", {1024, 1024}}};
  for (const auto& [given, limit] : options.rlimits) {
    if (limit.first > limit.second) {
      std::string both = std::to_string(limit.first) + ", " + std::to_string(limit.second);
      throw invalid("rlimits", std::string(given).append(": ").append(both),
                    "the soft limit is above the hard one");
    }
    limits[normal_name(given)] = limit;
  }
  Json json = Json::array();
  for (const auto& [name, limit] : limits) {
    json.push_back({{"type", name}, {"soft", limit.first}, {"hard", limit.second}});
  }
  return json;
}

void clamp_rlimits(Json& rlimits) {
  for (Json& entry : rlimits) {
    const Limit* limit = find_limit(entry.at("type").get<std::string>());
    rlimit ours{};
    if (!limit || ::getrlimit(limit->resource, &ours) != 0) continue;
    for (const char* which : {"soft", "hard"}) {
      entry[which] =
          std::min(entry.at(which).get<uint64_t>(), static_cast<uint64_t>(ours.rlim_max));
    }
  }
}

}  // namespace ctrd::oci
