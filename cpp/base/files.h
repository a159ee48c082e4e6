// SPDX-License-Identifier: Apache-2.0
// Files and directories by directory descriptor: every path below a root of ours is walked with
// openat2 beneath a directory we hold, so that a symlink or a racing rename can never lead outside.
// All opens are O_CLOEXEC.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.h"

namespace ctrd {

// Everything throws sys_error naming the path unless said otherwise. `name` is relative to dir and
// may have slashes.

UniqueFd open_dir(const std::string& path);              // O_PATH-less: O_RDONLY|O_DIRECTORY
UniqueFd open_dir_at(int dir, const std::string& name);  // RESOLVE_BENEATH|RESOLVE_NO_SYMLINKS
std::optional<UniqueFd> find_dir_at(int dir, const std::string& name);  // nullopt: ENOENT
// openat2 with RESOLVE_BENEATH|RESOLVE_NO_SYMLINKS|RESOLVE_NO_MAGICLINKS.
UniqueFd open_at(int dir, const std::string& name, int flags, mode_t mode = 0600);
std::optional<UniqueFd> find_at(int dir, const std::string& name, int flags);  // nullopt: ENOENT
// As a container would see it: symlinks are followed inside dir as the root (RESOLVE_IN_ROOT, no
// magic links).
UniqueFd open_in_root(int dir, const std::string& name, int flags);

// mkdir -p below dir with this mode (chmod'ed, so umask does not matter), existing ones are left
// alone; returns the last.
UniqueFd make_dirs_at(int dir, const std::string& name, mode_t mode);
// One directory that must be new: throws kAlreadyExists.
UniqueFd make_dir_at(int dir, const std::string& name, mode_t mode);

// Whole content of a regular file (anything else, a FIFO too, is InvalidArgument at once, never a
// hang). Throws kResourceExhausted beyond max bytes.
std::string read_file(int fd, std::size_t max = 4u << 20);
std::string read_file_at(int dir, const std::string& name, std::size_t max = 4u << 20);
std::optional<std::string> find_file_at(int dir, const std::string& name,
                                        std::size_t max = 4u << 20);

void write_all(int fd, std::string_view data);
// temp + rename, so that a reader sees the old or the new whole. sync: fdatasync the file before
// and fsync the directory after.
void replace_file_at(int dir, const std::string& name, std::string_view data, mode_t mode,
                     bool sync);
// A new file: throws kAlreadyExists.
void create_file_at(int dir, const std::string& name, std::string_view data, mode_t mode);

void rename_at(int from_dir, const std::string& from, int to_dir,
               const std::string& to);             // RENAME_NOREPLACE
bool unlink_at(int dir, const std::string& name);  // false: was not there
// Removes a tree, never following a symlink nor crossing a mount; what vanishes meanwhile is fine.
// False: was not there.
bool remove_tree_at(int dir, const std::string& name);
std::vector<std::string> list_dir(int dir);  // names, without . and ..
bool exists_at(int dir, const std::string& name);
// That name, or the first of "<name>.1", "<name>.2" ... that is not there.
std::string free_name_at(int dir, const std::string& name);
void sync_dir(int dir);

// flock(2). try_lock returns false if somebody else holds it.
bool try_lock(int fd, bool exclusive = true);

// "/proc/self/fd/<fd>": a path for calls that take paths only (bind, mount); "<that>/<name>" with
// name.
std::string fd_path(int fd, std::string_view name = {});

std::string real_path(const std::string& path);  // realpath(3)

}  // namespace ctrd
