// SPDX-License-Identifier: Apache-2.0
// semantics.md S8, the table of labels.
#include "metadata/references.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/temp_dir.h"

namespace ctrd::metadata {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const std::string kDigest = "sha256:" + std::string(64, 'a');

std::vector<std::string> refs(const Labels& labels) {
  std::vector<std::string> all;
  for (const LabelRef& ref : label_refs(labels))
    all.push_back((ref.is_back ? "back " : "") + path_of(ref.object));
  return all;
}

struct LabelRow {
  const char* label;
  std::string value;
  std::string path;  // "": it names nothing
};

TEST(References, ALabelNamesAnObject) {
  const LabelRow rows[] = {
      {"containerd.io/gc.ref.content", kDigest, "blob/" + kDigest},
      {"containerd.io/gc.ref.content.config", kDigest, "blob/" + kDigest},
      {"containerd.io/gc.ref.content/l.0", kDigest, "blob/" + kDigest},
      {"containerd.io/gc.ref.content.config", "sha256:no", ""},
      {"containerd.io/gc.ref.contents", kDigest, ""},
      {"containerd.io/gc.ref.snapshot.native", "a/b", "snap/native/a%2Fb"},
      {"containerd.io/gc.ref.snapshot.native/name", "k", "snap/native/k"},
      {"containerd.io/gc.ref.snapshot.overlayfs", "k", "snap/overlay/k"},
      {"containerd.io/gc.ref.snapshot.", "k", ""},
      {"containerd.io/gc.ref.snapshot", "k", ""},
      {"containerd.io/gc.ref.image", "docker.io/x", "image/docker.io%2Fx"},
      {"containerd.io/gc.ref.image.base", "x", "image/x"},
      {"containerd.io/gc.ref.container", "web", ""},
      {"containerd.io/gc.bref.container", "web", "back c/web"},
      {"containerd.io/gc.bref.container.name", "web", "back c/web"},
      {"containerd.io/gc.bref.content", kDigest, "back blob/" + kDigest},
      {"containerd.io/gc.bref.snapshot.overlay", "k", "back snap/overlay/k"},
      {"containerd.io/gc.bref.image", "x", "back image/x"},
      {"containerd.io/gc.root", "1", ""},
      {"containerd.io/gc.expire", "x", ""},
      {"gc.ref.content", kDigest, ""},
  };
  for (const LabelRow& row : rows) {
    auto found = refs({{row.label, row.value}});
    if (row.path.empty())
      EXPECT_THAT(found, IsEmpty()) << row.label;
    else
      EXPECT_THAT(found, ElementsAre(row.path)) << row.label;
  }
}

TEST(References, AmongOtherLabels) {
  EXPECT_THAT(refs({{"a", "1"},
                    {"containerd.io/distribution.source", "x"},
                    {"containerd.io/gc.ref.content.0", kDigest},
                    {"containerd.io/gc.ref.snapshot.overlay", "k"},
                    {"containerd.io/z", "1"}}),
              ElementsAre("blob/" + kDigest, "snap/overlay/k"));
}

TEST(References, PathsAreReadBack) {
  const Object objects[] = {
      {ObjectKind::kContainer, "web"},          {ObjectKind::kImage, "docker.io/a:1"},
      {ObjectKind::kContent, kDigest},          {ObjectKind::kIngest, "up/%25"},
      {ObjectKind::kSnapshot, "a/b", "native"}, {ObjectKind::kLease, "x y/z"},
      {ObjectKind::kCheckpoint, "warm"},
  };
  for (const Object& object : objects) {
    EXPECT_EQ(object_at(path_of(object)), object) << path_of(object);
    EXPECT_EQ(kind_of(word_of(object.kind)), object.kind);
  }
  for (const char* wrong : {"", "c", "c/", "snap/overlay", "snap/overlay/", "c/a/b", "x/y"})
    EXPECT_EQ(object_at(wrong), std::nullopt) << wrong;
  EXPECT_EQ(code_of([] { kind_of("task"); }), Code::kInvalidArgument);
  EXPECT_EQ(named(objects[4]), "snapshot \"a/b\" (native)");
}

TEST(References, Times) {
  const std::pair<const char*, int64_t> good[] = {
      {"1970-01-01T00:00:00Z", 0},
      {"1970-01-01T00:00:01.5Z", 1'500'000'000},
      {"1970-01-01T00:00:00.000000001Z", 1},
      {"1970-01-01T01:00:00+01:00", 0},
      {"1969-12-31T23:30:00-00:30", 0},
      {"2026-11-27T08:18:00Z", 1'795'767'480'000'000'000},
      {"2024-02-29T00:00:00Z", 1'709'164'800'000'000'000},
  };
  for (auto [text, ns] : good) EXPECT_EQ(parse_time(text), ns) << text;
  for (const char* wrong :
       {"", "tomorrow", "2026-11-27", "2026-11-27T08:18:00", "2026-13-01T00:00:00Z",
        "2025-02-29T00:00:00Z", "2026-11-27T24:00:00Z", "2026-11-27T08:18:00.Z",
        "2026-11-27T08:18:00ZZ", "2026-11-27T08:18:00+0100", "2026-11-27T08:18:00+24:00",
        "-026-11-27T08:18:00Z", "9999-11-27T08:18:00Z", "2026-11-27 08:18:00Z",
        "2026-11-27t08:18:00Z", "2026-11-27T08:18:00z"})
    EXPECT_EQ(parse_time(wrong), std::nullopt) << wrong;
}

}  // namespace
}  // namespace ctrd::metadata
