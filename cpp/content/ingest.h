// SPDX-License-Identifier: Apache-2.0
// Content on its way in: <root>/content/ingest/<SHA-256 of namespace and ref>/ with the files
//   lock       whoever has its flock writes; nobody else can, nor take it away
//   data       what has come so far
//   total      how much is to come, if that was said
//   startedat  updatedat   nanoseconds since 1970
//   boot       while somebody writes, or if he was killed: after a power loss data may be torn then
//   ref        "<namespace>/<ref>"; made last: without it there is no ingest
// Not for records, nor for what becomes of it. Source: semantics.md S10.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "base/unique_fd.h"
#include "content/sha256.h"
#include "store/fork_guard.h"

namespace ctrd::content {

struct IngestStatus {
  std::string ns, ref;
  uint64_t offset = 0;  // how much has come
  std::optional<uint64_t> total;
  int64_t started_ns = 0, updated_ns = 0;
};

// One that is being written, by this object alone. Its end keeps what has come, for the next one.
class Ingest {
 public:
  // Begins, or goes on where the last one stopped. kUnavailable: somebody writes it.
  // kFailedPrecondition: it has another total. `ingests`: the directory of all.
  static std::unique_ptr<Ingest> open(UniqueFd ingests, const std::string& ns,
                                      const std::string& ref, std::optional<uint64_t> total,
                                      const Wait& wait);
  ~Ingest();
  Ingest(const Ingest&) = delete;
  Ingest& operator=(const Ingest&) = delete;

  // All of it, or (disk full) nothing.
  void write(std::string_view bytes);
  void clear();
  const IngestStatus& status() const { return status_; }
  std::string digest() const { return "sha256:" + hash_.hex(); }

  // Everything is on the disk, and nobody can write to it. May be opened for reading afterwards.
  void seal();
  void unseal() noexcept;
  void remove();  // the whole of it; nothing else is called then

  int dir() const { return dir_.get(); }  // where "data" is
  int data() const { return data_.get(); }

 private:
  Ingest(UniqueFd ingests, std::string name, UniqueFd dir, std::unique_ptr<store::LockFile> lock)
      : ingests_(std::move(ingests)),
        name_(std::move(name)),
        dir_(std::move(dir)),
        lock_(std::move(lock)) {}
  void begin(const std::string& ns, const std::string& ref, std::optional<uint64_t> total);
  void resume(std::optional<uint64_t> total, const Wait& wait);
  void hash_data(const Wait& wait);
  void note(const char* name, const std::string& text);

  const UniqueFd ingests_;
  const std::string name_;
  UniqueFd dir_, data_;
  std::unique_ptr<store::LockFile> lock_;
  Sha256 hash_;
  IngestStatus status_;
  const uint64_t generation_ = store::process_generation();
  bool removed_ = false;
};

// Hashes all of a file; returns its size.
uint64_t hash_file(int fd, Sha256& hash, const Wait& wait);

// Those that nobody writes, and that are half made or were written to last before that time.
struct StaleIngest {
  std::string name;  // of its directory
  std::string ref;   // "<namespace>/<ref>"; "" for a half made one
};
std::vector<StaleIngest> stale_ingests(int ingests, int64_t before_ns);
// spares: asked with the ref.
void remove_stale_ingests(int ingests, int64_t before_ns,
                          const std::function<bool(const std::string&)>& spares);

std::vector<IngestStatus> list_ingests(int ingests, std::string_view ns);
std::optional<IngestStatus> find_ingest(int ingests, const std::string& ns, const std::string& ref);
// False: there is none, or may says no, which is asked while nobody can write it. kUnavailable:
// somebody writes it.
bool abort_ingest(int ingests, const std::string& ns, const std::string& ref,
                  const std::function<bool(const IngestStatus&)>& may = {});

}  // namespace ctrd::content
