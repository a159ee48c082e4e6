// SPDX-License-Identifier: Apache-2.0
#include "base/make_path.h"

#include <sys/stat.h>

#include <cerrno>

#include "base/error.h"

namespace ctrd {
namespace {

// False: its parent is missing.
bool make_or_find(const std::string& path, mode_t mode, bool* made) {
  *made = ::mkdir(path.c_str(), mode) == 0;
  if (*made || errno == EEXIST) return true;
  if (errno == ENOENT) return false;
  throw sys_error("make directory " + path);
}

void make_parents(const std::string& path, mode_t mode) {
  bool made = false;
  for (std::size_t at = path.find('/', 1); at != path.npos; at = path.find('/', at + 1))
    make_or_find(path.substr(0, at), mode, &made);
}

}  // namespace

void make_path(const std::string& path, mode_t mode, mode_t parents) {
  bool made = false;
  if (!make_or_find(path, mode, &made)) {
    make_parents(path, parents);
    if (!make_or_find(path, mode, &made)) throw sys_error(ENOENT, "make directory " + path);
  }
  if (made && ::chmod(path.c_str(), mode) < 0) throw sys_error("chmod " + path);
}

}  // namespace ctrd
