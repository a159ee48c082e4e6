// SPDX-License-Identifier: Apache-2.0
#include "snapshot/copy_file.h"

#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>

#include "base/error.h"
#include "base/files.h"

namespace ctrd::snapshot {
namespace {

constexpr off_t kPart = 64 << 20;  // between two looks at the caller
constexpr std::size_t kBuffer = 1 << 20;

off_t size_of(int fd) {
  struct stat facts {};
  if (::fstat(fd, &facts) < 0) throw sys_error("stat a file to be copied");
  return facts.st_size;
}

// What a filesystem says that cannot, or not between these two.
bool cannot(int err) {
  return err == EXDEV || err == EINVAL || err == ENOSYS || err == EOPNOTSUPP || err == ETXTBSY ||
         err == EPERM;
}

struct Range {
  off_t begin = 0, end = 0;
};

// The next data at or behind `at`; empty at the end. A filesystem without holes: all of it.
Range next_data(int fd, off_t at, off_t size) {
  off_t begin = ::lseek(fd, at, SEEK_DATA);
  if (begin < 0 && errno == ENXIO) return {size, size};
  if (begin < 0 && errno == EINVAL) return {at, size};
  if (begin < 0) throw sys_error("seek data in a file");
  off_t end = ::lseek(fd, begin, SEEK_HOLE);
  if (end < 0) throw sys_error("seek a hole in a file");
  return {begin, std::min(end, size)};
}

// How much went; 0: the file is shorter than it was.
off_t copy_by_hand(int from, int to, off_t at, off_t most) {
  std::string buffer(std::min<std::size_t>(kBuffer, static_cast<std::size_t>(most)), '\0');
  ssize_t size = 0;
  do {
    size = ::pread(from, buffer.data(), buffer.size(), at);
  } while (size < 0 && errno == EINTR);
  if (size < 0) throw sys_error("read a file to be copied");
  for (ssize_t done = 0; done < size;) {
    ssize_t written =
        ::pwrite(to, buffer.data() + done, static_cast<std::size_t>(size - done), at + done);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw sys_error("write a copy");
    done += written;
  }
  return size;
}

off_t copy_some(int from, int to, off_t at, off_t most, bool& by_kernel) {
  while (by_kernel) {
    off_t in = at, out = at;
    ssize_t size = ::copy_file_range(from, &in, to, &out, static_cast<std::size_t>(most), 0);
    // 0 though there is more: some filesystems say so instead of an error. Source:
    // copy_file_range(2), BUGS
    if (size > 0) return size;
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && !cannot(errno)) throw sys_error("copy a file");
    by_kernel = false;
  }
  return copy_by_hand(from, to, at, most);
}

void copy_range(int from, int to, Range range, bool& by_kernel, const Wait& wait) {
  while (range.begin < range.end) {
    wait.check();
    off_t size =
        copy_some(from, to, range.begin, std::min(kPart, range.end - range.begin), by_kernel);
    if (size == 0) return;
    range.begin += size;
  }
}

}  // namespace

void copy_file(int from, int to, const Wait& wait) {
  if (::ioctl(to, FICLONE, from) == 0) return;
  const off_t size = size_of(from);
  bool by_kernel = true;
  for (off_t at = 0; at < size;) {
    Range range = next_data(from, at, size);
    copy_range(from, to, range, by_kernel, wait);
    at = std::max(range.end, at + 1);
  }
  if (::ftruncate(to, size) < 0) throw sys_error("set a copy's size");
}

}  // namespace ctrd::snapshot
