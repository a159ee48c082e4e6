// SPDX-License-Identifier: Apache-2.0
#include "shim/fifo.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>

#include "api/bundle.h"
#include "base/error.h"
#include "base/files.h"

namespace ctrd::shim {
namespace {

constexpr Nanos kTryEvery = std::chrono::milliseconds(2);

void check_fifo(std::string_view field, const std::string& path) {
  if (!path.starts_with('/'))
    throw invalid(field, path, "not an absolute path of a FIFO, nor one of the words for stdio");
  struct stat facts {};
  if (::lstat(path.c_str(), &facts) < 0) throw sys_error(std::string(field) + ": " + path);
  if (!S_ISFIFO(facts.st_mode)) throw invalid(field, path, "is not a FIFO");
}

UniqueFd open_fifo(const std::string& path, int flags) {
  UniqueFd fd(::open(path.c_str(), flags | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW));
  if (!fd && errno != ENXIO) throw sys_error("opening " + path);
  struct stat facts {};
  if (fd && (::fstat(fd.get(), &facts) < 0 || !S_ISFIFO(facts.st_mode)))
    throw invalid("stdio", path, "is not a FIFO");
  return fd;
}

std::array<UniqueFd, 2> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) < 0)
    throw sys_error("making a pipe for the container's stdio");
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

UniqueFd non_blocking(UniqueFd fd) {
  if (::fcntl(fd.get(), F_SETFL, O_NONBLOCK) < 0) throw sys_error("making a pipe non-blocking");
  return fd;
}

}  // namespace

asio::awaitable<UniqueFd> open_for_writing(std::string field, std::string path, Patience patience) {
  check_fifo(field, path);
  UniqueFd fd = open_fifo(path, O_WRONLY);
  while (!fd) {
    if (patience.given_up && patience.given_up())
      throw Error(Code::kAborted, "opening " + path + ": given up");
    if (Clock::now() >= patience.deadline)
      throw_timeout(field.append(": waiting for a reader of ").append(path));
    co_await pause_for(kTryEvery);
    fd = open_fifo(path, O_WRONLY);
  }
  co_return fd;
}

UniqueFd open_keeper(const UniqueFd& writer) {
  UniqueFd fd(::open(fd_path(writer.get()).c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (!fd) throw sys_error("opening a FIFO once more");
  return fd;
}

Stdin open_stdin(const std::string& path) {
  check_fifo("stdin", path);
  UniqueFd reader = open_fifo(path, O_RDONLY);
  return {.reader = std::move(reader), .keeper = open_fifo(path, O_WRONLY)};
}

std::optional<std::string> file_path(const std::string& path) {
  if (!path.starts_with(api::kFilePath)) return std::nullopt;
  return path.substr(api::kFilePath.size());
}

UniqueFd open_file(std::string_view field, const std::string& path, int flags) {
  if (!path.starts_with('/')) throw invalid(field, path, "not an absolute path");
  UniqueFd fd(::open(path.c_str(), flags | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
  if (fd) return fd;
  if (errno == ENXIO) throw invalid(field, path, "a socket, or a FIFO that nobody reads");
  throw sys_error(std::string(field) + ": opening " + path);
}

PipeEnds output_pipe() {
  auto [read, write] = make_pipe();
  return {.ours = non_blocking(std::move(read)), .theirs = std::move(write)};
}

PipeEnds input_pipe() {
  auto [read, write] = make_pipe();
  return {.ours = non_blocking(std::move(write)), .theirs = std::move(read)};
}

}  // namespace ctrd::shim
