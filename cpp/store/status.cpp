// SPDX-License-Identifier: Apache-2.0
// leveldb::Status keeps no errno: it is read back from strerror's words, in the locale that wrote
// them.
#include <string.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>

#include "store/database.h"

namespace ctrd::store {
namespace {

constexpr std::array kErrors = {ENOSPC, EDQUOT, EFBIG, EIO,    EMFILE,  ENFILE,      ENOMEM,
                                EAGAIN, EACCES, EPERM, EROFS,  ENOTDIR, ENOENT,      EISDIR,
                                ELOOP,  EINTR,  EBADF, EINVAL, EEXIST,  ENAMETOOLONG};
constexpr char kHint[] =
    "ctrd fsck --repair (engine.fsck(repair=True)) keeps what can be read; or restore the "
    "directory "
    "from a copy";

int errno_of(const std::string& words) {
  for (int err : kErrors)
    if (words.ends_with(::strerror(err))) return err;
  return 0;
}

// A path of LevelDB's in its words: "/proc/self/fd/<number>[/<file>]".
struct Named {
  std::size_t begin, end;  // of the directory's part, with the slash
  std::string file;
};

std::optional<Named> find_path(const std::string& words) {
  std::size_t begin = words.find("/proc/self/fd/");
  if (begin == words.npos) return std::nullopt;
  std::size_t end = std::min(words.find_first_not_of("0123456789", begin + 14), words.size());
  if (end == words.size() || words[end] != '/') return Named{begin, end, ""};
  std::size_t name = end + 1;
  return Named{begin, name, words.substr(name, words.find_first_of(": ", name) - name)};
}

// The reason without LevelDB's path, which is a descriptor's; the file's name in it says enough.
std::string reason(std::string words) {
  auto path = find_path(words);
  return path ? words.erase(path->begin, path->end - path->begin) : words;
}

Error data_loss(std::string message, const std::string& path, const std::string& file) {
  if (message.find(file) == message.npos) message += " (in " + file + ")";
  Error error(Code::kDataLoss, message + "; " + kHint, Kind::kRoot);
  if (!file.empty()) error.with("file", file);
  return std::move(error).with("path", path).with("hint", kHint);
}

}  // namespace

Error status_error(const leveldb::Status& status, const std::string& what, const std::string& path,
                   const std::string& file) {
  std::string words = status.ToString();
  std::string message = what + " the metadata in " + path + ": " + reason(words);
  int err = errno_of(words);
  // A file that CURRENT or a manifest names and that is not there is damage, not a wrong path.
  bool lost = status.IsCorruption() || status.IsInvalidArgument() || err == ENOENT;
  if (lost || (err == 0 && !status.IsIOError())) {
    auto named = find_path(words);
    return data_loss(message, path, named && !named->file.empty() ? named->file : file);
  }
  if (err == EFBIG) return Error(Code::kResourceExhausted, message, Kind::kNone, err);
  Error error = sys_error(err ? err : EIO, what + " the metadata in " + path);
  return Error(error.code(), message, Kind::kNone, err ? err : EIO).with("path", path);
}

}  // namespace ctrd::store
