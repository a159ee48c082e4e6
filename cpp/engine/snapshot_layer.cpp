// SPDX-License-Identifier: Apache-2.0
#include "engine/snapshot_layer.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

#include "base/error.h"
#include "base/files.h"
#include "base/mountinfo.h"
#include "base/text.h"
#include "engine/dir_lock.h"
#include "engine/snapshot_mount.h"
#include "metadata/snapshots.h"
#include "snapshot/directory.h"
#include "snapshot/native.h"

namespace ctrd::engine {
namespace {

constexpr std::size_t kMaxLayers = 128;
constexpr Nanos kTrashLimit = std::chrono::seconds(5);  // for whoever just looks at it

void take(const LockFd& dir, const std::string& name, const Wait& wait) {
  for (Nanos step = std::chrono::microseconds(50); !try_lock(dir.get());
       step = std::min<Nanos>(step * 3 / 2, std::chrono::milliseconds(5))) {
    wait.check();
    if (wait.expired()) throw_timeout("wait for the directory of snapshot " + name, wait);
    poll_until({}, wait.within(step));
  }
}

// As the mount table writes a path or as overlay takes it: without escapes.
std::string plain(std::string_view text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    bool is_octal = text[i] == '\\' && i + 3 < text.size() &&
                    text.substr(i + 1, 3).find_first_not_of("01234567") == text.npos;
    if (is_octal) {
      result +=
          static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + text[i + 3] - '0');
      i += 3;
    } else if (text[i] != '\\') {
      result += text[i];
    }
  }
  return result;
}

bool is_upper_of(const MountEntry& entry, const std::string& fs) {
  constexpr std::string_view kUpper = ",upperdir=", kNext = ",workdir=";
  if (entry.type != "overlay") return false;
  std::size_t begin = entry.options.find(kUpper);
  if (begin == entry.options.npos) return false;
  begin += kUpper.size();
  std::size_t end = entry.options.find(kNext, begin);
  return plain(entry.options.substr(begin, end - begin)) == plain(fs);
}

// The directory itself, mounted elsewhere.
bool is_bind_of(const MountEntry& entry, uint64_t number, const struct stat& fs) {
  if (!entry.root.ends_with("/" + std::to_string(number) + "/fs")) return false;
  struct stat there {};
  return ::stat(entry.target.c_str(), &there) == 0 && there.st_dev == fs.st_dev &&
         there.st_ino == fs.st_ino;
}

std::vector<std::string> parents_of(Core& core, const std::vector<metadata::Snapshot>& chain) {
  std::vector<std::string> paths;
  for (std::size_t i = 1; i < chain.size(); ++i) {
    if (!exists_at(core.root.snapshots.get(), std::to_string(chain[i].number) + "/fs"))
      throw Error(Code::kDataLoss,
                  "snapshot \"" + chain[i - 1].parent + "\": its directory is gone")
          .with("path", layer_path(core, chain[i].number));
    paths.push_back(layer_path(core, chain[i].number));
  }
  if (!chain.back().bottom.empty()) paths.push_back(chain.back().bottom);
  if (paths.size() <= kMaxLayers) return paths;
  throw Error(Code::kResourceExhausted, "snapshot: it stands upon " + std::to_string(paths.size()) +
                                            " layers, and 128 is the most");
}

std::vector<Mount> overlay_mounts(Core& core, const std::vector<metadata::Snapshot>& chain) {
  std::vector<std::string> lowers = parents_of(core, chain);
  if (chain[0].kind == metadata::kActive) return core.overlay.active(chain[0].number, lowers);
  return lowers.empty() ? core.overlay.empty_view(chain[0].number) : core.overlay.view(lowers);
}

std::vector<Mount> native_mounts(Core& core, const std::vector<metadata::Snapshot>& chain,
                                 const Wait& wait) {
  parents_of(core, chain);
  snapshot::Native native(core.root.snapshots.get(), core.root.path + "/snapshots");
  std::optional<uint64_t> parent;
  if (chain.size() > 1) parent = chain[1].number;
  if (chain[0].kind != metadata::kActive) return native.view(chain[0].number, parent, wait);
  if (chain[0].bottom.empty()) return native.active(chain[0].number, parent, wait);
  UniqueFd bottom = open_dir(chain[0].bottom);
  return native.over(chain[0].number, bottom.get(), wait);
}

}  // namespace

std::string layer_path(const Core& core, uint64_t number) {
  return core.root.path + "/snapshots/" + std::to_string(number) + "/fs";
}

std::optional<Layer> Layer::find(Core& core, uint64_t number, const Wait& wait) {
  const int snapshots = core.root.snapshots.get();
  const std::string name = std::to_string(number);
  for (;;) {
    LockFd dir = open_lockable(snapshots, name);
    if (!dir) return std::nullopt;
    take(dir, name, wait);
    if (is_named(snapshots, name, dir.get())) return Layer(std::move(dir), number);
  }
}

Layer Layer::make(Core& core, uint64_t number, const Wait& wait) {
  for (;;) {
    if (auto layer = find(core, number, wait)) return std::move(*layer);
    make_dirs_at(core.root.snapshots.get(), std::to_string(number), 0700);
  }
}

std::vector<Mount> make_mounts(Core& core, const std::string& snapshotter,
                               const std::vector<metadata::Snapshot>& chain, const Wait& wait) {
  return snapshotter == metadata::kNative ? native_mounts(core, chain, wait)
                                          : overlay_mounts(core, chain);
}

std::vector<std::string> layer_paths(Core& core, const std::string& snapshotter,
                                     const std::vector<metadata::Snapshot>& chain) {
  std::vector<std::string> paths = parents_of(core, chain);
  if (exists_at(core.root.snapshots.get(), std::to_string(chain[0].number) + "/fs"))
    paths.insert(paths.begin(), layer_path(core, chain[0].number));
  if (snapshotter == metadata::kNative && paths.size() > 1) paths.resize(1);  // a whole copy
  return paths;
}

std::optional<std::string> find_mount(Core& core, uint64_t number) {
  struct stat fs {};
  const std::string path = layer_path(core, number);
  if (::stat(path.c_str(), &fs) < 0) return std::nullopt;
  for (const MountEntry& entry : read_mountinfo())
    if (is_upper_of(entry, path) || is_bind_of(entry, number, fs)) return entry.target;
  return std::nullopt;
}

namespace {

// The numbers of this root's layers in an overlay's options.
void note_layers(const Core& core, const MountEntry& entry,
                 std::map<uint64_t, std::string>* found) {
  const std::string options = plain(entry.options);
  const std::string prefix = plain(core.root.path + "/snapshots/");
  for (std::size_t at = options.find(prefix); at != options.npos; at = options.find(prefix, at)) {
    at += prefix.size();
    const std::size_t end = std::min(options.find('/', at), options.size());
    auto number = to_number(std::string_view(options).substr(at, end - at));
    if (number && options.compare(end, 3, "/fs") == 0)
      found->emplace(*number, "mounted at " + entry.target);
  }
}

// Of a path that ends in /<n>/fs.
std::optional<uint64_t> number_in(const std::string& path) {
  if (!path.ends_with("/fs")) return std::nullopt;
  const std::string above = path.substr(0, path.size() - 3);
  return to_number(above.substr(above.rfind('/') + 1));
}

void note_bind(const Core& core, const MountEntry& entry, std::map<uint64_t, std::string>* found) {
  auto number = number_in(entry.root);
  struct stat fs {};
  if (number && ::stat(layer_path(core, *number).c_str(), &fs) == 0 &&
      is_bind_of(entry, *number, fs))
    found->emplace(*number, "mounted at " + entry.target);
}

}  // namespace

std::map<uint64_t, std::string> layers_in_use(Core& core) {
  std::map<uint64_t, std::string> found;
  for (const MountEntry& entry : read_mountinfo()) {
    if (entry.type == "overlay") note_layers(core, entry, &found);
    note_bind(core, entry, &found);
  }
  note_mounts(core, &found);
  return found;
}

LockFd use_alone(Core& core, const Layer& layer, const std::string& what, bool look) {
  LockFd fs = open_lockable(layer.dir(), "fs");
  if (fs && !try_lock(fs.get())) {
    auto where = find_mount(core, layer.number());
    throw failed_precondition(what + ": another process has it mounted" +
                              (where ? " at " + *where : ""));
  }
  const bool was_mounted = exists_at(layer.dir(), kMountedMark);
  if (was_mounted) unmount_leftovers(core);  // of a process that was killed
  if (look || was_mounted)
    if (auto where = find_mount(core, layer.number()))
      throw failed_precondition(what + ": it is mounted at " + *where).with("path", *where);
  if (was_mounted) unlink_at(layer.dir(), kMountedMark);
  return fs;
}

bool is_unsettled(const Layer& layer) {
  return exists_at(layer.dir(), "work/work/incompat/volatile");
}

void settle(const Layer& layer) {
  if (!is_unsettled(layer)) return;
  UniqueFd work = open_dir_at(layer.dir(), "work/work");
  if (::syncfs(work.get()) < 0) throw sys_error("sync a snapshot");
  remove_tree_at(work.get(), "incompat");
}

void remove_layer(Core& core, uint64_t number) {
  {
    auto layer = Layer::find(core, number, cleanup_wait(kTrashLimit));
    if (layer) use_alone(core, *layer, "snapshot " + std::to_string(number), false);
  }
  snapshot::remove_directory(core.root.snapshots.get(), number);
}

}  // namespace ctrd::engine
