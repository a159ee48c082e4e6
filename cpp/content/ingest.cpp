// SPDX-License-Identifier: Apache-2.0
#include "content/ingest.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/process.h"

namespace ctrd::content {
namespace {

constexpr mode_t kDirMode = 0700;
constexpr mode_t kWritten = 0600;
constexpr mode_t kSealed = 0444;

std::string full_ref(const std::string& ns, const std::string& ref) { return ns + "/" + ref; }

std::string name_of(const std::string& ns, const std::string& ref) {
  Sha256 hash;
  hash.update(full_ref(ns, ref));
  return hash.hex();
}

Error busy(const std::string& ref) {
  return Error(Code::kUnavailable, "ingest \"" + ref + "\": somebody writes it").with("ref", ref);
}

std::optional<uint64_t> read_number(int dir, const char* name) {
  auto text = find_file_at(dir, name, 64);
  uint64_t value = 0;
  if (!text) return std::nullopt;
  auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error != std::errc() || end != text->data() + text->size()) return std::nullopt;
  return value;
}

struct stat facts_of(int fd) {
  struct stat facts {};
  if (::fstat(fd, &facts) < 0) throw sys_error("stat an ingest's file");
  return facts;
}

int64_t modified_ns(const struct stat& facts) {
  return int64_t{facts.st_mtim.tv_sec} * 1'000'000'000 + facts.st_mtim.tv_nsec;
}

// nullopt: half made, or half removed, or another namespace's.
std::optional<IngestStatus> read_status(int dir, std::string_view ns) {
  auto full = find_file_at(dir, "ref", 64 << 10);
  std::size_t slash = full ? full->find('/') : std::string::npos;
  if (slash == std::string::npos || std::string_view(*full).substr(0, slash) != ns)
    return std::nullopt;
  IngestStatus status;
  status.ns = ns;
  status.ref = full->substr(slash + 1);
  status.total = read_number(dir, "total");
  status.started_ns = static_cast<int64_t>(read_number(dir, "startedat").value_or(0));
  status.updated_ns = static_cast<int64_t>(read_number(dir, "updatedat").value_or(0));
  auto data = find_at(dir, "data", O_PATH);
  if (!data) return std::nullopt;  // it has become a blob
  struct stat facts = facts_of(data->get());
  status.offset = static_cast<uint64_t>(facts.st_size);
  status.updated_ns = std::max(status.updated_ns, modified_ns(facts));
  return status;
}

bool is_same(int dir, int parent, const std::string& name) {
  auto there = find_at(parent, name, O_PATH | O_DIRECTORY);
  if (!there) return false;
  struct stat a = facts_of(dir), b = facts_of(there->get());
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

struct Locked {
  UniqueFd dir;
  std::unique_ptr<store::LockFile> lock;
};

// nullopt: it was removed meanwhile.
std::optional<Locked> try_lock_in(UniqueFd dir, int ingests, const std::string& name,
                                  const std::string& ref) {
  Locked locked{std::move(dir), nullptr};
  try {
    locked.lock = std::make_unique<store::LockFile>(locked.dir.get(), "lock");
  } catch (const Error& error) {
    if (error.code() != Code::kNotFound) throw;
    return std::nullopt;
  }
  if (!locked.lock->try_lock()) throw busy(ref);
  if (!is_same(locked.dir.get(), ingests, name)) return std::nullopt;
  return locked;
}

// Made if it is not there. Whoever removes it may come between: then once more.
Locked lock_new(int ingests, const std::string& name, const std::string& ref) {
  for (int attempt = 0;; ++attempt) {
    try {
      if (auto locked = try_lock_in(make_dirs_at(ingests, name, kDirMode), ingests, name, ref))
        return std::move(*locked);
    } catch (const Error& error) {
      if (error.code() == Code::kNotFound && attempt < 100) continue;
      if (error.code() == Code::kResourceExhausted)
        ::unlinkat(ingests, name.c_str(), AT_REMOVEDIR);  // if it is empty
      throw;
    }
  }
}

// Behind "ref", so that what is left by a crash is no ingest any more.
void remove_locked(int ingests, const std::string& name, int dir) {
  unlink_at(dir, "ref");
  remove_tree_at(ingests, name);
}

// "" if it is half made, or half removed.
std::string full_ref_of(int dir) {
  std::string full = find_file_at(dir, "ref", 64 << 10).value_or("");
  bool is_whole = full.find('/') != full.npos && find_at(dir, "data", O_PATH).has_value();
  return is_whole ? full : "";
}

// nullopt: somebody writes it, or it is too young, or gone.
std::optional<Locked> try_lock_stale(int ingests, const std::string& name, int64_t before_ns) {
  auto dir = find_dir_at(ingests, name);
  if (!dir) return std::nullopt;
  std::optional<Locked> locked;
  try {
    locked = try_lock_in(std::move(*dir), ingests, name, name);
  } catch (const Error& error) {
    if (error.code() != Code::kUnavailable) throw;
  }
  if (!locked) return std::nullopt;
  const std::string full = full_ref_of(locked->dir.get());
  auto status = read_status(locked->dir.get(), full.substr(0, full.find('/')));
  if (!full.empty() && (!status || status->updated_ns >= before_ns)) return std::nullopt;
  return locked;
}

void write_at(int fd, std::string_view bytes, uint64_t offset) {
  while (!bytes.empty()) {
    ssize_t done = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) throw sys_error("write an ingest's data");
    bytes.remove_prefix(static_cast<std::size_t>(done));
    offset += static_cast<uint64_t>(done);
  }
}

void cut(int fd, uint64_t size) {
  if (::ftruncate(fd, static_cast<off_t>(size)) < 0) throw sys_error("cut an ingest's data");
}

}  // namespace

std::unique_ptr<Ingest> Ingest::open(UniqueFd ingests, const std::string& ns,
                                     const std::string& ref, std::optional<uint64_t> total,
                                     const Wait& wait) {
  std::string name = name_of(ns, ref);
  Locked locked = lock_new(ingests.get(), name, ref);
  std::unique_ptr<Ingest> made(
      new Ingest(std::move(ingests), name, std::move(locked.dir), std::move(locked.lock)));
  auto known = read_status(made->dir(), ns);
  if (known && known->ref == ref) {
    made->status_ = *known;
    made->resume(total, wait);
  } else {
    made->begin(ns, ref, total);
  }
  return made;
}

void Ingest::begin(const std::string& ns, const std::string& ref, std::optional<uint64_t> total) {
  try {
    status_.ns = ns;
    status_.ref = ref;
    status_.total = total;
    status_.started_ns = status_.updated_ns = wall_ns();
    for (const char* name : {"ref", "data", "total"}) unlink_at(dir(), name);
    data_ = open_at(dir(), "data", O_RDWR | O_CREAT | O_EXCL, kWritten);
    if (total) note("total", std::to_string(*total));
    note("startedat", std::to_string(status_.started_ns));
    note("boot", boot_id());
    note("ref", full_ref(ns, ref));
  } catch (...) {  // nothing half made: disk full, say
    try {
      remove();
    } catch (const std::exception& error) {
      log(Level::kWarning, std::string("remove an ingest that failed: ") + error.what());
    }
    throw;
  }
}

void Ingest::resume(std::optional<uint64_t> total, const Wait& wait) {
  if (total && status_.total && *total != *status_.total)
    throw failed_precondition("ingest \"" + status_.ref + "\": its total is " +
                              std::to_string(*status_.total) + ", not " + std::to_string(*total));
  // A crash may have left it sealed.
  if (auto sealed = find_at(dir(), "data", O_RDONLY | O_NOFOLLOW))
    if (::fchmod(sealed->get(), kWritten) < 0) throw sys_error("chmod an ingest's data");
  data_ = open_at(dir(), "data", O_RDWR | O_CREAT | O_NOFOLLOW, kWritten);
  auto boot = find_file_at(dir(), "boot", 64);
  if (boot && *boot != boot_id()) {
    cut(data(), 0);
    status_.offset = 0;
  }
  note("boot", boot_id());
  if (total && !status_.total) note("total", std::to_string(*total));
  if (total) status_.total = total;
  hash_data(wait);
}

uint64_t hash_file(int fd, Sha256& hash, const Wait& wait) {
  std::string buffer(1 << 20, '\0');
  uint64_t offset = 0;
  for (;;) {
    wait.check();
    ssize_t size = ::pread(fd, buffer.data(), buffer.size(), static_cast<off_t>(offset));
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) throw sys_error("read content");
    if (size == 0) return offset;
    hash.update(std::string_view(buffer).substr(0, static_cast<std::size_t>(size)));
    offset += static_cast<uint64_t>(size);
  }
}

void Ingest::hash_data(const Wait& wait) { status_.offset = hash_file(data(), hash_, wait); }

Ingest::~Ingest() {
  if (removed_ || !data_ || generation_ != store::process_generation()) return;
  try {  // so that the next one may trust it, also after a power loss
    if (::fdatasync(data()) < 0) throw sys_error("sync an ingest's data");
    note("updatedat", std::to_string(status_.updated_ns));
    unlink_at(dir(), "boot");
  } catch (const std::exception& error) {
    log(Level::kDebug, std::string("close an ingest: ") + error.what());
  }
}

void Ingest::note(const char* name, const std::string& text) {
  replace_file_at(dir(), name, text, kWritten, false);
}

void Ingest::write(std::string_view bytes) {
  try {
    write_at(data(), bytes, status_.offset);
  } catch (...) {
    if (::ftruncate(data(), static_cast<off_t>(status_.offset)) < 0)
      log(Level::kWarning, "cut an ingest's data after a failed write: " + status_.ref);
    throw;
  }
  hash_.update(bytes);
  status_.offset += bytes.size();
  status_.updated_ns = wall_ns();
}

void Ingest::clear() {
  cut(data(), 0);
  hash_ = Sha256();
  status_.offset = 0;
  status_.updated_ns = wall_ns();
}

void Ingest::seal() {
  if (::fchmod(data(), kSealed) < 0) throw sys_error("chmod an ingest's data");
  if (::fsync(data()) < 0) throw sys_error("sync an ingest's data");
}

void Ingest::unseal() noexcept { ::fchmod(data(), kWritten); }

void Ingest::remove() {
  removed_ = true;
  remove_locked(ingests_.get(), name_, dir());
}

std::vector<IngestStatus> list_ingests(int ingests, std::string_view ns) {
  std::vector<IngestStatus> all;
  for (const std::string& name : list_dir(ingests)) {
    auto dir = find_dir_at(ingests, name);
    auto status = dir ? read_status(dir->get(), ns) : std::nullopt;
    if (status) all.push_back(std::move(*status));
  }
  std::ranges::sort(all, {}, &IngestStatus::ref);
  return all;
}

std::optional<IngestStatus> find_ingest(int ingests, const std::string& ns,
                                        const std::string& ref) {
  auto dir = find_dir_at(ingests, name_of(ns, ref));
  return dir ? read_status(dir->get(), ns) : std::nullopt;
}

std::vector<StaleIngest> stale_ingests(int ingests, int64_t before_ns) {
  std::vector<StaleIngest> found;
  for (const std::string& name : list_dir(ingests))
    if (auto locked = try_lock_stale(ingests, name, before_ns))
      found.push_back({name, full_ref_of(locked->dir.get())});
  return found;
}

void remove_stale_ingests(int ingests, int64_t before_ns,
                          const std::function<bool(const std::string&)>& spares) {
  for (const std::string& name : list_dir(ingests)) {
    auto locked = try_lock_stale(ingests, name, before_ns);
    if (locked && !spares(full_ref_of(locked->dir.get())))
      remove_locked(ingests, name, locked->dir.get());
  }
}

bool abort_ingest(int ingests, const std::string& ns, const std::string& ref,
                  const std::function<bool(const IngestStatus&)>& may) {
  std::string name = name_of(ns, ref);
  auto dir = find_dir_at(ingests, name);
  if (!dir) return false;
  auto locked = try_lock_in(std::move(*dir), ingests, name, ref);
  if (!locked) return false;
  const auto status = read_status(locked->dir.get(), ns);
  if (status && may && !may(*status)) return false;
  remove_locked(ingests, name, locked->dir.get());
  return status.has_value();
}

}  // namespace ctrd::content
