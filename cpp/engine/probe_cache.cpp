// SPDX-License-Identifier: Apache-2.0
#include "engine/probe_cache.h"

#include <sys/stat.h>

#include "base/cgroup.h"
#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/process.h"
#include "base/time.h"
#include "engine/patient_lock.h"
#include "ttrpc/codec.h"

namespace ctrd::engine {
namespace {

constexpr const char* kFile = ".probe";
constexpr std::size_t kMaxEntries = 32;
constexpr int64_t kBelieveNo = 600'000'000'000;

struct Entry {
  std::string key;
  bool ok = false;
  std::string binary, version, reason;
  int64_t until_ns = 0;
};
struct File {
  std::vector<Entry> entries;
};

void fields(auto& v, ttrpc::Is<Entry> auto& m) {
  v.bytes(1, m.key), v(2, m.ok), v.bytes(3, m.binary), v.bytes(4, m.version), v.bytes(5, m.reason),
      v(6, m.until_ns);
}
void fields(auto& v, ttrpc::Is<File> auto& m) { v(1, m.entries); }

// A cache: what cannot be read is as if it were not there.
File read_cache(int state_dir) {
  try {
    auto bytes = find_file_at(state_dir, kFile, 1u << 20);
    if (bytes) return ttrpc::decode_message<File>(*bytes, kFile, Code::kDataLoss);
  } catch (const Error& error) {
    log(Level::kDebug, "probe cache: " + error.message());
  }
  return {};
}

void write_cache(int state_dir, const std::string& key, const oci::Probe& probe, int64_t until_ns) {
  File file = read_cache(state_dir);
  std::erase_if(file.entries, [&](const Entry& entry) { return entry.key == key; });
  if (file.entries.size() >= kMaxEntries) file.entries.erase(file.entries.begin());
  file.entries.push_back({key, probe.ok, probe.binary, probe.version, probe.reason, until_ns});
  try {
    replace_file_at(state_dir, kFile, ttrpc::encode_message(file), 0600, false);
  } catch (const Error& error) {
    log(Level::kDebug, "probe cache: " + error.message());
  }
}

std::string number(auto value) { return std::to_string(static_cast<unsigned long long>(value)); }

}  // namespace

std::string fingerprint(const std::vector<std::string>& files) {
  std::string text = boot_id();
  for (const auto& path : files) {
    struct stat facts {};
    if (::stat(path.c_str(), &facts) < 0) continue;
    text += "|" + path + " " + number(facts.st_dev) + " " + number(facts.st_ino);
    if (S_ISDIR(facts.st_mode)) continue;
    text += " " + number(facts.st_size) + " " + number(facts.st_mtim.tv_sec) + "." +
            number(facts.st_mtim.tv_nsec);
  }
  for (const auto& mount : cgroup_mounts()) text += "|" + mount;
  return text;
}

bool ProbeCache::holds(const Known& known, bool fresh) {
  return known.probe.ok || (!fresh && wall_ns() < known.until_ns);
}

oci::Probe ProbeCache::get(int state_dir, const std::string& name, const std::string& print,
                           const std::function<oci::Probe()>& probe, const Wait& wait, bool fresh) {
  std::string key = name + "|" + print;
  auto lock = lock_patiently(mutex_, wait, "wait for a probe");
  Known& known = known_[key];
  if (holds(known, fresh)) return known.probe;
  for (auto& entry : read_cache(state_dir).entries)
    if (entry.key == key)
      known = {{entry.ok, entry.binary, entry.version, entry.reason}, entry.until_ns};
  if (holds(known, fresh)) return known.probe;
  oci::Probe answer = probe();
  known = {answer, answer.ok ? 0 : wall_ns() + kBelieveNo};
  write_cache(state_dir, key, answer, known.until_ns);
  return answer;
}

}  // namespace ctrd::engine
