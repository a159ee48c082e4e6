// SPDX-License-Identifier: Apache-2.0
// The content store of a root: blobs by digest, which namespaces have, and ingests by ref, which
// become blobs. A blob is durable before a record says that it is; what a crash leaves in between
// is bytes that nobody sees. Source: design.md 10, semantics.md S10 (and S15: DataLoss).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "base/unique_fd.h"
#include "content/blobs.h"
#include "content/ingest.h"
#include "metadata/content.h"

namespace ctrd::content {

// Whether a namespace gets a blob of another one by its name alone, or must bring the bytes.
enum class Sharing { kShared, kIsolated };

struct Expected {
  std::optional<std::string> digest = {};
  std::optional<uint64_t> size = {};
};

class Content;

// One ingest, open. Not shared between threads; must not outlive its Content.
class Writer {
 public:
  ~Writer();
  // Everything below throws kFailedPrecondition once it is closed, in which commit() ends always;
  // kFork in a forked child.
  void write(std::string_view bytes);
  // kInvalidArgument unless 0: it begins anew.
  void truncate(uint64_t size);
  IngestStatus status() const;
  std::string digest() const;  // of what has come
  // Another namespace has what was asked for: nothing needs to be written. What is written is
  // appended to it.
  bool is_shared() const { return shared_.has_value(); }
  // Makes what has come a blob of this namespace. kDataLoss, with context expected and actual: it
  // has another size or digest; kAlreadyExists: the namespace has it, and the ingest is gone. Where
  // the bytes that it had were missing or damaged, these are there in their place then. After any
  // other failure the ingest stays as it was.
  metadata::Blob commit(const Expected& expected, const metadata::Labels& labels, const Wait& wait);
  void close();  // keeps what has come; safe twice

 private:
  friend class Content;
  Writer(Content& content, std::string ns, std::string ref, std::string lease)
      : content_(content), lease_(std::move(lease)) {
    status_.ns = std::move(ns);
    status_.ref = std::move(ref);
  }
  void check_open(const char* verb) const;
  void unshare();
  metadata::Blob commit_shared(const Expected& expected, const metadata::Labels& labels,
                               const Wait& wait);
  metadata::Blob place(metadata::Blob blob, const Wait& wait);
  metadata::Blob record(metadata::Blob blob, const Wait& wait);

  Content& content_;
  const std::string lease_;  // that what comes belongs to, "" for none
  IngestStatus status_;      // while nothing was written into a shared one
  std::optional<metadata::Blob> shared_;
  std::unique_ptr<Ingest> ingest_;
  bool closed_ = false;
  const uint64_t generation_ = store::process_generation();
};

class Content {
 public:
  // root: descriptor of the root, which must outlive it. Directories are made at first use.
  Content(int root, std::shared_ptr<metadata::Ledger> ledger, Sharing sharing = Sharing::kShared)
      : root_(root), records_(std::move(ledger)), sharing_(sharing) {}

  // kAlreadyExists: the namespace has the expected digest, whole. kUnavailable: somebody writes
  // this ref. lease: the ingest joins it, and then the blob, also one that is there already;
  // kNotFound: there is no such lease.
  std::unique_ptr<Writer> open_writer(const std::string& ns, const std::string& ref,
                                      const Expected& expected, const Wait& wait,
                                      const std::string& lease = {});
  // In order of refs. filters: by ref; containerd's language.
  std::vector<IngestStatus> ingests(const std::string& ns,
                                    const std::vector<std::string>& filters = {});
  IngestStatus ingest(const std::string& ns, const std::string& ref);  // throws kNotFound
  void abort(const std::string& ns, const std::string& ref);           // throws kNotFound
  // Unless somebody writes it, or has after since_ns, or a lease holds it, or it has gone: false.
  bool abort_unused(const std::string& ns, const std::string& ref, int64_t since_ns,
                    const Wait& wait);

  metadata::ContentRecords& records() { return records_; }
  // In order of digests, one view. filters: by digest and labels.<key>.
  std::vector<metadata::Blob> list(const std::string& ns, const std::vector<std::string>& filters,
                                   const Wait& wait);
  // At any offset, by pread(2); stays readable when it is deleted. kNotFound; kDataLoss.
  UniqueFd open(const std::string& ns, const std::string& digest, const Wait& wait);
  // What else has become trash with it: ContentRecords::remove.
  std::vector<metadata::Numbered> remove(const std::string& ns, const std::string& digest,
                                         const Wait& wait);
  // The bytes behind a trash key, unless a record has them again.
  void remove_unheld(const std::string& hex, const Wait& wait);
  // Bytes are there, and no namespace has a record of them.
  bool is_unheld(const std::string& hex, const Wait& wait);
  // They are what their digest says.
  bool is_whole(const std::string& digest, const Wait& wait) const;

 private:
  friend class Writer;
  UniqueFd dir(const std::string& name) const;
  Blobs blobs() const { return Blobs(dir("content/blobs/sha256")); }
  BlobsLock lock(const Wait& wait) const { return BlobsLock(dir("content").get(), wait); }

  const int root_;
  metadata::ContentRecords records_;
  const Sharing sharing_;
};

}  // namespace ctrd::content
