// SPDX-License-Identifier: Apache-2.0
#include "base/open_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <sstream>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "base/unique_fd.h"

namespace ctrd {
namespace {

bool is_gone(const Error& error) {
  return error.sys_errno() == ENOENT || error.sys_errno() == ESRCH;
}

std::string read_if_there(const std::string& path) {
  try {
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    return fd ? read_file(fd.get()) : "";
  } catch (const Error& error) {
    if (!is_gone(error)) throw;
    return "";
  }
}

// One line of fdinfo.
void read_fact(const std::string& line, OpenFile* file) {
  std::size_t colon = line.find(':');
  if (colon == line.npos) return;
  std::string name = line.substr(0, colon);
  if (name == "lock") file->is_locked = true;
  if (name == "mnt_id")
    file->mount_id = to_number(trimmed(std::string_view(line).substr(colon + 1))).value_or(0);
}

std::optional<OpenFile> look(const std::string& proc, int fd) {
  OpenFile file;
  file.fd = fd;
  std::string path = proc + "/fd/" + std::to_string(fd);
  char link[4096];
  ssize_t n = ::readlink(path.c_str(), link, sizeof(link));
  struct stat facts {};
  if (n < 0 || ::stat(path.c_str(), &facts) < 0) return std::nullopt;
  file.link.assign(link, static_cast<std::size_t>(n));
  file.mode = facts.st_mode;
  file.device = facts.st_rdev;
  file.inode = facts.st_ino;
  std::istringstream lines(read_if_there(proc + "/fdinfo/" + std::to_string(fd)));
  for (std::string line; std::getline(lines, line);) read_fact(line, &file);
  return file;
}

std::vector<int> descriptors(const std::string& proc) {
  std::vector<int> all;
  try {
    UniqueFd dir = open_dir(proc + "/fd");
    for (const std::string& name : list_dir(dir.get()))
      if (auto number = to_number(name)) all.push_back(static_cast<int>(*number));
  } catch (const Error& error) {
    if (!is_gone(error)) throw;
  }
  std::sort(all.begin(), all.end());
  return all;
}

}  // namespace

std::vector<OpenFile> open_files(pid_t pid) {
  std::string proc = "/proc/" + std::to_string(pid);
  std::vector<OpenFile> files;
  for (int fd : descriptors(proc))
    if (auto file = look(proc, fd)) files.push_back(std::move(*file));
  return files;
}

std::set<uint64_t> mount_ids(pid_t pid) {
  std::set<uint64_t> ids;
  std::istringstream lines(read_if_there("/proc/" + std::to_string(pid) + "/mountinfo"));
  for (std::string line; std::getline(lines, line);)
    if (auto id = to_number(line.substr(0, line.find(' ')))) ids.insert(*id);
  return ids;
}

}  // namespace ctrd
