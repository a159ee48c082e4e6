// SPDX-License-Identifier: Apache-2.0
#include "content/content.h"

#include "base/digest.h"
#include "base/error.h"
#include "base/files.h"
#include "base/identifier.h"
#include "metadata/adaptors.h"

namespace ctrd::content {
namespace {

constexpr std::size_t kMaxRef = 4096;

void check_ref(const std::string& ns, const std::string& ref) {
  check_namespace(ns);
  if (ref.empty()) throw invalid("ref", ref, "must not be empty");
  if (ref.size() > kMaxRef) throw invalid("ref", ref, "must be at most 4096 bytes");
}

Error no_ingest(const std::string& ns, const std::string& ref) {
  return not_found(Kind::kNone, "ingest \"" + ref + "\": not found in namespace " + ns);
}

}  // namespace

UniqueFd Content::dir(const std::string& name) const { return make_dirs_at(root_, name, 0700); }

std::unique_ptr<Writer> Content::open_writer(const std::string& ns, const std::string& ref,
                                             const Expected& expected, const Wait& wait,
                                             const std::string& lease) {
  check_ref(ns, ref);
  std::unique_ptr<Writer> writer(new Writer(*this, ns, ref, lease));
  auto there = records_.find_for(ns, expected.digest, lease, ref, wait);
  if (expected.digest) {
    const bool is_there = is_whole(*expected.digest, wait);
    if (there && is_there)
      throw Error(Code::kAlreadyExists,
                  "content \"" + *expected.digest + "\": already exists in namespace " + ns)
          .with("digest", *expected.digest);
    if (is_there && sharing_ == Sharing::kShared)
      writer->shared_ = records_.find_elsewhere(ns, *expected.digest, wait);
  }
  if (writer->shared_) {
    writer->status_.offset = writer->shared_->size;
    writer->status_.total = writer->shared_->size;
    writer->status_.started_ns = writer->status_.updated_ns = wall_ns();
  } else {
    writer->ingest_ = Ingest::open(dir("content/ingest"), ns, ref, expected.size, wait);
  }
  return writer;
}

std::vector<IngestStatus> Content::ingests(const std::string& ns,
                                           const std::vector<std::string>& filters) {
  check_namespace(ns);
  const metadata::Filter filter(filters);
  auto dir = find_dir_at(root_, "content/ingest");
  auto all = dir ? list_ingests(dir->get(), ns) : std::vector<IngestStatus>();
  std::erase_if(all, [&](const IngestStatus& one) {
    return !filter.matches([&](const metadata::FieldPath& path) {
      return path.parts[0] == "ref" ? std::optional<std::string_view>(one.ref) : std::nullopt;
    });
  });
  return all;
}

std::vector<metadata::Blob> Content::list(const std::string& ns,
                                          const std::vector<std::string>& filters,
                                          const Wait& wait) {
  const metadata::Filter filter(filters);
  return records_.list(ns, wait, [&](const metadata::Blob& blob) {
    return filter.matches(
        [&](const metadata::FieldPath& path) { return metadata::find_field(blob, path); });
  });
}

IngestStatus Content::ingest(const std::string& ns, const std::string& ref) {
  check_ref(ns, ref);
  auto all = find_dir_at(root_, "content/ingest");
  auto found = all ? find_ingest(all->get(), ns, ref) : std::nullopt;
  if (!found) throw no_ingest(ns, ref);
  return std::move(*found);
}

void Content::abort(const std::string& ns, const std::string& ref) {
  check_ref(ns, ref);
  auto all = find_dir_at(root_, "content/ingest");
  if (!all || !abort_ingest(all->get(), ns, ref)) throw no_ingest(ns, ref);
}

bool Content::abort_unused(const std::string& ns, const std::string& ref, int64_t since_ns,
                           const Wait& wait) {
  check_ref(ns, ref);
  auto may = [&](const IngestStatus& now) {
    return now.updated_ns <= since_ns && !records_.is_leased(ns, ref, wait);
  };
  try {
    auto all = find_dir_at(root_, "content/ingest");
    return all && abort_ingest(all->get(), ns, ref, may);
  } catch (const Error& error) {
    if (error.code() != Code::kUnavailable || error.kind() == Kind::kRoot) throw;
    return false;
  }
}

UniqueFd Content::open(const std::string& ns, const std::string& digest, const Wait& wait) {
  metadata::Blob record = records_.get(ns, digest, wait);
  try {
    return blobs().open(hex_of(digest), record.size);
  } catch (const Error& error) {  // deleted between the two?
    if (error.code() == Code::kDataLoss) records_.get(ns, digest, wait);
    throw;
  }
}

std::vector<metadata::Numbered> Content::remove(const std::string& ns, const std::string& digest,
                                                const Wait& wait) {
  records_.get(ns, digest, wait);
  BlobsLock held = lock(wait);
  auto trash = records_.remove(ns, digest, wait);
  const bool is_last =
      !trash.empty() && trash[0].second.kind == "blob" && trash[0].second.name == hex_of(digest);
  if (!is_last) return trash;
  blobs().remove(hex_of(digest));
  records_.forget_trash_later(trash[0].first);
  trash.erase(trash.begin());
  return trash;
}

void Content::remove_unheld(const std::string& hex, const Wait& wait) {
  BlobsLock held = lock(wait);
  if (!records_.is_held("sha256:" + hex, wait)) blobs().remove(hex);
}

bool Content::is_unheld(const std::string& hex, const Wait& wait) {
  BlobsLock held = lock(wait);
  return blobs().has(hex) && !records_.is_held("sha256:" + hex, wait);
}

bool Content::is_whole(const std::string& digest, const Wait& wait) const {
  return blobs().digest_of(hex_of(digest), wait) == digest;
}

}  // namespace ctrd::content
