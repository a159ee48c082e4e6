// SPDX-License-Identifier: Apache-2.0
#include "engine/root.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/error.h"
#include "base/files.h"
#include "base/leftover.h"
#include "base/make_path.h"
#include "base/process.h"

namespace ctrd::engine {
namespace {

constexpr mode_t kRootMode = 0700;
constexpr mode_t kStateMode = 0711;
constexpr uint64_t kReserve = 4u << 20;
constexpr uint64_t kStateReserve = 64u << 10;

struct stat facts_of(int dir, const std::string& path) {
  struct stat facts;
  if (::fstat(dir, &facts) < 0) throw sys_error("stat " + path);
  return facts;
}

Error denied(const std::string& path, const std::string& why) {
  return Error(Code::kPermissionDenied, "directory " + path + ": " + why).with("path", path);
}

void check_private(int dir, const std::string& path, mode_t mode) {
  struct stat facts = facts_of(dir, path);
  if (facts.st_uid != ::geteuid())
    throw denied(path, "belongs to user " + std::to_string(facts.st_uid) + ", not to user " +
                           std::to_string(::geteuid()));
  if (facts.st_mode & 022) throw denied(path, "others can write to it");
  if ((facts.st_mode & 07777 & ~mode) == 0) return;
  if (::fchmod(dir, mode) < 0) throw sys_error("chmod " + path);
}

UniqueFd open_private(const std::string& path, mode_t mode) {
  if (path.empty()) throw invalid("root", path, "must not be empty");
  make_path(path, mode, 0755);  // parents as mkdir(1) makes them
  UniqueFd dir = open_dir(path);
  check_private(dir.get(), path, mode);
  return dir;
}

uint64_t hash_of(int dir) {  // FNV-1a of device and inode
  struct stat facts = facts_of(dir, "the root");
  uint64_t hash = 14695981039346656037ull;
  for (uint64_t value : {uint64_t{facts.st_dev}, uint64_t{facts.st_ino}})
    for (int shift = 0; shift < 64; shift += 8)
      hash = (hash ^ ((value >> shift) & 0xff)) * 1099511628211ull;
  return hash;
}

std::string hex12(uint64_t hash) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(hash));
  return std::string(text + 4);
}

// The state directory's random name for itself: made once, by whoever links it first.
std::string token_of(int state) {
  if (auto token = find_file_at(state, ".id", 64)) return *token;
  std::string temporary = name_of_ours(".id-");
  create_file_at(state, temporary, random_hex(16), 0600);
  int linked = ::linkat(state, temporary.c_str(), state, ".id", 0);
  int err = errno;
  unlink_at(state, temporary);
  if (linked < 0 && err != EEXIST) throw sys_error(err, "make .id in the state directory");
  return read_file_at(state, ".id", 64);
}

}  // namespace

bool Root::release_reserves() const {
  bool of_state = state_reserve->release();
  return reserve->release() || of_state;
}

UniqueFd Root::metadata() const { return make_dirs_at(dir.get(), "metadata", kRootMode); }

std::string default_state(int root_dir) { return "/run/ctrd/" + hex12(hash_of(root_dir)); }

Root open_root(const Config& config) {
  Root root;
  root.dir = open_private(config.root, kRootMode);
  root.path = real_path(config.root);
  root.snapshots = make_dirs_at(root.dir.get(), "snapshots", kRootMode);
  root.logs = make_dirs_at(root.dir.get(), "logs", kRootMode);
  std::string state = config.state;
  if (state.empty()) {
    open_private("/run/ctrd", kStateMode);
    state = default_state(root.dir.get());
  }
  root.state = open_private(state, kStateMode);
  root.state_path = real_path(state);
  root.owners = make_dirs_at(root.state.get(), ".owners", kRootMode);
  root.hash6 = hex12(hash_of(root.dir.get())).substr(0, 6);
  root.reserve = std::make_shared<store::Reserve>(root.dir.dup(), "reserve", kReserve);
  root.state_reserve =
      std::make_shared<store::Reserve>(root.state.dup(), ".reserve", kStateReserve);
  root.token = {token_of(root.state.get()), boot_id(), root.state_path};
  return root;
}

}  // namespace ctrd::engine
