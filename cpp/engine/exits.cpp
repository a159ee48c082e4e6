// SPDX-License-Identifier: Apache-2.0
#include "engine/exits.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "base/identifier.h"
#include "base/leftover.h"
#include "base/log.h"
#include "base/time.h"
#include "engine/task.h"

namespace ctrd::engine {
namespace {

constexpr const char* kExitsDir = ".exits";
constexpr std::size_t kMost = 1000;
constexpr int64_t kAgeNs = 600'000'000'000;
constexpr std::size_t kMaxFile = 64 << 10;

int64_t ns_of(const timespec& time) { return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec; }

timespec now(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return time;
}

// A kept file's mtime is CLOCK_BOOTTIME, which nobody sets: a clock that jumps takes no exit away.
// nullopt: gone. Of another boot: too old. A temporary file, with a dot in front, has a usual
// mtime.
std::optional<int64_t> age_ns(int dir, const std::string& name) {
  struct stat facts;
  if (::fstatat(dir, name.c_str(), &facts, AT_SYMLINK_NOFOLLOW) < 0) return std::nullopt;
  int64_t time = ns_of(facts.st_mtim);
  if (name.starts_with('.')) return std::max<int64_t>(0, ns_of(now(CLOCK_REALTIME)) - time);
  int64_t age = ns_of(now(CLOCK_BOOTTIME)) - time;
  return age < 0 ? kAgeNs + 1 : age;
}

// Oldest first.
std::vector<std::pair<int64_t, std::string>> by_age(int dir) {
  std::vector<std::pair<int64_t, std::string>> files;
  for (auto& name : list_dir(dir))
    if (auto age = age_ns(dir, name)) files.emplace_back(*age, std::move(name));
  std::sort(files.rbegin(), files.rend());
  return files;
}

void expire(int exits_dir) {
  auto files = by_age(exits_dir);
  std::size_t left = files.size();
  for (const auto& [age, name] : files) {
    if (age <= kAgeNs && left <= kMost) return;
    unlink_at(exits_dir, name);
    --left;
  }
}

void write_kept(int dir, const std::string& id, const std::string& bytes) {
  std::string temporary = name_of_ours(".tmp-");
  create_file_at(dir, temporary, bytes, 0600);
  const timespec times[2] = {{0, UTIME_OMIT}, now(CLOCK_BOOTTIME)};
  bool named = ::utimensat(dir, temporary.c_str(), times, AT_SYMLINK_NOFOLLOW) == 0 &&
               ::renameat(dir, temporary.c_str(), dir, id.c_str()) == 0;
  if (named) return;
  int err = errno;
  unlink_at(dir, temporary);
  throw sys_error(err, "keep the exit of " + id);
}

void keep(const Claim& claim, api::ExitFile exit) {
  auto status = readable_status(claim.dir.get());
  if (status) exit.instance = status->instance;
  UniqueFd dir = make_dirs_at(claim.parent.get(), kExitsDir, 0700);
  write_kept(dir.get(), claim.id, api::encode_file(exit));
  expire(dir.get());
}

}  // namespace

void keep_exit(const Claim& claim) {
  try {
    if (auto exit = readable_exit(claim.dir.get())) keep(claim, std::move(*exit));
  } catch (const Error& error) {
    log(Level::kWarning, "container " + claim.id + ": its exit is not kept: " + error.message());
  }
}

std::optional<api::ExitFile> find_kept_exit(const Core& core, const TaskRef& ref) {
  check_namespace(ref.ns);
  check_identifier("id", ref.id);
  auto dir = core.find_dir(ref.ns, kExitsDir);
  auto age = dir ? age_ns(dir->get(), ref.id) : std::nullopt;
  if (!age || *age > kAgeNs) return std::nullopt;
  auto bytes = find_file_at(dir->get(), ref.id, kMaxFile);
  if (!bytes) return std::nullopt;
  api::ExitFile exit = api::decode_exit_file(*bytes);
  if (!ref.instance.empty() && ref.instance != exit.instance) return std::nullopt;
  return exit;
}

void forget_exit(const Core& core, const std::string& ns, const std::string& id) {
  if (auto dir = core.find_dir(ns, kExitsDir)) unlink_at(dir->get(), id);
}

void expire_exits(int ns_dir) {
  if (auto dir = find_dir_at(ns_dir, kExitsDir)) expire(dir->get());
}

}  // namespace ctrd::engine
