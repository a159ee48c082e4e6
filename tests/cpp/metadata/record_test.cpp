// SPDX-License-Identifier: Apache-2.0
// The codecs: everything comes back, and any bytes give a record or kDataLoss.
#include "metadata/record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "base/temp_dir.h"

namespace ctrd::metadata {
namespace {

Container full_container() {
  Container record;
  record.id = "web";
  record.image = "docker.io/library/busybox:latest";
  record.rootfs = "/srv/root";
  record.runtime_name = "io.containerd.ctrd.v2";
  record.runtime_binary = "/usr/bin/crun";
  record.snapshotter = "overlay";
  record.snapshot_key = "web";
  record.snapshot_number = 1ull << 63;
  record.lifetime = Lifetime::kDetached;
  record.owner = 77;
  record.owner_process = {1234, 987654321012, "boot"};
  record.created_ns = 1'700'000'000'000'000'000;
  record.updated_ns = -1;
  record.labels = {{"a", "1"}, {"b/c", std::string(4000, 'x')}};
  record.extensions = {{"ext", std::string("\0\1\2", 3)}};
  record.annotations = {{"n", ""}};
  record.runtime_options = {"containerd.runc.v1.Options", std::string("\x08\1\0", 3)};
  record.sandbox_id = "pod";
  return record;
}

auto fields(const Container& r) {
  return std::tie(r.id, r.image, r.rootfs, r.runtime_name, r.runtime_binary, r.snapshotter,
                  r.snapshot_key, r.snapshot_number, r.lifetime, r.owner, r.created_ns,
                  r.updated_ns, r.labels, r.extensions, r.annotations, r.runtime_options.type_url,
                  r.runtime_options.value, r.sandbox_id);
}

TEST(Record, ContainerComesBack) {
  Container record = full_container();
  Container again = decode_container("web", encode(record));
  EXPECT_EQ(fields(again), fields(record));
  EXPECT_EQ(again.owner_process, record.owner_process);
  EXPECT_EQ(fields(decode_container("", "")), fields(Container()));
}

TEST(Record, SmallOnesComeBack) {
  Snapshot snapshot{3, 2, "parent/key", "/bottom", 4, 5, {{"l", "v"}}};
  Snapshot snapshot2 = decode_snapshot(encode(snapshot));
  EXPECT_EQ(std::tie(snapshot2.number, snapshot2.kind, snapshot2.parent, snapshot2.bottom,
                     snapshot2.created_ns, snapshot2.updated_ns, snapshot2.labels),
            std::tie(snapshot.number, snapshot.kind, snapshot.parent, snapshot.bottom,
                     snapshot.created_ns, snapshot.updated_ns, snapshot.labels));
  Namespace ns = decode_namespace(encode(Namespace{{{"l", "v"}}, 6}));
  EXPECT_EQ(ns.labels, (Labels{{"l", "v"}}));
  EXPECT_EQ(ns.created_ns, 6);
  Trash trash = decode_trash(encode(Trash{"snapshot", "3"}));
  EXPECT_EQ(trash.kind + ":" + trash.name, "snapshot:3");
  Owner owner = decode_owner(encode(Owner{{1, 2, "b"}, "/run/ctrd/x"}));
  EXPECT_EQ(owner.process, (ProcessKey{1, 2, "b"}));
  EXPECT_EQ(owner.state, "/run/ctrd/x");
  State state = decode_state(encode(State{"token", "boot", "/run"}));
  EXPECT_EQ(state.token + state.boot_id + state.path, "tokenboot/run");
}

TEST(Record, UnknownFieldsAreSkipped) {
  std::string later = std::string("\xf8\x07\x01", 3) + "\xfa\x07\x01x";  // 127: varint, 127: bytes
  EXPECT_EQ(fields(decode_container("web", later + encode(full_container()) + later)),
            fields(full_container()));
  std::string other_type("\x10\x05", 2);  // field 2 is text, and here a number
  EXPECT_EQ(decode_container("web", other_type).image, "");
}

// A record or kDataLoss, and nothing else.
void expect_sane(const std::string& bytes) {
  auto tolerate = [](const auto& decode) {
    try {
      decode();
    } catch (const Error& error) {
      ASSERT_EQ(error.code(), Code::kDataLoss) << error.what();
      ASSERT_THAT(error.message(), testing::StartsWith("decode "));
    }
  };
  tolerate([&] { decode_container("web", bytes); });
  tolerate([&] { decode_namespace(bytes); });
  tolerate([&] { decode_snapshot(bytes); });
  tolerate([&] { decode_trash(bytes); });
  tolerate([&] { decode_owner(bytes); });
  tolerate([&] { decode_state(bytes); });
  tolerate([&] { unpack_spec(bytes); });
}

TEST(Record, CutAtEachByte) {
  for (const std::string& whole :
       {encode(full_container()), encode(Snapshot{3, 2, "p", "/b", 4, 5, {{"l", "v"}}}),
        encode(Trash{"snapshot", "3"}), encode(Owner{{1, 2, "b"}, "/run"}),
        encode(State{"token", "boot", "/run"}), encode(Namespace{{{"l", "v"}}, 6})})
    for (std::size_t size = 0; size < whole.size(); ++size) expect_sane(whole.substr(0, size));
}

TEST(Record, ChangedAtRandom) {
  std::mt19937 random(1);
  std::string whole = encode(full_container());
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes = whole;
    for (int changes = 0; changes < 3; ++changes)
      bytes[random() % bytes.size()] = static_cast<char>(random());
    expect_sane(bytes);
  }
}

TEST(Record, DamageIsDataLoss) {
  EXPECT_EQ(code_of([] { decode_container("web", "\x12\x7f"); }), Code::kDataLoss);
  EXPECT_EQ(code_of([] { decode_container("web", "\x48\x05"); }), Code::kDataLoss);  // lifetime 5
  EXPECT_EQ(code_of([] { decode_snapshot("\x10\x04"); }), Code::kDataLoss);          // kind 4
  EXPECT_EQ(code_of([] { decode_snapshot(""); }), Code::kDataLoss);
  EXPECT_EQ(code_of([] { decode_trash(""); }), Code::kDataLoss);
}

TEST(Spec, ComesBack) {
  std::mt19937 random(1);
  std::string noise(1000, '\0');
  for (char& c : noise) c = static_cast<char>(random());
  for (const std::string& json :
       {std::string("{}"), std::string(9000, 'x'), noise, std::string(4u << 20, ' ')})
    EXPECT_EQ(unpack_spec(pack_spec(json)), json);
  EXPECT_LT(pack_spec(std::string(9000, 'x')).size(), 100u);
  EXPECT_EQ(pack_spec("{}"), std::string("\0{}", 3));
}

TEST(Spec, HasABound) {
  std::string large((4u << 20) + 1, ' ');
  EXPECT_EQ(code_of([&] { pack_spec(large); }), Code::kResourceExhausted);
  EXPECT_EQ(code_of([&] { unpack_spec('\0' + large); }), Code::kDataLoss);
}

TEST(Spec, DamageIsDataLoss) {
  std::string packed = pack_spec(std::string(9000, 'x') + "tail");
  for (std::size_t size = 0; size < packed.size(); ++size)
    EXPECT_EQ(code_of([&] { unpack_spec(packed.substr(0, size)); }), Code::kDataLoss) << size;
  EXPECT_EQ(code_of([] { unpack_spec("\x02{}"); }), Code::kDataLoss);
  EXPECT_EQ(code_of([] { unpack_spec("\x01{}"); }), Code::kDataLoss);
}

TEST(Labels, AreChecked) {
  check_labels({{"k", std::string(4095, 'v')}, {"empty", ""}});
  Error large = error_of([] { check_labels({{std::string(200, 'k'), std::string(3897, 'v')}}); });
  EXPECT_EQ(large.code(), Code::kInvalidArgument);
  EXPECT_EQ(large.find("field"), "labels");
  EXPECT_EQ(large.find("value"), std::string(64, 'k'));
  EXPECT_EQ(code_of([] { check_labels({{"", "v"}}); }), Code::kInvalidArgument);
}

}  // namespace
}  // namespace ctrd::metadata
