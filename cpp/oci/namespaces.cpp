// SPDX-License-Identifier: Apache-2.0
#include "oci/namespaces.h"

#include <algorithm>
#include <iterator>

#include "base/error.h"

namespace ctrd::oci {
namespace {

constexpr std::string_view kTypes[] = {"pid", "network", "mount",  "ipc",
                                       "uts", "user",    "cgroup", "time"};

}  // namespace

bool is_namespace(std::string_view type) {
  return std::find(std::begin(kTypes), std::end(kTypes), type) != std::end(kTypes);
}

Json namespaces_json(std::string_view network) {
  Json list = Json::array();
  for (const char* type : {"pid", "ipc", "uts", "mount"}) list.push_back({{"type", type}});
  if (network == "none") {
    list.push_back({{"type", "network"}});
  } else if (network != "host") {
    throw invalid("network", network, "must be none or host");
  }
  return list;
}

void add_cgroup_namespace(Json& linux_part) {
  Json& list = linux_part["namespaces"];
  if (!list.is_array()) list = Json::array();
  auto is_cgroup = [](const Json& entry) { return entry.value("type", "") == "cgroup"; };
  if (std::any_of(list.begin(), list.end(), is_cgroup)) return;
  list.push_back({{"type", "cgroup"}});
}

}  // namespace ctrd::oci
