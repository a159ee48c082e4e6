// SPDX-License-Identifier: Apache-2.0
#include "api/checkpoint.h"

#include "api/codec.h"

namespace ctrd::api {

static void common_fields(auto& v, auto& m) {
  v(1, m.exit), v(2, m.open_tcp), v(3, m.external_unix_sockets), v(4, m.terminal),
      v(5, m.file_locks), v(6, m.empty_namespaces), v(7, m.cgroups_mode);
}
static void fields(auto& v, Is<CheckpointOptions> auto& m) {
  common_fields(v, m);
  v.bytes(8, m.image_path), v.bytes(9, m.work_path);
}
static void fields(auto& v, Is<LinuxCheckpointOptions> auto& m) {
  common_fields(v, m.options);
  v.bytes(8, m.options.work_path), v.bytes(9, m.options.image_path);
}
static void fields(auto& v, Is<CriuOptions> auto& m) {
  v(18, m.close_tcp), v(19, m.hostname), v(20, m.skip_network_lock);
  v.bytes(21, m.layer), v.bytes(22, m.replaced), v(23, m.empty_namespaces);
}
static void fields(auto& v, Is<HoldRequest> auto& m) { v(1, m.id); }

CTRD_API_CODEC(CheckpointOptions)
CTRD_API_CODEC(LinuxCheckpointOptions)
CTRD_API_CODEC(CriuOptions)
CTRD_API_CODEC(HoldRequest)

}  // namespace ctrd::api
