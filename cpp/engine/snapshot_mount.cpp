// SPDX-License-Identifier: Apache-2.0
#include "engine/snapshot_mount.h"

#include <sys/mount.h>

#include <cerrno>

#include "base/error.h"
#include "base/files.h"
#include "base/leftover.h"
#include "base/log.h"
#include "base/text.h"
#include "engine/dir_lock.h"

namespace ctrd::engine {
namespace {

constexpr const char* kPrefix = ".mnt-";
constexpr const char* kOwn = "fs";
constexpr const char* kTarget = "target";
constexpr const char* kLayers = "layers";
constexpr std::size_t kMostText = 65536;

std::string target_of(const std::string& given) {
  if (!given.starts_with('/')) throw invalid("target", given, "must be an absolute path");
  std::string path = real_path(given);
  open_dir(path);
  if (path == "/") throw invalid("target", given, "must not be the root");
  return path;
}

std::vector<uint64_t> numbers_of(const std::vector<metadata::Snapshot>& chain) {
  std::vector<uint64_t> numbers;
  numbers.reserve(chain.size());
  for (const metadata::Snapshot& one : chain) numbers.push_back(one.number);
  return numbers;
}

// Each with a line feed behind it: one without is not written yet.
std::string text_of(const std::vector<uint64_t>& numbers) {
  std::string text;
  for (uint64_t number : numbers) text.append(std::to_string(number)) += '\n';
  return text;
}

std::vector<uint64_t> numbers_in(std::string_view text) {
  std::vector<uint64_t> numbers;
  for (std::size_t end = text.find('\n'); end != text.npos; end = text.find('\n')) {
    if (auto number = to_number(text.substr(0, end))) numbers.push_back(*number);
    text.remove_prefix(end + 1);
  }
  return numbers;
}

std::string where_of(int state, const std::string& name) {
  std::string other = "mounted by another process";
  if (!name.starts_with(name_of_ours(kPrefix, 0))) return other;
  const std::string text = find_file_at(state, name + "/" + kTarget, kMostText).value_or("");
  const std::size_t space = text.find(' ');
  return space == text.npos ? other : "mounted at " + text.substr(space + 1);
}

// False: busy.
bool unmount_once(const std::string& path) {
  if (::umount2(path.c_str(), UMOUNT_NOFOLLOW) == 0) return true;
  if (errno == EINVAL || errno == ENOENT) return true;  // somebody else has unmounted it
  if (errno == EBUSY) return false;
  throw sys_error("unmount " + path);
}

// How often something is mounted at just that place: what was there before is not ours.
std::size_t count_mounts(const std::string& path) {
  std::size_t count = 0;
  for (const std::string& one : mounts_below(path)) count += one == path;
  return count;
}

// The text of the file target: how many were there before, and where. False: it is in use, by
// whatever the process that has ended has left.
bool unmount_leftover(int dir) {
  auto text = find_file_at(dir, kTarget, kMostText);
  std::size_t space = text ? text->find(' ') : std::string::npos;
  if (space == std::string::npos) return true;
  const std::string path = text->substr(space + 1);
  const std::size_t before = std::stoul(text->substr(0, space));
  for (std::size_t count = count_mounts(path); count > before; --count)
    if (!unmount_once(path)) return false;
  return true;
}

}  // namespace

Shown shown_of(const metadata::Snapshots& records, const std::string& ns, const std::string& key,
               const std::vector<metadata::Snapshot>& chain, const Wait& wait) {
  auto check = [now = records, &ns, &key, &chain, &wait]() mutable {
    if (numbers_of(now.chain(ns, key, wait)) != numbers_of(chain))
      throw Error(Code::kAborted, "snapshot \"" + escaped(key, 128) + "\": has changed meanwhile");
  };
  return {numbers_of(chain), check};
}

SnapshotMount::SnapshotMount(Core& core, const std::vector<Mount>& mounts,
                             const std::optional<std::string>& target, const Shown& shown,
                             UniqueFd layer, LockFd use)
    : state_(open_dir_at(core.root.state.get(), ".")),
      name_(name_of_ours(kPrefix)),
      layer_(std::move(layer)),
      use_(std::move(use)) {
  if (target) path_ = target_of(*target);
  UniqueFd dir = make_dir_at(state_.get(), name_, 0700);
  try {
    if (!target) {
      make_dir_at(dir.get(), kOwn, 0700);
      path_ = core.root.state_path + "/" + name_ + "/" + kOwn;
    }
    create_file_at(dir.get(), kTarget, std::to_string(count_mounts(path_)) + " " + path_, 0600);
    create_file_at(dir.get(), kLayers, text_of(shown.layers), 0600);
    shown.check_again();
    if (layer_) replace_file_at(layer_.get(), kMountedMark, "", 0600, false);
    mount(mounts);
  } catch (...) {
    forget();
    throw;
  }
}

void SnapshotMount::mount(const std::vector<Mount>& mounts) {
  mount_all(mounts, path_);
  mounted_ = mounts.size();
}

SnapshotMount::~SnapshotMount() {
  try {
    close();
  } catch (const std::exception& error) {  // recovered once this process has ended
    log(Level::kWarning, error.what());
  }
}

void SnapshotMount::close() {
  if (closed_ || generation_ != fork_generation()) return;
  for (; mounted_ > 0; --mounted_) {
    was_busy_ = !unmount_once(path_);
    if (was_busy_)
      throw failed_precondition("unmount " + path_ + ": something in it is in use")
          .with("path", path_);
  }
  closed_ = true;
  forget();
}

void SnapshotMount::forget() {
  if (layer_) unlink_at(layer_.get(), kMountedMark);
  use_.reset();
  remove_tree_at(state_.get(), name_);
}

void note_mounts(const Core& core, std::map<uint64_t, std::string>* found) {
  const int state = core.root.state.get();
  for (const std::string& name : list_dir(state)) {
    if (!name.starts_with(kPrefix)) continue;
    auto text = find_file_at(state, name + "/" + kLayers, kMostText);
    if (!text) continue;
    for (uint64_t number : numbers_in(*text)) found->emplace(number, where_of(state, name));
  }
}

void unmount_leftovers(Core& core) {
  const int state = core.root.state.get();
  for (const std::string& name : list_dir(state)) {
    if (!is_leftover(name, kPrefix)) continue;
    LockFd dir = open_lockable(state, name);
    bool is_ours = dir && try_lock(dir.get());  // else somebody is at it
    if (is_ours && unmount_leftover(dir.get())) remove_tree_at(state, name);
  }
}

}  // namespace ctrd::engine
