// SPDX-License-Identifier: Apache-2.0
#include "engine/bundle.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstring>

#include "api/bundle.h"
#include "base/error.h"
#include "base/files.h"

namespace ctrd::engine {
namespace {

std::string fifo_name(const char* name) { return std::string(api::kIoDir) + "/" + name; }

UniqueFd make_fifo(int bundle_dir, const char* name, int flags) {
  std::string path = fifo_name(name);
  if (::mkfifoat(bundle_dir, path.c_str(), 0600) < 0) throw sys_error("make FIFO " + path);
  return open_at(bundle_dir, path, flags | O_NONBLOCK | O_CLOEXEC);
}

}  // namespace

void check_stdio(const Stdio& stdio) {
  auto refuse = [](const char* field, Std value, const char* why) {
    throw invalid(field, std::to_string(static_cast<int>(value)), why);
  };
  if (stdio.in != Std::kPipe && stdio.in != Std::kDevnull)
    refuse("stdin", stdio.in, "must be PIPE or DEVNULL");
  if (stdio.out == Std::kStdout) refuse("stdout", stdio.out, "cannot be STDOUT");
}

Streams make_streams(int bundle_dir, const Stdio& stdio) {
  Streams streams;
  if (stdio.in != Std::kPipe && stdio.out != Std::kPipe && stdio.err != Std::kPipe) return streams;
  make_dir_at(bundle_dir, api::kIoDir, 0700);
  if (stdio.in == Std::kPipe) streams.in = make_fifo(bundle_dir, "stdin", O_RDWR);
  if (stdio.out == Std::kPipe) streams.out = make_fifo(bundle_dir, "stdout", O_RDONLY);
  if (stdio.err == Std::kPipe) streams.err = make_fifo(bundle_dir, "stderr", O_RDONLY);
  return streams;
}

void open_stdin(int bundle_dir, Streams* streams) {
  if (!streams->in) return;
  streams->in = open_at(bundle_dir, fifo_name("stdin"), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
}

LockFd make_socket(int bundle_dir) {
  LockFd socket =
      LockFd::open([] { return UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)); });
  if (!socket) throw sys_error("make a socket");
  if (::fchmod(socket.get(), 0600) < 0) throw sys_error("chmod a socket");  // its name gets that
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::string path = fd_path(bundle_dir, api::kSocketFile);  // the real one may be too long
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  if (::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) < 0)
    throw sys_error("bind the bundle's socket");
  if (::listen(socket.get(), 1024) < 0) throw sys_error("listen on the bundle's socket");
  return socket;
}

std::string stdin_path(const std::string& bundle, Std in) {
  return in == Std::kPipe ? bundle + "/" + fifo_name("stdin") : "";
}

std::string output_path(const std::string& bundle, const char* name, Std out) {
  switch (out) {
    case Std::kPipe:
      return bundle + "/" + fifo_name(name);
    case Std::kLog:
      return std::string(api::kLogPath);
    case Std::kStdout:
      return std::string(api::kMergePath);
    case Std::kDevnull:
      return "";
  }
  throw invalid(name, std::to_string(static_cast<int>(out)),
                "must be PIPE, LOG, STDOUT or DEVNULL");
}

}  // namespace ctrd::engine
