// SPDX-License-Identifier: Apache-2.0
// Each test runs in a process of its own with a private mount namespace: unshare(1) starts this
// program again.
#include "base/mount.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>

#include "base/mountinfo.h"
#include "base/spawn.h"
#include "temp_dir.h"

namespace ctrd {
namespace {

constexpr char kInside[] = "CTRD_TEST_MOUNT_NAMESPACE";

std::vector<std::string> environment_inside() {
  std::vector<std::string> env;
  for (char** word = environ; *word; ++word)
    if (!std::string_view(*word).starts_with("GTEST_")) env.push_back(*word);
  env.push_back(std::string(kInside) + "=1");
  return env;
}

void run_inside(const std::string& test, void (*body)()) {
  if (::getenv(kInside)) return body();
  SpawnSpec spec{.argv = {"unshare", "-m", "--propagation", "private", real_path("/proc/self/exe"),
                          "--gtest_filter=MountTest." + test},
                 .env = environment_inside()};
  Output output = run_command(spec, "", {after(std::chrono::seconds(100)), {}});
  EXPECT_EQ(output.exit.status, 0) << output.out << output.err;
  EXPECT_NE(output.out.find("[  PASSED  ] 1 test"), std::string::npos) << output.out;
}

#define MOUNT_TEST(name)                              \
  void name();                                        \
  TEST(MountTest, name) { run_inside(#name, &name); } \
  void name()

unsigned long flags_of(const std::string& path) {
  struct statvfs facts {};
  EXPECT_EQ(::statvfs(path.c_str(), &facts), 0);
  return facts.f_flag;
}

bool can_write(const std::string& dir) {
  UniqueFd fd(::open((dir + "/probe").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  return static_cast<bool>(fd);
}

// A directory with at/ (to mount at) and a tmpfs with a source/ in it, for what a disk may not
// carry.
class Place {
 public:
  Place() {
    make_dirs_at(dir_.fd(), "at", 0755);
    make_dirs_at(dir_.fd(), "work", 0755);
    mount_all({{.type = "tmpfs", .source = "tmpfs"}}, path("work"));
    for (std::string name : {"source", "upper", "workdir", "low1", "low2"})
      make_dirs_at(open_dir(path("work")).get(), name, 0755);
    create_file_at(work().get(), "source/file", "source", 0644);
    create_file_at(work().get(), "low1/one", "1", 0644);
    create_file_at(work().get(), "low2/two", "2", 0644);
  }
  ~Place() { unmount_all(dir_.path()); }

  UniqueFd work() const { return open_dir(path("work")); }
  std::string path(const std::string& name) const { return dir_.path(name); }
  std::string at() const { return dir_.path("at"); }
  std::string read(const std::string& name) const {
    return read_file_at(open_dir(at()).get(), name);
  }

 private:
  TempDir dir_;
};

MOUNT_TEST(BindIsReadOnlyAfterARemount) {
  Place place;
  mount_all(
      {{.type = "bind", .source = place.path("work/source"), .options = {"rbind", "ro", "nosuid"}}},
      place.at());
  EXPECT_EQ(place.read("file"), "source");
  EXPECT_TRUE(flags_of(place.at()) & ST_RDONLY);
  EXPECT_TRUE(flags_of(place.at()) & ST_NOSUID);
  EXPECT_FALSE(can_write(place.at()));
  EXPECT_TRUE(can_write(place.path("work/source")));
}

MOUNT_TEST(BindKeepsItsSourcesFlags) {
  Place place;
  mount_all({{.type = "tmpfs", .source = "t", .options = {"nodev", "noexec"}}}, place.at());
  make_dirs_at(place.work().get(), "second", 0755);
  mount_all({{.type = "bind", .source = place.at(), .options = {"ro", "exec"}}},
            place.path("work/second"));
  EXPECT_TRUE(flags_of(place.path("work/second")) & ST_NODEV);
  EXPECT_TRUE(flags_of(place.path("work/second")) & ST_RDONLY);
  EXPECT_FALSE(flags_of(place.path("work/second")) & ST_NOEXEC);
}

MOUNT_TEST(ABindNeedsNoWord) {
  Place place;
  mount_all({{.type = "bind", .source = place.path("work/source")}}, place.at());
  EXPECT_TRUE(can_write(place.path("work/source")));
  EXPECT_EQ(place.read("probe"), "");
}

MOUNT_TEST(TmpfsTakesData) {
  Place place;
  mount_all({{.type = "tmpfs", .source = "tmpfs", .options = {"nosuid", "size=64k", "mode=0700"}}},
            place.at());
  struct statvfs facts {};
  ASSERT_EQ(::statvfs(place.at().c_str(), &facts), 0);
  EXPECT_EQ(facts.f_blocks * facts.f_frsize, 65536u);
}

MOUNT_TEST(OverlayThenAMountInsideIt) {
  Place place;
  std::string work = place.path("work");
  make_dirs_at(place.work().get(), "low1/data", 0755);
  mount_all(
      {{.type = "overlay",
        .source = "overlay",
        .options = {"lowerdir=" + work + "/low1:" + work + "/low2", "upperdir=" + work + "/upper",
                    "workdir=" + work + "/workdir"}},
       {.type = "bind", .source = work + "/source", .target = "data", .options = {"bind", "ro"}}},
      place.at());
  EXPECT_EQ(place.read("one"), "1");
  EXPECT_EQ(place.read("two"), "2");
  EXPECT_EQ(read_file_at(open_dir(place.at() + "/data").get(), "file"), "source");
  EXPECT_TRUE(can_write(place.at()));
  EXPECT_FALSE(can_write(place.at() + "/data"));
  unmount_all(place.at());
  EXPECT_TRUE(mounts_below(place.at()).empty());
}

MOUNT_TEST(ALongOverlayFitsByDescriptors) {
  Place place;
  std::string lower = "lowerdir=";
  const std::string pad(200, 'p');
  for (int i = 0; i < 60; ++i) {  // 13,000 bytes of paths
    std::string name = "low1/" + pad + std::to_string(i) + "a:b";
    make_dirs_at(place.work().get(), name, 0755);
    create_file_at(place.work().get(), name + "/f" + std::to_string(i), "x", 0644);
    lower += (i ? ":" : "") + place.path("work/low1/" + pad + std::to_string(i) + "a\\:b");
  }
  char before[4096];
  ASSERT_NE(::getcwd(before, sizeof before), nullptr);
  mount_all({{.type = "overlay", .source = "overlay", .options = {"ro", lower}}}, place.at());
  char now[4096];
  ASSERT_NE(::getcwd(now, sizeof now), nullptr);
  EXPECT_STREQ(before, now);
  EXPECT_EQ(list_dir(open_dir(place.at()).get()).size(), 60u);
  EXPECT_EQ(place.read("f59"), "x");
}

MOUNT_TEST(ATargetStaysInsideTheRoot) {
  Place place;
  UniqueFd source = open_dir(place.path("work/source"));
  make_dirs_at(source.get(), "inner", 0755);
  ASSERT_EQ(::symlinkat("/inner", source.get(), "rooted"), 0);
  ASSERT_EQ(::symlinkat("../../low1", source.get(), "up"), 0);
  std::string root = place.path("work/source");
  mount_all({{.type = "tmpfs", .source = "t", .target = "rooted"}}, root);
  EXPECT_EQ(mounts_below(root), std::vector<std::string>{real_path(root) + "/inner"});
  EXPECT_EQ(code_of([&] { mount_all({{.type = "tmpfs", .source = "t", .target = "up"}}, root); }),
            Code::kNotFound);
  EXPECT_EQ(code_of([&] { mount_all({{.type = "tmpfs", .source = "t", .target = "no"}}, root); }),
            Code::kNotFound);
}

MOUNT_TEST(AFailureUndoesItsOwnMountsOnly) {
  Place place;
  auto before = read_mountinfo();
  Error error = error_of([&] {
    mount_all({{.type = "tmpfs", .source = "t"},
               {.type = "bind", .source = "/no/such/source", .options = {"bind"}}},
              place.at());
  });
  EXPECT_EQ(error.code(), Code::kNotFound);
  for (const auto& word : {std::string("bind"), std::string("/no/such/source"), place.at()})
    EXPECT_NE(error.message().find(word), std::string::npos) << error.what();
  EXPECT_EQ(read_mountinfo(), before);
}

MOUNT_TEST(BadMountsAreErrors) {
  Place place;
  auto code = [&](Mount mount) { return code_of([&] { mount_all({mount}, place.at()); }); };
  EXPECT_EQ(code({.type = "tmpfs", .source = "t", .options = {"loop"}}), Code::kUnimplemented);
  EXPECT_EQ(code({.type = "tmpfs", .source = "t", .options = {"uidmap=0:1:2"}}),
            Code::kUnimplemented);
  EXPECT_EQ(code({.type = "fuse3.x", .source = "t"}), Code::kUnimplemented);
  EXPECT_EQ(code({.type = "tmpfs", .source = "t", .options = {"no-such-word"}}),
            Code::kInvalidArgument);
  EXPECT_EQ(code({.type = "no-such-type", .source = "t"}), Code::kInternal);
  EXPECT_EQ(code({.type = "tmpfs", .source = std::string("a\0b", 3)}), Code::kInvalidArgument);
  EXPECT_EQ(code({.type = "tmpfs", .source = "t", .options = {std::string("a\0b", 3)}}),
            Code::kInvalidArgument);
  EXPECT_EQ(code({.type = "tmpfs", .source = "t", .options = {std::string(5000, 'x')}}),
            Code::kInvalidArgument);
  EXPECT_EQ(code_of([&] { mount_all({{.type = "tmpfs", .source = "t"}}, place.path("no")); }),
            Code::kNotFound);
  EXPECT_TRUE(mounts_below(place.at()).empty());
}

MOUNT_TEST(PropagationComesAfterTheMount) {
  Place place;
  mount_all({{.type = "bind", .source = place.path("work/source"), .options = {"bind", "rshared"}}},
            place.at());
  std::string text;
  UniqueFd proc = open_dir("/proc/self");
  std::string table = read_file_at(proc.get(), "mountinfo");
  std::size_t at = table.find(" " + real_path(place.at()) + " ");
  ASSERT_NE(at, std::string::npos);
  std::string line = table.substr(at, table.find('\n', at) - at);
  EXPECT_NE(line.find(" shared:"), std::string::npos) << line;
}

MOUNT_TEST(UnmountsStacksAndBusyOnes) {
  Place place;
  for (int i = 0; i < 3; ++i) mount_all({{.type = "tmpfs", .source = "t"}}, place.at());
  make_dirs_at(open_dir(place.at()).get(), "in ner", 0755);
  mount_all({{.type = "tmpfs", .source = "t", .target = "in ner"}}, place.at());
  EXPECT_EQ(mounts_below(place.at()).size(), 4u);
  UniqueFd busy = open_at(open_dir(place.at() + "/in ner").get(), "f", O_RDWR | O_CREAT);
  unmount_all(place.at());
  EXPECT_TRUE(mounts_below(place.at()).empty());
  unmount_all(place.at());
  unmount_all(place.path("nothing"));
}

MOUNT_TEST(NeverUnmountsTheRoot) {
  EXPECT_EQ(code_of([] { unmount_all("/"); }), Code::kInvalidArgument);
  EXPECT_EQ(code_of([] { unmount_all("//"); }), Code::kInvalidArgument);
  EXPECT_EQ(code_of([] { unmount_all("/tmp/.."); }), Code::kInvalidArgument);
  EXPECT_GT(mounts_below("/").size(), 1u);
}

MOUNT_TEST(ASiblingWithTheSamePrefixStays) {
  Place place;
  UniqueFd work = place.work();
  make_dirs_at(work.get(), "source-2", 0755);
  mount_all({{.type = "tmpfs", .source = "t"}}, place.path("work/source-2"));
  EXPECT_TRUE(mounts_below(place.path("work/source")).empty());
  unmount_all(place.path("work/source"));
  EXPECT_EQ(mounts_below(place.path("work/source-2")).size(), 1u);
}

// remove_tree_at, where mounts are allowed.
MOUNT_TEST(RemovalStopsAtAMount) {
  Place place;
  UniqueFd work = place.work();
  make_dirs_at(work.get(), "tree/sub/mnt", 0755);
  mount_all({{.type = "bind", .source = place.path("work/source")}},
            place.path("work/tree/sub/mnt"));
  // A bind of the same filesystem: its device number is the same on both sides.
  EXPECT_EQ(code_of([&] { remove_tree_at(work.get(), "tree"); }), Code::kFailedPrecondition);
  EXPECT_EQ(code_of([&] { remove_tree_at(work.get(), "tree/sub/mnt"); }),
            Code::kFailedPrecondition);
  EXPECT_TRUE(exists_at(work.get(), "source/file"));
  unmount_all(place.path("work/tree"));
  EXPECT_TRUE(remove_tree_at(work.get(), "tree"));
  EXPECT_TRUE(exists_at(work.get(), "source/file"));
}

MOUNT_TEST(RemovalStopsAtABoundFile) {
  Place place;
  UniqueFd work = place.work();
  make_dirs_at(work.get(), "tree", 0755);
  create_file_at(work.get(), "tree/file", "", 0600);
  mount_all({{.type = "bind", .source = place.path("work/source/file"), .target = "file"}},
            place.path("work/tree"));
  EXPECT_EQ(code_of([&] { remove_tree_at(work.get(), "tree"); }), Code::kFailedPrecondition);
  EXPECT_EQ(read_file_at(work.get(), "source/file"), "source");
}

}  // namespace
}  // namespace ctrd
