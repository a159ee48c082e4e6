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

UniqueFd make_fifo(int io_dir, const char* name, int flags) {
  if (::mkfifoat(io_dir, name, 0600) < 0) throw sys_error(std::string("make FIFO ") + name);
  return open_at(io_dir, name, flags | O_NONBLOCK | O_CLOEXEC);
}

}  // namespace

void check_stdio(const Stdio& stdio) {
  auto refuse = [](const char* field, Std value, const char* why) {
    throw invalid(field, std::to_string(static_cast<int>(value)), why);
  };
  if (stdio.in == Std::kStdout || stdio.in == Std::kLog)
    refuse("stdin", stdio.in, "must be PIPE, DEVNULL or a file");
  if (stdio.out == Std::kStdout) refuse("stdout", stdio.out, "cannot be STDOUT");
}

bool has_pipes(const Stdio& stdio) {
  return stdio.in == Std::kPipe || stdio.out == Std::kPipe || stdio.err == Std::kPipe;
}

Streams make_streams(int io_dir, const Stdio& stdio) {
  Streams streams;
  if (stdio.in == Std::kPipe) make_stdin(io_dir, &streams);
  if (stdio.out == Std::kPipe) streams.out = make_fifo(io_dir, "stdout", O_RDONLY);
  if (stdio.err == Std::kPipe) streams.err = make_fifo(io_dir, "stderr", O_RDONLY);
  return streams;
}

void make_stdin(int io_dir, Streams* streams) { streams->in = make_fifo(io_dir, "stdin", O_RDWR); }

void open_stdin(int io_dir, UniqueFd* in) {
  if (*in) *in = open_at(io_dir, "stdin", O_WRONLY | O_NONBLOCK | O_CLOEXEC);
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

std::string stdin_path(const std::string& io, const Stdio& stdio) {
  if (stdio.in == Std::kFile) return std::string(api::kFilePath) + stdio.in_path;
  return stdio.in == Std::kPipe ? io + "/stdin" : "";
}

std::string output_path(const std::string& io, const Stdio& stdio, int stream) {
  const char* name = stream == 1 ? "stdout" : "stderr";
  switch (stream == 1 ? stdio.out : stdio.err) {
    case Std::kPipe:
      return io + "/" + name;
    case Std::kFile:
      return std::string(api::kFilePath) + (stream == 1 ? stdio.out_path : stdio.err_path);
    case Std::kLog:
      return std::string(api::kLogPath);
    case Std::kStdout:
      return std::string(api::kMergePath);
    case Std::kDevnull:
      return "";
  }
  throw invalid(name, "", "must be PIPE, LOG, STDOUT, DEVNULL or a file");
}

}  // namespace ctrd::engine
