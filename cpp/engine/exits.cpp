// SPDX-License-Identifier: Apache-2.0
#include "engine/exits.h"

#include <sys/stat.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "base/identifier.h"
#include "base/log.h"
#include "base/time.h"

namespace ctrd::engine {
namespace {

constexpr const char* kExitsDir = ".exits";
constexpr std::size_t kMost = 1000;
constexpr int64_t kAgeNs = 600'000'000'000;
constexpr std::size_t kMaxFile = 64 << 10;

// nullopt: gone. What comes from the future (a clock that was set back) is new.
std::optional<int64_t> age_ns(int dir, const std::string& name) {
  struct stat facts;
  if (::fstatat(dir, name.c_str(), &facts, AT_SYMLINK_NOFOLLOW) < 0) return std::nullopt;
  int64_t time = int64_t{facts.st_mtim.tv_sec} * 1'000'000'000 + facts.st_mtim.tv_nsec;
  return std::max<int64_t>(0, wall_ns() - time);
}

// Oldest first. A temporary file whose writer was killed has a dot in front, and ages like others.
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

void keep(const Claim& claim, api::ExitFile exit) {
  auto status = api::find_status_file(claim.dir.get());
  if (status) exit.instance = status->instance;
  UniqueFd dir = make_dirs_at(claim.parent.get(), kExitsDir, 0700);
  replace_file_at(dir.get(), claim.id, api::encode_file(exit), 0600, false);
  expire(dir.get());
}

}  // namespace

void keep_exit(const Claim& claim) {
  try {
    if (auto exit = api::find_exit_file(claim.dir.get())) keep(claim, std::move(*exit));
  } catch (const Error& error) {
    log(Level::kWarning, "container " + claim.id + ": its exit is not kept: " + error.message());
  }
}

std::optional<api::ExitFile> find_kept_exit(const Core& core, const TaskRef& ref) {
  check_identifier("namespace", ref.ns);
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
