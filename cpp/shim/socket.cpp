// SPDX-License-Identifier: Apache-2.0
#include "shim/socket.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/make_path.h"
#include "base/process.h"

namespace ctrd::shim {
namespace {

constexpr const char* kAddressFile = "address";
constexpr std::string_view kScheme = "unix://";
constexpr int kBacklog = 128;
constexpr std::size_t kMaxAddress = 4096;

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path))
    throw invalid("socket_dir", path, "is too long for a unix socket");
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

}  // namespace

Listener listen_in(const std::string& dir) {
  if (!dir.starts_with('/')) throw invalid("socket_dir", dir, "not an absolute path");
  make_path(dir, 0700, 0700);  // nobody but our user needs to see what is there
  std::string path = dir + "/" + random_hex(16);
  sockaddr_un address = address_of(path);
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) throw sys_error("making a socket");
  mode_t before = ::umask(0177);
  bool bound = ::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  int why = errno;
  ::umask(before);
  if (!bound) throw sys_error(why, "binding " + path);
  if (::listen(fd.get(), kBacklog) < 0) {
    Error error = sys_error("listening on " + path);
    remove_socket(fd.get());
    throw error;
  }
  return {.fd = std::move(fd), .address = std::string(kScheme) + path};
}

void remove_socket(int fd) {
  sockaddr_un address{};
  socklen_t size = sizeof(address);
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) < 0) return;
  if (address.sun_path[0] == '/') ::unlink(address.sun_path);
}

void write_address(int bundle, const std::string& address) {
  replace_file_at(bundle, kAddressFile, address, 0600, false);
}

std::string find_socket(int bundle) {
  std::string address = find_file_at(bundle, kAddressFile, kMaxAddress).value_or("");
  struct stat facts {};
  std::string path = address.substr(std::min(address.size(), kScheme.size()));
  bool is_socket =
      path.starts_with('/') && ::lstat(path.c_str(), &facts) == 0 && S_ISSOCK(facts.st_mode);
  return is_socket ? path : "";
}

void remove_address(int bundle) {
  std::string path = find_socket(bundle);
  if (!path.empty() && ::unlink(path.c_str()) < 0 && errno != ENOENT)
    log(Level::kWarning, "removing " + path + ": " + std::strerror(errno));
  unlink_at(bundle, kAddressFile);
}

}  // namespace ctrd::shim
