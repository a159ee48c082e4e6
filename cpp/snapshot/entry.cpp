// SPDX-License-Identifier: Apache-2.0
#include "snapshot/entry.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

#include "base/error.h"
#include "base/files.h"

namespace ctrd::snapshot {
namespace {

// The size is asked for first; whatever grows in between is asked again.
template <typename Call>
std::string sized(const Call& call, const std::string& what) {
  std::string bytes;
  for (;;) {
    ssize_t size = call(nullptr, 0);
    if (size < 0 && errno == EOPNOTSUPP) return {};
    if (size < 0) throw sys_error(what);
    bytes.resize(static_cast<std::size_t>(size));
    if (size == 0) return bytes;
    size = call(bytes.data(), bytes.size());
    if (size < 0 && errno == ERANGE) continue;
    if (size < 0) throw sys_error(what);
    bytes.resize(static_cast<std::size_t>(size));
    return bytes;
  }
}

bool is_overlays(std::string_view key) {
  return key.starts_with("trusted.overlay.") || key.starts_with("user.overlay.");
}

// What a layer says of those below it; the rest is notes to itself.
bool is_of_layer(std::string_view key) {
  return key == "trusted.overlay.opaque" || key == "trusted.overlay.redirect" ||
         key == "trusted.overlay.metacopy";
}

}  // namespace

UniqueFd open_regular_at(int dir, const std::string& name) {
  UniqueFd file = open_at(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
  struct stat facts {};
  if (::fstat(file.get(), &facts) < 0) throw sys_error("stat " + fd_path(dir, name));
  if (!S_ISREG(facts.st_mode))
    throw Error(Code::kAborted, "read a tree: " + escaped(name) + " was exchanged meanwhile");
  return file;
}

std::string read_link_at(int dir, const std::string& name) {
  std::string target(4096, '\0');
  ssize_t size = ::readlinkat(dir, name.c_str(), target.data(), target.size());
  if (size < 0) throw sys_error("read link " + fd_path(dir, name));
  target.resize(static_cast<std::size_t>(size));
  return target;
}

std::map<std::string, std::string> read_xattrs(const std::string& path, bool is_layer) {
  std::string keys =
      sized([&](char* data, std::size_t size) { return ::llistxattr(path.c_str(), data, size); },
            "list attributes of " + path);
  std::map<std::string, std::string> all;
  for (std::size_t at = 0; at < keys.size();) {
    const std::string key = keys.data() + at;
    at += key.size() + 1;
    if (is_overlays(key) && !(is_layer && is_of_layer(key))) continue;
    all[key] =
        sized([&](char* data,
                  std::size_t size) { return ::lgetxattr(path.c_str(), key.c_str(), data, size); },
              std::string("read attribute ").append(key).append(" of ").append(path));
  }
  return all;
}

}  // namespace ctrd::snapshot
