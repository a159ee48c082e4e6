// SPDX-License-Identifier: Apache-2.0
#include "api/bootstrap.h"

#include "api/codec.h"

namespace ctrd::api {

static void fields(auto& v, Is<Extension> auto& m) { v(1, m.value); }
static void fields(auto& v, Is<BootstrapParams> auto& m) {
  v(1, m.instance_id), v(2, m.ns), v(3, m.log_level), v(4, m.containerd_version);
  v(5, m.ttrpc_address), v(6, m.grpc_address), v(7, m.containerd_binary), v(8, m.extensions);
  v(9, m.socket_dir);
}
static void fields(auto& v, Is<BootstrapResult> auto& m) {
  v(1, m.version), v(2, m.address), v(3, m.protocol);
}
static void fields(auto& v, Is<RuntimeVersion> auto& m) { v(1, m.version), v(2, m.revision); }
static void fields(auto& v, Is<RuntimeInfo> auto& m) {
  v(1, m.name), v(2, m.version), v(3, m.options), v(4, m.features);
}

CTRD_API_CODEC(BootstrapParams)
CTRD_API_CODEC(BootstrapResult)
CTRD_API_CODEC(RuntimeInfo)

}  // namespace ctrd::api
