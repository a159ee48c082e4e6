// SPDX-License-Identifier: Apache-2.0
#include "engine/new_checkpoint.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <string_view>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/process.h"
#include "base/text.h"
#include "engine/checkpoint_files.h"
#include "engine/claim.h"
#include "engine/incomplete.h"

namespace ctrd::engine {
namespace {

constexpr std::string_view kHidden = ".new-";
constexpr const char* kElsewhere = "elsewhere";  // in a note: the directory that it is made in
constexpr int kTries = 8;

// One can be renamed into the other.
bool is_same_mount(int a, int b) {
  struct statx one {
  }, other{};
  constexpr unsigned kWanted = STATX_MNT_ID;
  if (::statx(a, "", AT_EMPTY_PATH, kWanted, &one) < 0 ||
      ::statx(b, "", AT_EMPTY_PATH, kWanted, &other) < 0)
    throw sys_error("stat a directory for checkpoints");
  return (one.stx_mask & other.stx_mask & kWanted) != 0 && one.stx_mnt_id == other.stx_mnt_id &&
         one.stx_dev_major == other.stx_dev_major && one.stx_dev_minor == other.stx_dev_minor;
}

// nullopt: whoever recovers has just taken it for a leftover.
std::optional<LockFd> make_locked(int parent, const std::string& name) {
  make_dir_at(parent, name, 0700);
  try {
    LockFd dir = LockFd::open([&] { return open_dir_at(parent, name); });
    if (try_lock(dir.get()) && exists_at(parent, name)) return dir;
  } catch (const Error& error) {
    if (error.code() != Code::kNotFound) throw;
  }
  return std::nullopt;
}

void try_remove(int parent, const std::string& name) noexcept {
  try {
    remove_tree_at(parent, name);
  } catch (const std::exception& error) {
    log(Level::kWarning, std::string("a checkpoint's directory stays: ") + error.what());
  }
}

// What lies in a directory of the user's, if that is still there.
void remove_elsewhere(int home, const std::string& name) {
  auto note = find_dir_at(home, name);
  auto parent = note ? find_file_at(note->get(), kElsewhere) : std::nullopt;
  if (!parent) return;
  try {
    remove_leftover(open_dir(*parent).get(), name);
  } catch (const Error& error) {
    if (error.code() == Code::kNotFound) return;
    log(Level::kWarning,
        "what a killed checkpoint has left in " + escaped(*parent) + " stays: " + error.message());
  }
}

}  // namespace

NewCheckpoint::NewCheckpoint(const Core& core, const std::string& parent)
    : NewCheckpoint(open_dir(checkpoints_path(core)), open_dir(parent)) {
  const bool is_here = is_same_mount(home_.get(), target_.get());
  path_ = is_here ? checkpoints_path(core) : parent;
  parent_ = open_dir(path_);
  for (int tries = 0; tries < kTries; ++tries)
    if (make(is_here ? "" : parent)) return;
  throw Error(Code::kAborted, "checkpoint: its directory is taken away again and again",
              Kind::kCheckpoint);
}

// elsewhere: where it is made, "": at home. The note comes first, so nothing is there without it.
bool NewCheckpoint::make(const std::string& elsewhere) {
  if (!note_name_.empty()) try_remove(home_.get(), note_name_);
  name_ = std::string(kHidden) + random_hex(8);
  if (!elsewhere.empty()) {
    note_name_ = name_;
    auto note = make_locked(home_.get(), note_name_);
    if (!note) return false;
    note_ = std::move(*note);
    create_file_at(note_.get(), kElsewhere, elsewhere, 0600);
  }
  auto dir = make_locked(parent_.get(), name_);
  if (!dir) return false;
  dir_ = std::move(*dir);
  make_dir_at(dir_.get(), kImagesDir, 0700);
  make_dir_at(dir_.get(), kLayerDir, 0700);
  return true;
}

NewCheckpoint::~NewCheckpoint() {
  if (!name_.empty()) try_remove(parent_.get(), name_);
  if (!note_name_.empty()) try_remove(home_.get(), note_name_);
}

std::string NewCheckpoint::images() const { return path_ + "/" + name_ + "/" + kImagesDir; }

std::string NewCheckpoint::layer() const { return path_ + "/" + name_ + "/" + kLayerDir; }

std::string NewCheckpoint::seal(metadata::Checkpoint* record, const std::string& spec,
                                const Wait& wait) {
  record->layer = digest_layer(open_dir_at(dir(), kLayerDir).get(), &record->size, wait);
  record->images = list_images(open_dir_at(dir(), kImagesDir).get(), &record->size, wait);
  metadata::Checkpoint inside = *record;
  inside.number = 0;
  return write_sealed(dir(), inside, spec);
}

void NewCheckpoint::give_name(const std::string& name) {
  ::unlinkat(target_.get(), name.c_str(), AT_REMOVEDIR);  // one that is empty
  rename_at(parent_.get(), name_, target_.get(), name);
  name_ = name;
  parent_ = open_dir_at(target_.get(), ".");
  sync_dir(parent_.get());
}

// The directories are listed first: a record comes after its directory, which is locked until then.
void remove_left_checkpoints(Core& core, const Wait& wait) {
  auto home = find_dir_at(core.root.dir.get(), kCheckpointsDir);
  if (!home) return;
  std::vector<std::string> names = list_dir(home->get());
  if (names.empty()) return;
  std::vector<uint64_t> used = checkpoints(core).numbers(wait);
  const bool may_be_lost = is_incomplete(core);  // the record of one of them
  for (const std::string& name : names) {
    auto number = to_number(name);
    bool known = number && std::find(used.begin(), used.end(), *number) != used.end();
    const bool is_left = number ? !known && !may_be_lost : name.starts_with(kHidden);
    if (!is_left) continue;
    if (!number) remove_elsewhere(home->get(), name);
    remove_leftover(home->get(), name);
  }
}

}  // namespace ctrd::engine
