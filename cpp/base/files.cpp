// SPDX-License-Identifier: Apache-2.0
#include "base/files.h"

#include <dirent.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "base/error.h"
#include "base/leftover.h"
#include "base/process.h"

namespace ctrd {
namespace {

constexpr uint64_t kBeneath = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
constexpr int kDirectory = O_RDONLY | O_DIRECTORY | O_CLOEXEC;

// For messages: where dir is now, and name. Leaves errno alone.
std::string path_of(int dir, std::string_view name) {
  std::string base = ".";
  if (dir != AT_FDCWD) {
    int err = errno;
    char buffer[PATH_MAX];
    ssize_t size = ::readlink(fd_path(dir).c_str(), buffer, sizeof buffer);
    base = size > 0 ? std::string(buffer, static_cast<std::size_t>(size)) : fd_path(dir);
    errno = err;
  }
  return name.empty() ? base : base.append("/").append(name);
}

void check_name(std::string_view name) {
  if (name.find('\0') != name.npos) throw invalid("path", name, "must not contain a NUL byte");
}

int open_how_at(int dir, const std::string& name, int flags, mode_t mode, uint64_t resolve) {
  check_name(name);
  open_how how{};
  how.flags = static_cast<uint64_t>(flags | O_CLOEXEC);
  how.mode = flags & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY)) ? mode : 0;
  how.resolve = resolve;
  // EAGAIN: something was renamed on the way, so the kernel could not be sure. Source: openat2(2)
  for (int attempt = 0;; ++attempt) {
    long fd = ::syscall(SYS_openat2, dir, name.c_str(), &how, sizeof how);
    if (fd >= 0) return static_cast<int>(fd);
    if (errno != EINTR && (errno != EAGAIN || attempt >= 128)) return -1;
  }
}

UniqueFd must_open(int fd, int dir, const std::string& name, std::string_view verb = "open ") {
  if (fd < 0) throw sys_error(std::string(verb) + path_of(dir, name));
  return UniqueFd(fd);
}

std::optional<UniqueFd> may_open(int fd, int dir, const std::string& name) {
  if (fd < 0 && errno == ENOENT) return std::nullopt;
  return must_open(fd, dir, name);
}

// The directory that holds the last component of a name; what is opened on the way is owned here.
struct Parent {
  UniqueFd owned;
  int dir = -1;
  std::string leaf;
};

std::optional<Parent> find_parent(int dir, const std::string& name) {
  check_name(name);
  std::size_t slash = name.rfind('/');
  Parent parent{UniqueFd(), dir, slash == name.npos ? name : name.substr(slash + 1)};
  if (parent.leaf.empty() || parent.leaf == "." || parent.leaf == "..")
    throw invalid("path", name, "must end in a file's name");
  if (slash == name.npos) return parent;
  std::string above = name.substr(0, slash);
  auto opened = may_open(open_how_at(dir, above, O_PATH | O_DIRECTORY, 0, kBeneath), dir, above);
  if (!opened) return std::nullopt;
  parent.dir = opened->get();
  parent.owned = std::move(*opened);
  return parent;
}

Parent get_parent(int dir, const std::string& name) {
  auto parent = find_parent(dir, name);
  if (!parent) throw sys_error(ENOENT, "open the directory of " + path_of(dir, name));
  return std::move(*parent);
}

void set_mode(int fd, mode_t mode) {
  if (::fchmod(fd, mode) < 0) throw sys_error("chmod " + path_of(fd, {}));
}

// True: made; false: something has this name already.
bool try_mkdir(int dir, const std::string& name, mode_t mode) {
  if (::mkdirat(dir, name.c_str(), mode) == 0) return true;
  if (errno == EEXIST) return false;
  throw sys_error("make directory " + path_of(dir, name));
}

UniqueFd open_for_reading(int dir, const std::string& name, int fd) {
  // A socket cannot be opened at all; the rest is looked at once it is open.
  if (fd < 0 && errno == ENXIO) throw invalid("path", path_of(dir, name), "is no regular file");
  return must_open(fd, dir, name);
}

std::size_t regular_size(int fd) {
  struct stat facts;
  if (::fstat(fd, &facts) < 0) throw sys_error("stat descriptor " + std::to_string(fd));
  if (!S_ISREG(facts.st_mode)) throw invalid("path", path_of(fd, {}), "is no regular file");
  return static_cast<std::size_t>(facts.st_size);
}

[[noreturn]] void throw_too_long(int fd, std::size_t max) {
  throw Error(Code::kResourceExhausted,
              "read " + path_of(fd, {}) + ": more than " + std::to_string(max) + " bytes");
}

// Writes and syncs a new file; it is gone again if that fails.
void write_new(int dir, const std::string& name, std::string_view data, mode_t mode, bool sync) {
  constexpr int kFlags = O_WRONLY | O_CREAT | O_EXCL;
  int fd = open_how_at(dir, name, kFlags, mode, kBeneath);
  UniqueFd file = must_open(fd, dir, name, "create ");
  try {
    set_mode(file.get(), mode);
    write_all(file.get(), data);
    if (sync && ::fdatasync(file.get()) < 0) throw sys_error("sync " + path_of(dir, name));
  } catch (...) {
    ::unlinkat(dir, name.c_str(), 0);
    throw;
  }
}

}  // namespace

UniqueFd open_dir(const std::string& path) {
  check_name(path);
  int fd = ::open(path.c_str(), kDirectory);
  if (fd < 0) throw sys_error("open directory " + path);
  return UniqueFd(fd);
}

UniqueFd open_dir_at(int dir, const std::string& name) { return open_at(dir, name, kDirectory); }

std::optional<UniqueFd> find_dir_at(int dir, const std::string& name) {
  return find_at(dir, name, kDirectory);
}

UniqueFd open_at(int dir, const std::string& name, int flags, mode_t mode) {
  return must_open(open_how_at(dir, name, flags, mode, kBeneath), dir, name);
}

std::optional<UniqueFd> find_at(int dir, const std::string& name, int flags) {
  return may_open(open_how_at(dir, name, flags, 0, kBeneath), dir, name);
}

UniqueFd open_in_root(int dir, const std::string& name, int flags) {
  constexpr uint64_t kInRoot = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  return must_open(open_how_at(dir, name, flags, 0, kInRoot), dir, name);
}

UniqueFd make_dirs_at(int dir, const std::string& name, mode_t mode) {
  check_name(name);
  UniqueFd current = open_dir_at(dir, ".");
  std::size_t begin = 0;
  while (begin < name.size()) {
    std::size_t end = std::min(name.find('/', begin), name.size());
    std::string part = name.substr(begin, end - begin);
    if (part.empty() && begin == 0) throw invalid("path", name, "must be relative");
    begin = end + 1;
    if (part.empty()) continue;
    bool made = try_mkdir(current.get(), part, mode);
    UniqueFd next = open_dir_at(current.get(), part);
    if (made) set_mode(next.get(), mode);
    current = std::move(next);
  }
  return current;
}

UniqueFd make_dir_at(int dir, const std::string& name, mode_t mode) {
  Parent parent = get_parent(dir, name);
  if (!try_mkdir(parent.dir, parent.leaf, mode))
    throw sys_error(EEXIST, "make directory " + path_of(dir, name));
  UniqueFd made = open_dir_at(parent.dir, parent.leaf);
  set_mode(made.get(), mode);
  return made;
}

std::string read_file(int fd, std::size_t max) {
  std::size_t expected = regular_size(fd);
  if (expected > max) throw_too_long(fd, max);
  std::string content;
  std::size_t chunk = std::max<std::size_t>(expected, 4096);
  for (std::size_t size = 0;;) {  // one byte more than max is asked for, to see that there is one
    content.resize(size + std::min(chunk, max - size) + 1);
    ssize_t got =
        ::pread(fd, content.data() + size, content.size() - size, static_cast<off_t>(size));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw sys_error("read " + path_of(fd, {}));
    size += static_cast<std::size_t>(got);
    content.resize(size);
    if (got == 0) return content;
    if (size > max) throw_too_long(fd, max);
  }
}

std::string read_file_at(int dir, const std::string& name, std::size_t max) {
  constexpr int kFlags = O_RDONLY | O_NONBLOCK | O_NOCTTY;
  int fd = open_how_at(dir, name, kFlags, 0, kBeneath);
  return read_file(open_for_reading(dir, name, fd).get(), max);
}

std::optional<std::string> find_file_at(int dir, const std::string& name, std::size_t max) {
  constexpr int kFlags = O_RDONLY | O_NONBLOCK | O_NOCTTY;
  int fd = open_how_at(dir, name, kFlags, 0, kBeneath);
  if (fd < 0 && errno == ENOENT) return std::nullopt;
  return read_file(open_for_reading(dir, name, fd).get(), max);
}

void write_all(int fd, std::string_view data) {
  while (!data.empty()) {
    ssize_t written = ::write(fd, data.data(), data.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw sys_error("write " + path_of(fd, {}));
    data.remove_prefix(static_cast<std::size_t>(written));
  }
}

void replace_file_at(int dir, const std::string& name, std::string_view data, mode_t mode,
                     bool sync) {
  Parent parent = get_parent(dir, name);
  std::string temporary = name_of_ours(".tmp-");
  write_new(parent.dir, temporary, data, mode, sync);
  if (::renameat(parent.dir, temporary.c_str(), parent.dir, parent.leaf.c_str()) < 0) {
    int err = errno;
    ::unlinkat(parent.dir, temporary.c_str(), 0);
    throw sys_error(err, "replace " + path_of(dir, name));
  }
  if (sync) sync_dir(parent.dir);
}

void create_file_at(int dir, const std::string& name, std::string_view data, mode_t mode) {
  Parent parent = get_parent(dir, name);
  write_new(parent.dir, parent.leaf, data, mode, false);
}

void rename_at(int from_dir, const std::string& from, int to_dir, const std::string& to) {
  Parent source = get_parent(from_dir, from);
  Parent target = get_parent(to_dir, to);
  if (::renameat2(source.dir, source.leaf.c_str(), target.dir, target.leaf.c_str(),
                  RENAME_NOREPLACE) == 0)
    return;
  throw sys_error("rename " + path_of(from_dir, from) + " to " + path_of(to_dir, to));
}

bool unlink_at(int dir, const std::string& name) {
  auto parent = find_parent(dir, name);
  if (!parent) return false;
  if (::unlinkat(parent->dir, parent->leaf.c_str(), 0) == 0) return true;
  if (errno == ENOENT) return false;
  throw sys_error("unlink " + path_of(dir, name));
}

std::vector<std::string> list_dir(int dir) {
  // A description of its own: dir may be O_PATH, and its offset is not moved.
  UniqueFd own = open_dir_at(dir, ".");
  std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(own.get()), ::closedir);
  if (!stream) throw sys_error("list " + path_of(dir, {}));
  own.release();
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(stream.get());
    if (!entry) break;
    std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  if (errno != 0 && errno != ENOENT) throw sys_error("list " + path_of(dir, {}));
  std::sort(names.begin(), names.end());
  return names;
}

bool exists_at(int dir, const std::string& name) {
  int fd = open_how_at(dir, name, O_PATH | O_NOFOLLOW, 0, kBeneath);
  if (fd < 0 && errno == ENOTDIR) return false;
  return may_open(fd, dir, name).has_value();
}

std::string free_name_at(int dir, const std::string& name) {
  std::string free = name;
  for (int i = 1; exists_at(dir, free); ++i) free = name + "." + std::to_string(i);
  return free;
}

void sync_dir(int dir) {
  // An O_PATH descriptor cannot be synced, so it is opened anew.
  UniqueFd own = open_dir_at(dir, ".");
  if (::fsync(own.get()) < 0) throw sys_error("sync directory " + path_of(dir, {}));
}

bool try_lock(int fd, bool exclusive) {
  while (::flock(fd, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB) < 0) {
    if (errno == EWOULDBLOCK) return false;
    if (errno != EINTR) throw sys_error("lock " + path_of(fd, {}));
  }
  return true;
}

std::string fd_path(int fd, std::string_view name) {
  std::string path = "/proc/self/fd/" + std::to_string(fd);
  return name.empty() ? path : path.append("/").append(name);
}

std::string real_path(const std::string& path) {
  check_name(path);
  std::unique_ptr<char, void (*)(void*)> result(::realpath(path.c_str(), nullptr), ::free);
  if (!result) throw sys_error("resolve " + path);
  return result.get();
}

}  // namespace ctrd
