// SPDX-License-Identifier: Apache-2.0
// Blobs on the disk: <root>/content/blobs/sha256/<hex>, read-only, whole and synced from the moment
// they have that name. Which namespaces have them is the records' business; while a blob comes and
// is recorded, or goes after its last record, `BlobsLock` is held, so that the two never cross.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/time.h"
#include "base/unique_fd.h"
#include "content/ingest.h"
#include "store/fork_guard.h"

namespace ctrd::content {

// Among all processes, and for a moment only.
class BlobsLock {
 public:
  // content: the directory of the file "lock".
  BlobsLock(int content, const Wait& wait);

 private:
  store::LockFile file_;
};

class Blobs {
 public:
  explicit Blobs(UniqueFd dir) : dir_(std::move(dir)) {}  // .../blobs/sha256

  // The lock is held. Sealed data gets its name; what has it goes to the data's place.
  void place(const Ingest& ingest, std::string_view hex) const;
  void sync() const;  // names that were given
  // The lock is held. What place() did, undone.
  void take_back(const Ingest& ingest, std::string_view hex) const;
  // The lock is held, and no record has it.
  bool remove(std::string_view hex) const;
  bool has(std::string_view hex) const;
  // Of the bytes that are there; "" if none are.
  std::string digest_of(std::string_view hex, const Wait& wait) const;
  // Throws kDataLoss, with its path, if it is not there or not of this size.
  UniqueFd open(std::string_view hex, uint64_t size) const;

 private:
  UniqueFd dir_;
};

}  // namespace ctrd::content
