// SPDX-License-Identifier: Apache-2.0
#include "engine/checkpoint_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <sstream>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/process.h"
#include "base/text.h"
#include "content/ingest.h"
#include "content/sha256.h"
#include "engine/dir_lock.h"
#include "snapshot/layer_bytes.h"

namespace ctrd::engine {
namespace {

constexpr const char* kManifest = "manifest";
constexpr const char* kSpec = "spec.json";
constexpr std::string_view kHidden = ".new-";
constexpr char kVersion = 1;
constexpr std::size_t kMaxManifest = 64u << 20;  // a line an image

uint64_t size_of(int fd) {
  struct stat facts {};
  if (::fstat(fd, &facts) < 0) throw sys_error("stat an image");
  if (!S_ISREG(facts.st_mode)) throw invalid("image", "", "no regular file");
  return static_cast<uint64_t>(facts.st_size);
}

std::string sha256_of(int fd, const Wait& wait) {
  content::Sha256 hash;
  content::hash_file(fd, hash, wait);
  return hash.hex();
}

Error damaged(const std::string& path, const std::string& why) {
  return Error(Code::kDataLoss, "checkpoint " + escaped(path) + " is damaged: " + why,
               Kind::kCheckpoint)
      .with("path", path);
}

// A file that must be there, none of whose kind may be a link.
std::string read_member(int dir, const std::string& path, const char* name) {
  try {
    auto bytes = find_file_at(dir, name, kMaxManifest);
    if (bytes && !bytes->empty()) return std::move(*bytes);
  } catch (const Error& error) {
    if (error.sys_errno() == EACCES) throw;
    throw damaged(path, std::string(name) + ": " + error.message());
  }
  throw damaged(path, std::string("it has no ") + name);
}

// Named in a manifest, which may be a stranger's.
UniqueFd open_image(int dir, const std::string& path, const std::string& name) {
  std::string shown = escaped(name, 64);
  if (name.find('/') != name.npos || name.starts_with('.'))
    throw damaged(path, "an image is called " + shown);
  struct stat facts {};
  if (::fstatat(dir, name.c_str(), &facts, AT_SYMLINK_NOFOLLOW) < 0)
    throw damaged(path, shown + " is missing");
  if (!S_ISREG(facts.st_mode)) throw damaged(path, shown + " is no regular file");
  return open_at(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
}

std::string digest_of(const std::string& manifest, const std::string& spec) {
  return content::digest_of(manifest + '\n' + spec);
}

// For whoever uses it, or makes it.
void wait_a_moment(const std::string& path, const Wait& wait) {
  if (wait.expired()) throw_timeout("wait for checkpoint " + path, wait);
  poll_until({}, wait.within(std::chrono::milliseconds(2)));
}

void check_images(const Sealed& sealed, const Wait& wait) {
  UniqueFd dir = open_part(sealed, kImagesDir);
  std::istringstream lines(sealed.record.images);
  uint64_t size = 0;
  std::size_t count = 0;
  std::string hex, name;
  while (lines >> size >> hex >> name) {
    ++count;
    UniqueFd file = open_image(dir.get(), sealed.path, name);
    if (size_of(file.get()) != size) throw damaged(sealed.path, name + " has another size");
    if (sha256_of(file.get(), wait) != hex) throw damaged(sealed.path, name + " was changed");
  }
  if (count == 0 || list_dir(dir.get()).size() != count)
    throw damaged(sealed.path, "its images are not those of its manifest");
}

// Made before manifests spoke of layers: "".
void check_layer(const Sealed& sealed, const Wait& wait) {
  UniqueFd dir = open_part(sealed, kLayerDir);
  uint64_t size = 0;
  const std::string& known = sealed.record.layer;
  if (!known.empty() && digest_layer(dir.get(), &size, wait) != known)
    throw damaged(sealed.path, "its layer was changed");
}

}  // namespace

std::string list_images(int dir, uint64_t* total, const Wait& wait) {
  std::string lines;
  std::vector<std::string> names = list_dir(dir);
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) {
    UniqueFd file = open_at(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    uint64_t size = size_of(file.get());
    *total += size;
    lines += std::to_string(size) + ' ' + sha256_of(file.get(), wait) + ' ' + name + '\n';
  }
  return lines;
}

std::string digest_layer(int dir, uint64_t* total, const Wait& wait) {
  content::Sha256 hash;
  *total += snapshot::read_layer(
      dir, [&](std::string_view bytes) { hash.update(bytes); }, wait);
  return hash.hex();
}

// The manifest last, and all the rest synced before it.
std::string write_sealed(int dir, const metadata::Checkpoint& record, const std::string& spec) {
  std::string manifest = kVersion + metadata::encode(record);
  if (manifest.size() > kMaxManifest)
    throw Error(Code::kResourceExhausted, "checkpoint: its list of images is too long",
                Kind::kCheckpoint);
  create_file_at(dir, kSpec, spec, 0600);
  if (::syncfs(dir) < 0) throw sys_error("sync a checkpoint");
  replace_file_at(dir, kManifest, manifest, 0600, true);
  return digest_of(manifest, spec);
}

Sealed open_checkpoint(const std::string& path) {
  Sealed sealed;
  try {
    sealed.path = real_path(path);
    sealed.dir = open_dir(sealed.path);
  } catch (const Error& error) {
    if (error.code() != Code::kNotFound) throw;
    throw not_found(Kind::kCheckpoint, "checkpoint " + escaped(path) + ": no such directory");
  }
  std::string manifest = read_member(sealed.dir.get(), path, kManifest);
  sealed.spec = read_member(sealed.dir.get(), path, kSpec);
  if (manifest[0] != kVersion) throw damaged(path, "its manifest is of another version");
  try {
    sealed.record = metadata::decode_checkpoint("", std::string_view(manifest).substr(1));
  } catch (const Error& error) {
    throw damaged(path, error.message());
  }
  sealed.digest = digest_of(manifest, sealed.spec);
  return sealed;
}

UniqueFd open_part(const Sealed& sealed, const char* name) {
  try {
    if (auto dir = find_dir_at(sealed.dir.get(), name)) return std::move(*dir);
  } catch (const Error& error) {
    if (error.sys_errno() == EACCES) throw;
    throw damaged(sealed.path, error.message());
  }
  throw damaged(sealed.path, std::string("it has no ") + name);
}

void check_parts(const Sealed& sealed, const Wait& wait) {
  check_images(sealed, wait);
  check_layer(sealed, wait);
}

bool is_private(const Sealed& sealed) {
  auto mine = [](const struct stat& facts) {
    return facts.st_uid == 0 || facts.st_uid == ::geteuid();
  };
  const std::string& whole = sealed.path;
  struct stat facts {
  }, own{};
  for (std::size_t at = 0; at != whole.npos; at = whole.find('/', at + 1)) {
    std::string above = whole.substr(0, std::max<std::size_t>(at, 1));
    bool known = ::lstat(above.c_str(), &facts) == 0 && S_ISDIR(facts.st_mode) && mine(facts);
    bool sticky = (facts.st_mode & S_ISVTX) != 0;  // what is mine there, others cannot rename
    if (!known || ((facts.st_mode & 022) != 0 && !sticky)) return false;
  }
  bool is_it = ::lstat(whole.c_str(), &facts) == 0 && ::fstat(sealed.dir.get(), &own) == 0 &&
               facts.st_dev == own.st_dev && facts.st_ino == own.st_ino;
  return is_it && S_ISDIR(own.st_mode) && mine(own) && (own.st_mode & 077) == 0;
}

std::string checkpoints_path(const Core& core) {
  make_dirs_at(core.root.dir.get(), kCheckpointsDir, 0700);
  return core.root.path + "/" + kCheckpointsDir;
}

LockFd use_checkpoint(const Sealed& sealed, const Wait& wait) {
  LockFd dir = LockFd::open([&] { return open_dir_at(sealed.dir.get(), "."); });
  while (!try_lock(dir.get(), false)) wait_a_moment(sealed.path, wait);
  if (exists_at(dir.get(), kManifest)) return dir;
  throw not_found(Kind::kCheckpoint, "checkpoint " + escaped(sealed.path) + ": it was deleted");
}

void remove_checkpoint_dir(const Core& core, uint64_t number, const Wait& wait) {
  auto parent = find_dir_at(core.root.dir.get(), kCheckpointsDir);
  if (!parent) return;
  std::string name = std::to_string(number), hidden = std::string(kHidden) + random_hex(8);
  try {  // the name first: a killed process leaves no half of it
    rename_at(parent->get(), name, parent->get(), hidden);
  } catch (const Error& error) {
    if (error.sys_errno() == ENOENT) return;
    throw;
  }
  LockFd dir = open_lockable(parent->get(), hidden);
  while (dir && !try_lock(dir.get())) wait_a_moment(name, wait);
  remove_tree_at(parent->get(), hidden);
}

bool is_stored(Core& core, const Sealed& sealed, const Wait& wait) {
  std::string name = sealed.path.substr(sealed.path.rfind('/') + 1);
  auto number = to_number(name);
  if (!number) return false;
  auto there = find_dir_at(core.root.dir.get(), std::string(kCheckpointsDir) + "/" + name);
  struct stat a {
  }, b{};
  if (!there || ::fstat(there->get(), &a) < 0 || ::fstat(sealed.dir.get(), &b) < 0) return false;
  if (a.st_dev != b.st_dev || a.st_ino != b.st_ino) return false;
  std::vector<uint64_t> used = checkpoints(core).numbers(wait);
  return std::find(used.begin(), used.end(), *number) != used.end();
}

}  // namespace ctrd::engine
