// SPDX-License-Identifier: Apache-2.0
#include "base/mount.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "base/files.h"
#include "base/mountinfo.h"

namespace ctrd {
namespace {

constexpr unsigned long kBindRemount = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME |
                                       MS_NODIRATIME | MS_RELATIME | MS_STRICTATIME;

struct Word {
  std::string_view name;
  bool clear;
  unsigned long flags;
};

// Source: mount(8); the set that containerd knows (shim-protocol.md 7.7)
constexpr std::array kWords = {Word{"async", true, MS_SYNCHRONOUS},
                               Word{"atime", true, MS_NOATIME},
                               Word{"bind", false, MS_BIND},
                               Word{"defaults", false, 0},
                               Word{"dev", true, MS_NODEV},
                               Word{"diratime", true, MS_NODIRATIME},
                               Word{"dirsync", false, MS_DIRSYNC},
                               Word{"exec", true, MS_NOEXEC},
                               Word{"mand", false, MS_MANDLOCK},
                               Word{"noatime", false, MS_NOATIME},
                               Word{"nodev", false, MS_NODEV},
                               Word{"nodiratime", false, MS_NODIRATIME},
                               Word{"noexec", false, MS_NOEXEC},
                               Word{"nomand", true, MS_MANDLOCK},
                               Word{"norelatime", true, MS_RELATIME},
                               Word{"nostrictatime", true, MS_STRICTATIME},
                               Word{"nosuid", false, MS_NOSUID},
                               Word{"rbind", false, MS_BIND | MS_REC},
                               Word{"relatime", false, MS_RELATIME},
                               Word{"remount", false, MS_REMOUNT},
                               Word{"ro", false, MS_RDONLY},
                               Word{"rw", true, MS_RDONLY},
                               Word{"strictatime", false, MS_STRICTATIME},
                               Word{"suid", true, MS_NOSUID},
                               Word{"sync", false, MS_SYNCHRONOUS}};

constexpr std::array kPropagation = {Word{"private", false, MS_PRIVATE},
                                     Word{"rprivate", false, MS_PRIVATE | MS_REC},
                                     Word{"rshared", false, MS_SHARED | MS_REC},
                                     Word{"rslave", false, MS_SLAVE | MS_REC},
                                     Word{"runbindable", false, MS_UNBINDABLE | MS_REC},
                                     Word{"shared", false, MS_SHARED},
                                     Word{"slave", false, MS_SLAVE},
                                     Word{"unbindable", false, MS_UNBINDABLE}};

template <typename Table>
const Word* find_word(const Table& table, std::string_view name) {
  auto found =
      std::find_if(table.begin(), table.end(), [&](const Word& word) { return word.name == name; });
  return found == table.end() ? nullptr : &*found;
}

struct Options {
  unsigned long flags = 0;
  unsigned long cleared = 0;  // said to be off, for a bind that would inherit it
  std::vector<unsigned long> propagation;
  std::vector<std::string> data;
};

bool is_unsupported(const std::string& option) {
  return option == "loop" || option == "direct-io" || option.starts_with("uidmap=") ||
         option.starts_with("gidmap=");
}

void add_option(Options& options, const std::string& text) {
  if (const Word* word = find_word(kWords, text)) {
    (word->clear ? options.cleared : options.flags) |= word->flags;
    (word->clear ? options.flags : options.cleared) &= ~word->flags;
  } else if (const Word* propagation = find_word(kPropagation, text)) {
    options.propagation.push_back(propagation->flags);
  } else if (is_unsupported(text)) {
    throw Error(Code::kUnimplemented, "mount option \"" + text + "\" is not supported");
  } else if (text.find('\0') != text.npos) {
    throw invalid("mount.options", text, "must not contain a NUL byte");
  } else {
    options.data.push_back(text);
  }
}

Options parse_options(const Mount& mount) {
  Options options;
  for (const auto& text : mount.options) add_option(options, text);
  if (mount.type == "bind" && !(options.flags & MS_BIND)) options.flags |= MS_BIND;
  return options;
}

std::string join(const std::vector<std::string>& words, char separator) {
  std::string text;
  for (const auto& word : words) text.append(text.empty() ? "" : std::string(1, separator)) += word;
  return text;
}

// Splits overlay's lowerdir at its unescaped colons and takes the escapes away.
std::vector<std::string> split_layers(std::string_view value) {
  std::vector<std::string> layers(1);
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (value[i] == '\\' && i + 1 < value.size()) {
      layers.back() += value[++i];
    } else if (value[i] == ':') {
      layers.emplace_back();
    } else {
      layers.back() += value[i];
    }
  }
  return layers;
}

// mount(2) takes one page of data. The lower directories of a longer one are opened and named by
// descriptor: short, and without the chdir that would move the whole process.
std::string data_of(const Mount& mount, std::vector<std::string> data,
                    std::vector<UniqueFd>* held) {
  constexpr std::string_view kLower = "lowerdir=";
  const auto limit = static_cast<std::size_t>(::getpagesize()) - 512;
  if (mount.type == "overlay" && join(data, ',').size() >= limit) {
    for (auto& option : data) {
      if (!option.starts_with(kLower)) continue;
      std::vector<std::string> paths;
      for (const auto& layer : split_layers(std::string_view(option).substr(kLower.size())))
        paths.push_back(fd_path(held->emplace_back(open_dir(layer)).get()));
      option = std::string(kLower) + join(paths, ':');
    }
  }
  std::string text = join(data, ',');
  if (text.size() >= static_cast<std::size_t>(::getpagesize()))
    throw invalid("mount.options", text, "must be shorter than a page");
  return text;
}

std::string describe(const Mount& mount, const std::string& target) {
  return "mount " + mount.type + " from " + mount.source + " at " + target;
}

// The target as it is seen now, what was mounted there before included.
UniqueFd open_target(const Mount& mount, const std::string& target) {
  UniqueFd root = open_dir(target);
  return mount.target.empty() ? std::move(root) : open_in_root(root.get(), mount.target, O_PATH);
}

std::string where_is(const UniqueFd& fd) {
  char buffer[PATH_MAX];
  ssize_t size = ::readlink(fd_path(fd.get()).c_str(), buffer, sizeof buffer);
  if (size < 0) throw sys_error("look up a mount's target");
  return {buffer, static_cast<std::size_t>(size)};
}

// What a bind inherits and nobody cleared stays. Source: statvfs(3)
unsigned long inherited_flags(const std::string& path) {
  struct statvfs facts;
  if (::statvfs(path.c_str(), &facts) < 0) throw sys_error("look at the mount " + path);
  unsigned long flags = 0;
  constexpr std::array<std::pair<unsigned long, unsigned long>, 7> kSame = {
      {{ST_RDONLY, MS_RDONLY},
       {ST_NOSUID, MS_NOSUID},
       {ST_NODEV, MS_NODEV},
       {ST_NOEXEC, MS_NOEXEC},
       {ST_NOATIME, MS_NOATIME},
       {ST_NODIRATIME, MS_NODIRATIME},
       {ST_RELATIME, MS_RELATIME}}};
  for (auto [seen, flag] : kSame)
    if (facts.f_flag & seen) flags |= flag;
  return flags;
}

void change(const Mount& mount, const std::string& target, unsigned long flags) {
  UniqueFd fd = open_target(mount, target);
  if (::mount("none", fd_path(fd.get()).c_str(), nullptr, flags, nullptr) < 0)
    throw sys_error("change " + describe(mount, target));
}

// What mount(2) does not take at the first call: a bind's own flags, and propagation.
void finish_mount(const Mount& mount, const std::string& target, const Options& options) {
  if ((options.flags & MS_BIND) && ((options.flags | options.cleared) & kBindRemount)) {
    UniqueFd fd = open_target(mount, target);
    unsigned long flags = inherited_flags(fd_path(fd.get())) & ~options.cleared;
    change(mount, target, MS_REMOUNT | MS_BIND | flags | (options.flags & kBindRemount));
  }
  for (unsigned long propagation : options.propagation) change(mount, target, propagation);
}

// Returns where it was mounted.
std::string mount_first(const Mount& mount, const std::string& target, const Options& options) {
  std::vector<UniqueFd> held;
  std::string data = data_of(mount, options.data, &held);
  UniqueFd fd = open_target(mount, target);
  std::string where = where_is(fd);
  if (::mount(mount.source.c_str(), fd_path(fd.get()).c_str(), mount.type.c_str(), options.flags,
              data.empty() ? nullptr : data.c_str()) < 0)
    throw sys_error(describe(mount, target + "/" + mount.target));
  return where;
}

void check_mount(const Mount& mount) {
  if (mount.type.starts_with("fuse"))
    throw Error(Code::kUnimplemented, "mount type \"" + mount.type + "\" is not supported");
  for (const auto* text : {&mount.type, &mount.source, &mount.target})
    if (text->find('\0') != text->npos)
      throw invalid("mount", *text, "must not contain a NUL byte");
}

// False: busy.
bool unmount(const std::string& path, int flags) {
  if (::umount2(path.c_str(), UMOUNT_NOFOLLOW | flags) == 0) return true;
  if (errno == EBUSY) return false;
  // EINVAL, ENOENT: somebody else was faster, or it is hidden below another one.
  if (errno == EINVAL || errno == ENOENT) return true;
  throw sys_error("unmount " + path);
}

// One pass over all of them, newest first. False: some are busy.
bool unmount_pass(const std::vector<std::string>& paths, int flags) {
  bool all = true;
  for (auto path = paths.rbegin(); path != paths.rend(); ++path) all &= unmount(*path, flags);
  return all;
}

std::string normal_path(const std::string& path) {
  std::string result = ::access(path.c_str(), F_OK) == 0 ? real_path(path) : path;
  while (result.size() > 1 && result.back() == '/') result.pop_back();
  return result;
}

}  // namespace

void mount_all(const std::vector<Mount>& mounts, const std::string& target) {
  std::vector<std::string> done;
  try {
    for (const auto& mount : mounts) {
      check_mount(mount);
      Options options = parse_options(mount);
      done.push_back(mount_first(mount, target, options));
      finish_mount(mount, target, options);
    }
  } catch (...) {
    for (auto path = done.rbegin(); path != done.rend(); ++path)
      ::umount2(path->c_str(), UMOUNT_NOFOLLOW | MNT_DETACH);
    throw;
  }
}

std::vector<std::string> mounts_below(const std::string& path) {
  std::string top = normal_path(path);
  std::string prefix = top == "/" ? top : top + "/";
  std::vector<std::string> found;
  for (auto& entry : read_mountinfo())
    if (entry.target == top || entry.target.starts_with(prefix))
      found.push_back(std::move(entry.target));
  return found;
}

void unmount_all(const std::string& target) {
  if (normal_path(target) == "/") throw invalid("target", target, "must not be the root");
  std::size_t before = SIZE_MAX;
  for (auto found = mounts_below(target); !found.empty(); found = mounts_below(target)) {
    bool last = found.size() >= before;  // no progress: somebody uses it
    before = found.size();
    unmount_pass(found, last ? MNT_DETACH : 0);
    if (last && mounts_below(target).size() >= before)
      throw failed_precondition("unmount " + found.back() + ": it is still mounted");
  }
}

}  // namespace ctrd
