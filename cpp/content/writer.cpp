// SPDX-License-Identifier: Apache-2.0
// A Writer of content.h: the steps from bytes to a blob that is recorded.
#include <unistd.h>

#include <functional>
#include <utility>

#include "base/digest.h"
#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "content/content.h"

namespace ctrd::content {
namespace {

Error mismatch(const IngestStatus& status, const char* what, const std::string& expected,
               const std::string& actual) {
  return Error(Code::kDataLoss, "commit ingest \"" + status.ref + "\": its " + what + " is " +
                                    actual + ", not " + expected)
      .with("expected", expected)
      .with("actual", actual)
      .with("ref", status.ref);
}

void check_expected(const IngestStatus& status, const Expected& expected,
                    const std::string& digest) {
  if (expected.size && *expected.size != status.offset)
    throw mismatch(status, "size", std::to_string(*expected.size), std::to_string(status.offset));
  if (expected.digest && *expected.digest != digest)
    throw mismatch(status, "digest", *expected.digest, digest);
}

// At the end of its scope, unless it is forgotten; what fails is logged.
class AtEnd {
 public:
  explicit AtEnd(std::function<void()> f) : f_(std::move(f)) {}
  AtEnd(const AtEnd&) = delete;
  ~AtEnd() {
    try {
      if (f_) f_();
    } catch (const std::exception& error) {
      log(Level::kWarning, std::string("commit of content: ") + error.what());
    }
  }
  void forget() { f_ = {}; }

 private:
  std::function<void()> f_;
};

}  // namespace

Writer::~Writer() { close(); }

void Writer::close() {
  closed_ = true;
  ingest_.reset();
}

void Writer::check_open(const char* verb) const {
  if (generation_ != store::process_generation())
    throw failed_precondition(
        std::string(verb) + " ingest \"" + status_.ref + "\": it was opened before fork()",
        Kind::kFork);
  if (closed_)
    throw failed_precondition(std::string(verb) + " ingest \"" + status_.ref + "\": it is closed");
}

void Writer::write(std::string_view bytes) {
  check_open("write");
  if (bytes.empty()) return;
  unshare();
  ingest_->write(bytes);
}

void Writer::truncate(uint64_t size) {
  check_open("truncate");
  if (size != 0) throw invalid("size", std::to_string(size), "only 0 is possible");
  unshare();
  ingest_->clear();
}

IngestStatus Writer::status() const {
  check_open("look at");
  return ingest_ ? ingest_->status() : status_;
}

std::string Writer::digest() const {
  check_open("look at");
  return ingest_ ? ingest_->digest() : shared_->digest;
}

// The other namespace's bytes become the beginning of ours.
void Writer::unshare() {
  if (!shared_) return;
  const Wait moment{after(std::chrono::seconds(60)), {}};
  UniqueFd from = content_.blobs().open(hex_of(shared_->digest), shared_->size);
  auto made = Ingest::open(content_.dir("content/ingest"), status_.ns, status_.ref, {}, moment);
  made->clear();
  std::string buffer(1 << 20, '\0');
  for (ssize_t size = 0; (size = ::read(from.get(), buffer.data(), buffer.size())) != 0;) {
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) throw sys_error("read content " + shared_->digest);
    made->write(std::string_view(buffer).substr(0, static_cast<std::size_t>(size)));
  }
  ingest_ = std::move(made);
  shared_.reset();
}

metadata::Blob Writer::commit(const Expected& expected, const metadata::Labels& labels,
                              const Wait& wait) {
  check_open("commit");
  AtEnd close_at_end([this] { close(); });
  metadata::check_labels(labels);
  if (expected.digest) check_digest("digest", *expected.digest);
  check_expected(status(), expected, digest());
  if (shared_) return commit_shared(expected, labels, wait);
  metadata::Blob blob;
  blob.digest = digest();
  blob.size = status().offset;
  blob.labels = labels;
  return place(std::move(blob), wait);
}

metadata::Blob Writer::commit_shared(const Expected&, const metadata::Labels& labels,
                                     const Wait& wait) {
  metadata::Blob blob;
  blob.digest = shared_->digest;
  blob.size = shared_->size;
  blob.labels = labels;
  return content_.records_.add(status_.ns, std::move(blob), true, wait, lease_, status_.ref);
}

metadata::Blob Writer::place(metadata::Blob blob, const Wait& wait) {
  bool is_there = false;
  AtEnd end([&] { is_there ? ingest_->remove() : ingest_->unseal(); });
  ingest_->seal();
  try {
    blob = record(std::move(blob), wait);
  } catch (const Error& error) {
    is_there = error.code() == Code::kAlreadyExists;
    throw;
  }
  is_there = true;
  return blob;
}

// Under the lock, so that nobody removes the bytes before their record is there. What has the name
// already stays if it is whole, which is looked at before, as it takes a while: if somebody heals
// it meanwhile, ours are the same.
metadata::Blob Writer::record(metadata::Blob blob, const Wait& wait) {
  const Blobs blobs = content_.blobs();
  const std::string hex(hex_of(blob.digest));
  const bool is_whole = content_.is_whole(blob.digest, wait);
  BlobsLock held = content_.lock(wait);
  const bool is_ours = !is_whole || !blobs.has(hex);
  if (is_ours) blobs.place(*ingest_, hex);
  AtEnd undo([&] { is_ours ? blobs.take_back(*ingest_, hex) : void(); });
  blobs.sync();  // also of one that is there: whoever placed it may have been killed here
  try {
    blob = content_.records_.add(status_.ns, std::move(blob), false, wait, lease_, status_.ref);
  } catch (const Error& error) {
    if (error.code() == Code::kAlreadyExists) undo.forget();  // what its record says is true again
    throw;
  }
  undo.forget();
  return blob;
}

}  // namespace ctrd::content
