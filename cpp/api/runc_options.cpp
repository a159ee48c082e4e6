// SPDX-License-Identifier: Apache-2.0
#include "api/runc_options.h"

#include "api/codec.h"

namespace ctrd::api {

// Paths are bytes: a file name need not be UTF-8.
static void fields(auto& v, Is<RuncOptions> auto& m) {
  v(1, m.no_pivot_root), v(2, m.no_new_keyring), v.bytes(3, m.shim_cgroup), v(4, m.io_uid);
  v(5, m.io_gid), v.bytes(6, m.binary_name), v.bytes(7, m.root), v.bytes(8, m.criu_path);
  v(9, m.systemd_cgroup), v.bytes(10, m.criu_image_path), v.bytes(11, m.criu_work_path);
}
static void fields(auto& v, Is<RuncCreateOptions> auto& m) {
  v(1, m.no_pivot_root), v(8, m.no_new_keyring), v.bytes(9, m.shim_cgroup), v(10, m.io_uid);
  v(11, m.io_gid);
}
static void fields(auto& v, Is<LinuxRuncOptions> auto& m) {
  v.bytes(1, m.runtime), v.bytes(2, m.runtime_root), v.bytes(3, m.criu_path),
      v(4, m.systemd_cgroup);
}
static void fields(auto& v, Is<RuntimeOptions> auto& m) {
  v(1, m.type_url), v.bytes(2, m.config_path), v.bytes(3, m.config_body);
}

CTRD_API_CODEC(RuncOptions)
CTRD_API_CODEC(RuncCreateOptions)
CTRD_API_CODEC(LinuxRuncOptions)
CTRD_API_CODEC(RuntimeOptions)

}  // namespace ctrd::api
