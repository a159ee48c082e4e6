// SPDX-License-Identifier: Apache-2.0
#include "oci/rename.h"

#include "oci/json.h"

namespace ctrd::oci {

std::string renamed_spec(std::string_view stored_spec, const std::string& cgroups_path,
                         const std::string& hostname) {
  Json spec = parse_json(stored_spec, "spec");
  spec["linux"]["cgroupsPath"] = cgroups_path;
  if (hostname.empty())
    spec.erase("hostname");
  else
    spec["hostname"] = hostname;
  return dump_json(spec, "spec");
}

}  // namespace ctrd::oci
