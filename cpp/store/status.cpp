// SPDX-License-Identifier: Apache-2.0
// leveldb::Status keeps no errno: it is read back from strerror's words, in the locale that wrote
// them.
#include <string.h>

#include <array>
#include <cerrno>

#include "store/database.h"

namespace ctrd::store {
namespace {

constexpr std::array kErrors = {ENOSPC, EDQUOT, EFBIG, EIO,    EMFILE,  ENFILE,      ENOMEM,
                                EAGAIN, EACCES, EPERM, EROFS,  ENOTDIR, ENOENT,      EISDIR,
                                ELOOP,  EINTR,  EBADF, EINVAL, EEXIST,  ENAMETOOLONG};
constexpr char kHint[] = "restore the directory from a copy, or move it away to begin anew";

int errno_of(const std::string& words) {
  for (int err : kErrors)
    if (words.ends_with(::strerror(err))) return err;
  return 0;
}

// The reason without LevelDB's path, which is a descriptor's; the file's name in it says enough.
std::string reason(std::string words) {
  std::size_t begin = words.find("/proc/self/fd/");
  if (begin == words.npos) return words;
  std::size_t end = words.find_first_not_of("0123456789", begin + 14);
  if (end == words.npos) return words.erase(begin);
  return words.erase(begin, end - begin + (words[end] == '/' ? 1 : 0));
}

Error data_loss(const std::string& message, const std::string& path) {
  return Error(Code::kDataLoss, message + "; " + kHint, Kind::kRoot)
      .with("path", path)
      .with("hint", kHint);
}

}  // namespace

Error status_error(const leveldb::Status& status, const std::string& what,
                   const std::string& path) {
  std::string words = status.ToString();
  std::string message = what + " the metadata in " + path + ": " + reason(words);
  int err = errno_of(words);
  // A file that CURRENT or a manifest names and that is not there is damage, not a wrong path.
  bool lost = status.IsCorruption() || status.IsInvalidArgument() || err == ENOENT;
  if (lost || (err == 0 && !status.IsIOError())) return data_loss(message, path);
  if (err == EFBIG) return Error(Code::kResourceExhausted, message, Kind::kNone, err);
  Error error = sys_error(err ? err : EIO, what + " the metadata in " + path);
  return Error(error.code(), message, Kind::kNone, err ? err : EIO).with("path", path);
}

}  // namespace ctrd::store
