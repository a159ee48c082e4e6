// SPDX-License-Identifier: Apache-2.0
// What fsck sees of a disk that others change while it looks.
#include "engine/fsck_disk.h"

#include <algorithm>

#include "base/files.h"
#include "engine/fixture.h"
#include "engine/fsck.h"

namespace ctrd::engine {
namespace {

struct FsckDiskTest : EngineTest {
  bool has_orphan(Core& core, const DiskNames& names) {
    const Findings found = check_disk(core, names, metadata::Inventory{}, false, soon());
    return std::ranges::any_of(found, [](const metadata::Finding& one) {
      return one.kind == "checkpoint" && one.problem == "orphaned";
    });
  }
};

// Its directory is listed, the records are read, it gets its record, and its maker lets it go.
TEST_F(FsckDiskTest, ACheckpointThatIsJustRecordedIsNoOrphan) {
  Core& core = core_unentered(engine());
  make_dirs_at(core.root.dir.get(), "checkpoints/7", 0700);
  UniqueFd maker = open_dir(root_ + "/checkpoints/7");
  ASSERT_TRUE(try_lock(maker.get()));
  const DiskNames names = list_names(core);
  EXPECT_FALSE(has_orphan(core, names));
  maker.reset();
  EXPECT_FALSE(has_orphan(core, names));
  const DiskNames later = list_names(core);
  EXPECT_TRUE(has_orphan(core, later));
  remove_tree_at(core.root.dir.get(), "checkpoints");
  EXPECT_FALSE(has_orphan(core, later));  // nor is one that was just removed
}

}  // namespace
}  // namespace ctrd::engine
