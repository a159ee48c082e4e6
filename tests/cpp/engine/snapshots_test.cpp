// SPDX-License-Identifier: Apache-2.0
// The snapshot verbs with their directories, for overlay and native: states, errors, and two
// processes at one snapshot.
#include "engine/snapshots.h"

#include <sys/mount.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/files.h"
#include "engine/checkpoint.h"
#include "engine/fixture.h"
#include "engine/snapshot_mount.h"

namespace ctrd::engine {
namespace fs = std::filesystem;
namespace {

class SnapshotVerbs : public EngineTest, public testing::WithParamInterface<const char*> {
 protected:
  Snapshots& all() { return engine().snapshots(soon()); }
  SnapshotRef ref(const std::string& key) const { return {kNs, key, GetParam()}; }
  void prepare(const std::string& key, const std::string& parent = {}) {
    all().prepare(ref(key), parent, {}, soon());
  }
  void commit(const std::string& name, const std::string& key) {
    all().commit(name, ref(key), {}, soon());
  }
  // With one file in it.
  void make_base(const std::string& name, const std::string& file, const std::string& parent = {}) {
    prepare("making-" + name, parent);
    write(all().mount(ref("making-" + name), std::nullopt, soon())->path() + "/" + file, name);
    commit(name, "making-" + name);
  }
  void write(const std::string& path, const std::string& text) { std::ofstream(path) << text; }
  std::string read(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  std::vector<std::string> directories() const {
    return list_dir(open_dir(root_ + "/snapshots").get());
  }
  void remove_all(const std::vector<std::string>& keys) {
    for (const auto& key : keys) all().remove(ref(key), soon());
    EXPECT_TRUE(directories().empty());
  }
  std::string failure(const std::function<void()>& f, Code code) {
    Error error(Code::kOk, "");
    EXPECT_EQ(code_of(f, &error), code) << error.message();
    return error.message();
  }
};
INSTANTIATE_TEST_SUITE_P(Each, SnapshotVerbs, testing::Values("overlay", "native"),
                         [](const auto& each) { return std::string(each.param); });

TEST_P(SnapshotVerbs, StatesAndErrors) {
  make_base("base", "a");
  EXPECT_EQ(all().stat(ref("base"), soon()).record.kind, metadata::kCommitted);
  prepare("work", "base");
  all().view(ref("seen"), "base", {}, soon());
  EXPECT_EQ(all().stat(ref("seen"), soon()).record.kind, metadata::kView);
  struct {
    const char* what;
    std::function<void()> verb;
    Code code;
  } rows[] = {
      {"mounts of a committed one", [&] { all().mounts(ref("base"), soon()); },
       Code::kFailedPrecondition},
      {"mount of a committed one", [&] { all().mount(ref("base"), std::nullopt, soon()); },
       Code::kFailedPrecondition},
      {"commit of a view", [&] { commit("x", "seen"); }, Code::kFailedPrecondition},
      {"commit of a committed one", [&] { commit("x", "base"); }, Code::kFailedPrecondition},
      {"commit as what is there", [&] { commit("base", "work"); }, Code::kAlreadyExists},
      {"commit of nothing", [&] { commit("x", "nothing"); }, Code::kNotFound},
      {"upon nothing that is there", [&] { prepare("x", "nothing"); }, Code::kNotFound},
      {"upon an active one", [&] { prepare("x", "work"); }, Code::kInvalidArgument},
      {"a key that is used", [&] { prepare("work", "base"); }, Code::kAlreadyExists},
      {"no key", [&] { prepare(""); }, Code::kInvalidArgument},
      {"another snapshotter",
       [&] {
         all().prepare({kNs, "x", "zfs"}, "", {}, soon());
       },
       Code::kUnimplemented},
      {"remove of a parent", [&] { all().remove(ref("base"), soon()); }, Code::kFailedPrecondition},
      {"remove of nothing", [&] { all().remove(ref("nothing"), soon()); }, Code::kNotFound},
      {"stat of nothing", [&] { all().stat(ref("nothing"), soon()); }, Code::kNotFound},
      {"usage of nothing", [&] { all().usage(ref("nothing"), soon()); }, Code::kNotFound},
      {"mounts of nothing", [&] { all().mounts(ref("nothing"), soon()); }, Code::kNotFound},
      {"a target that is no directory", [&] { all().mount(ref("work"), top_ + "/none", soon()); },
       Code::kNotFound},
  };
  const auto before = directories();
  for (const auto& row : rows) {
    SCOPED_TRACE(row.what);
    failure(row.verb, row.code);
    EXPECT_EQ(directories(), before);
    EXPECT_EQ(all().list(kNs, GetParam(), {}, soon()).size(), 3u);
  }
  remove_all({"seen", "work", "base"});
}

TEST_P(SnapshotVerbs, ChangesStayInTheirLayer) {
  make_base("one", "a");
  make_base("two", "b", "one");
  prepare("work", "two");
  {
    auto mounted = all().mount(ref("work"), std::nullopt, soon());
    EXPECT_EQ(read(mounted->path() + "/a"), "one");
    EXPECT_EQ(read(mounted->path() + "/b"), "two");
    fs::remove(mounted->path() + "/a");
    write(mounted->path() + "/b", "changed");
  }
  auto view = all().view(ref("seen"), "two", {}, soon());
  {
    auto mounted = all().mount(ref("seen"), std::nullopt, soon());
    EXPECT_EQ(read(mounted->path() + "/a") + read(mounted->path() + "/b"), "onetwo");
    write(mounted->path() + "/new", "x");
    EXPECT_FALSE(fs::exists(mounted->path() + "/new"));
  }
  commit("three", "work");
  prepare("last", "three");
  {
    auto mounted = all().mount(ref("last"), std::nullopt, soon());
    EXPECT_FALSE(fs::exists(mounted->path() + "/a"));
    EXPECT_EQ(read(mounted->path() + "/b"), "changed");
  }
  remove_all({"last", "seen", "three", "two", "one"});
}

TEST_P(SnapshotVerbs, AMountedViewIsNotRemoved) {
  make_base("base", "a");
  all().view(ref("seen"), "base", {}, soon());
  all().view(ref("empty"), "", {}, soon());
  for (const char* key : {"seen", "empty"}) {
    auto mounted = all().mount(ref(key), std::nullopt, soon());
    const std::string why = failure([&] { all().remove(ref(key), soon()); },  //
                                    Code::kFailedPrecondition);
    EXPECT_NE(why.find("mounted at " + mounted->path()), std::string::npos) << why;
    EXPECT_EQ(all().stat(ref(key), soon()).record.kind, metadata::kView);
  }
  remove_all({"seen", "empty", "base"});
}

// A collection reads the store at either side of the second look at it: it sees what is noted, or
// the second look sees what it took.
TEST_P(SnapshotVerbs, LayersAreNotedBeforeTheSecondLook) {
  make_base("base", "a");
  auto mounts = all().view(ref("seen"), "base", {}, soon());
  Core& core = core_of(engine(), soon());
  const std::string key = "seen";
  const Wait wait = soon();
  metadata::Snapshots records(core.containers.ledger(), GetParam());
  const auto chain = records.chain(kNs, key, wait);
  Shown shown = shown_of(records, kNs, key, chain, wait);
  std::map<uint64_t, std::string> noted;
  auto check = [&, second = shown.check_again] {
    note_mounts(core, &noted);
    records.remove(kNs, key, wait);
    second();
  };
  shown.check_again = check;
  failure([&] { SnapshotMount(core, mounts, std::nullopt, shown); }, Code::kNotFound);
  EXPECT_EQ(noted.size(), 2u);
  for (const auto& one : chain) EXPECT_TRUE(noted.contains(one.number));
  noted.clear();
  note_mounts(core, &noted);
  EXPECT_TRUE(noted.empty());
  remove_all({"base"});
}

TEST_P(SnapshotVerbs, IsMountedOnce) {
  prepare("work");
  auto mounted = all().mount(ref("work"), std::nullopt, soon());
  const std::string where = mounted->path();
  auto other = open();
  for (Snapshots* one : {&all(), &other->snapshots(soon())}) {
    EXPECT_NE(
        failure([&] { one->mount(ref("work"), std::nullopt, soon()); }, Code::kFailedPrecondition)
            .find(where),
        std::string::npos);
    failure([&] { one->commit("x", ref("work"), {}, soon()); }, Code::kFailedPrecondition);
    failure([&] { one->remove(ref("work"), soon()); }, Code::kFailedPrecondition);
    failure([&] { one->mounts(ref("work"), soon()); }, Code::kFailedPrecondition);
  }
  mounted->close();
  mounted->close();
  commit("base", "work");
  remove_all({"base"});
}

TEST_P(SnapshotVerbs, ABusyMountStays) {
  prepare("work");
  auto mounted = all().mount(ref("work"), std::nullopt, soon());
  {
    UniqueFd used = open_dir(mounted->path());
    failure([&] { mounted->close(); }, Code::kFailedPrecondition);
    EXPECT_TRUE(mounted->was_busy());
  }
  mounted->close();
  remove_all({"work"});
}

TEST_P(SnapshotVerbs, AContainersLayerIsItsOwn) {
  make_base("base", "a");
  CreateOptions made = options({"/bin/true"});
  made.snapshotter = GetParam();
  made.id = "c";
  engine().create(kNs, made, soon());
  for (const auto& one : all().list(kNs, GetParam(), {}, soon()))
    EXPECT_EQ(one.container, one.key == "c" ? "c" : "");
  failure([&] { all().remove(ref("c"), soon()); }, Code::kFailedPrecondition);
  failure([&] { commit("x", "c"); }, Code::kFailedPrecondition);
  engine().remove(kNs, "c", false, false, soon());
  failure([&] { all().stat(ref("c"), soon()); }, Code::kNotFound);
  remove_all({"base"});
}

// One in each of two processes; the one that is killed leaves its mount, which the other unmounts.
TEST_P(SnapshotVerbs, TwoProcesses) {
  std::vector<std::string> args = helper_args();
  args.emplace_back(GetParam());
  prepare("work");
  Second other("mount", args);
  const std::string where = other.line();
  ASSERT_TRUE(where.starts_with(state_)) << where;
  failure([&] { all().mount(ref("work"), std::nullopt, soon()); }, Code::kFailedPrecondition);
  failure([&] { all().remove(ref("work"), soon()); }, Code::kFailedPrecondition);
  other.kill();
  EXPECT_EQ(read(all().mount(ref("work"), std::nullopt, soon())->path() + "/file"), "other's");
  commit("base", "work");
  remove_all({"base"});
}

TEST_P(SnapshotVerbs, AreNamedByTheEngineOrTheNamespace) {
  engine().create_namespace("ns", {{"containerd.io/defaults/snapshotter", GetParam()}}, soon());
  all().prepare({"ns", "x"}, "", {}, soon());
  EXPECT_EQ(all().list("ns", GetParam(), {}, soon()).size(), 1u);
  all().remove({"ns", "x"}, soon());
  engine().remove_namespace("ns", soon());
}

}  // namespace
}  // namespace ctrd::engine
