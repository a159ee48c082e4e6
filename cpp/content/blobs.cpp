// SPDX-License-Identifier: Apache-2.0
#include "content/blobs.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include <algorithm>

#include "base/error.h"
#include "base/files.h"

namespace ctrd::content {
namespace {

void pause(Nanos duration) {
  timespec time{0, static_cast<long>(duration.count())};
  ::clock_nanosleep(CLOCK_MONOTONIC, 0, &time, nullptr);
}

// Moved, or exchanged with what has the name already.
void trade(int from_dir, const std::string& from, int to_dir, const std::string& to) {
  if (!exists_at(to_dir, to)) return rename_at(from_dir, from, to_dir, to);
  if (::renameat2(from_dir, from.c_str(), to_dir, to.c_str(), RENAME_EXCHANGE) < 0)
    throw sys_error("exchange " + from + " with content " + to);
}

Error lost(int dir, std::string_view hex, const std::string& expected, const std::string& actual) {
  std::string path = real_path(fd_path(dir)) + "/" + std::string(hex);
  return Error(Code::kDataLoss, "open content " + path + ": " + actual + ", not " + expected)
      .with("path", path)
      .with("expected", expected)
      .with("actual", actual);
}

}  // namespace

BlobsLock::BlobsLock(int content, const Wait& wait) : file_(content, "lock") {
  for (Nanos step = std::chrono::microseconds(100); !file_.try_lock();
       step = std::min<Nanos>(step * 2, std::chrono::milliseconds(5))) {
    wait.check();
    if (wait.expired()) throw_timeout("wait for the content's lock", wait);
    pause(step);
  }
}

void Blobs::place(const Ingest& ingest, std::string_view hex) const {
  trade(ingest.dir(), "data", dir_.get(), std::string(hex));
}

void Blobs::sync() const { sync_dir(dir_.get()); }

void Blobs::take_back(const Ingest& ingest, std::string_view hex) const {
  trade(dir_.get(), std::string(hex), ingest.dir(), "data");
}

bool Blobs::remove(std::string_view hex) const { return unlink_at(dir_.get(), std::string(hex)); }

bool Blobs::has(std::string_view hex) const { return exists_at(dir_.get(), std::string(hex)); }

std::string Blobs::digest_of(std::string_view hex, const Wait& wait) const {
  auto file = find_at(dir_.get(), std::string(hex), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  if (!file) return "";
  Sha256 hash;
  hash_file(file->get(), hash, wait);
  return "sha256:" + hash.hex();
}

UniqueFd Blobs::open(std::string_view hex, uint64_t size) const {
  auto file = find_at(dir_.get(), std::string(hex), O_RDONLY | O_NOFOLLOW);
  std::string expected = std::to_string(size) + " bytes";
  if (!file) throw lost(dir_.get(), hex, expected, "is not there");
  struct stat facts {};
  if (::fstat(file->get(), &facts) < 0) throw sys_error("stat a blob");
  if (static_cast<uint64_t>(facts.st_size) != size)
    throw lost(dir_.get(), hex, expected, std::to_string(facts.st_size) + " bytes");
  return std::move(*file);
}

}  // namespace ctrd::content
