// SPDX-License-Identifier: Apache-2.0
// Values as they are read back from the store, and the text of its lock file. The first byte says
// which.
#include "fuzz/fuzz.h"
#include "metadata/record.h"
#include "store/holder.h"

namespace ctrd::fuzz {
namespace {

using namespace metadata;

template <auto decode>
void record(std::string_view bytes) {
  std::string written = encode(decode(bytes));
  require(encode(decode(written)) == written, "a record changed");
}

Blob blob(std::string_view bytes) { return decode_blob("sha256:00", bytes); }
Container container(std::string_view bytes) { return decode_container("id", bytes); }

constexpr Case kCases[] = {
    record<container>,
    record<decode_snapshot>,
    record<decode_trash>,
    record<decode_owner>,
    record<decode_state>,
    [](std::string_view bytes) { unpack_spec(bytes); },
    [](std::string_view bytes) {
      require(unpack_spec(pack_spec(bytes)) == bytes, "a spec changed");
    },
    [](std::string_view bytes) {
      store::Holder holder = store::decode_holder(bytes);
      store::Holder again = store::decode_holder(store::encode(holder));
      require(again.pid == holder.pid && again.marker == holder.marker, "a holder changed");
    },
    record<blob>,
    record<decode_namespace>,
};

}  // namespace

std::vector<std::string> seeds() {
  Container container;
  container.rootfs = "/srv/root";
  container.labels = {{"app", "web"}};
  container.owner_process = {7, 9, "boot"};
  container.runtime_options = {"containerd.runc.v1.Options", "\x08\x01"};
  Snapshot snapshot;
  snapshot.parent = "base";
  std::string json = "{\"ociVersion\":\"1.0.2\",\"annotations\":{" + std::string(500, 'a') + "}}";
  std::vector<std::string> plain = {encode(container),
                                    encode(snapshot),
                                    encode(Trash{"snapshot", "7"}),
                                    encode(Owner{{7, 9, "boot"}, "/run"}),
                                    encode(State{"token", "boot", "/run"}),
                                    pack_spec(json),
                                    json,
                                    store::encode(store::this_holder()),
                                    encode(Blob{"", 7, 1, 2, {{"a", "b"}}}),
                                    encode(Namespace{{{"a", "b"}}, 7})};
  for (std::size_t i = 0; i < plain.size(); ++i) plain[i].insert(0, 1, static_cast<char>(i));
  return plain;
}

void run(std::string_view input) { run_case(kCases, input); }

}  // namespace ctrd::fuzz
