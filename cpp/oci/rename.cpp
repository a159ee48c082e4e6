// SPDX-License-Identifier: Apache-2.0
#include "oci/rename.h"

#include "oci/default_spec.h"
#include "oci/json.h"

namespace ctrd::oci {
namespace {

std::string new_hostname(const Json& spec, const NewNames& names) {
  if (names.hostname) {
    check_hostname("hostname", *names.hostname);
    return *names.hostname;
  }
  std::string hostname = spec.value("hostname", "");
  return hostname == default_hostname(names.old_id) ? default_hostname(names.id) : hostname;
}

}  // namespace

std::string renamed_spec(std::string_view stored_spec, const NewNames& names) {
  Json spec = parse_json(stored_spec, "spec");
  spec["linux"]["cgroupsPath"] = names.cgroups_path;
  std::string hostname = new_hostname(spec, names);
  if (hostname.empty())  // as where the host's UTS namespace is used
    spec.erase("hostname");
  else
    spec["hostname"] = hostname;
  return dump_json(spec, "spec");
}

}  // namespace ctrd::oci
