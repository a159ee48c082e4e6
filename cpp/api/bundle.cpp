// SPDX-License-Identifier: Apache-2.0
#include "api/bundle.h"

#include "api/codec.h"
#include "base/files.h"

namespace ctrd::api {
namespace {

constexpr char kVersion = 1;  // in front of the message, on disk
constexpr std::size_t kMaxFile = 64 << 10;

template <typename T>
std::string with_version(const T& file) {
  return kVersion + ttrpc::encode_message(file);
}

template <typename T>
T decode_file(std::string_view bytes, std::string_view name) {
  if (bytes.empty()) ttrpc::throw_undecodable(name, Code::kDataLoss, "the file is empty");
  if (bytes[0] != kVersion)
    ttrpc::throw_undecodable(name, Code::kDataLoss, "unknown version " + std::to_string(bytes[0]));
  return ttrpc::decode_message<T>(bytes.substr(1), name, Code::kDataLoss);
}

}  // namespace

// Paths are bytes: a file name need not be UTF-8.
static void fields(auto& v, Is<Options> auto& m) {
  v.bytes(1, m.binary_name), v.bytes(2, m.journal_dir), v.bytes(3, m.log_dir),
      v.always(4, m.log_max), v(5, m.lifetime);
  v(6, m.on_exit), v(7, m.timeout_ns), v.always(8, m.drain_ns), v(9, m.instance),
      v.bytes(10, m.cgroups_path);
  v.bytes(11, m.runtime_root), v(12, m.no_pivot_root), v(13, m.no_new_keyring),
      v(14, m.systemd_cgroup), v(15, m.io_uid), v(16, m.io_gid), v(17, m.wait_for_readers);
}

static void fields(auto& v, Is<StatusFile> auto& m) {
  v(1, m.instance), v(2, m.status), v(3, m.pid), v(4, m.pid_start), v(5, m.boot_id),
      v(6, m.created_ns);
  v(7, m.started_ns), v(8, m.shim_pid), v(9, m.shim_start), v.bytes(10, m.cgroups_path);
  v.bytes(11, m.log_dir), v.bytes(12, m.runtime), v(13, m.detached), v(14, m.on_exit);
  v.bytes(15, m.runtime_root), v(16, m.systemd_cgroup), v.bytes(17, m.other_shim);
}

static void fields(auto& v, Is<ExitFile> auto& m) {
  v(1, m.status), v(2, m.signal), v(3, m.started_ns), v(4, m.exited_ns), v(5, m.oom_killed);
  v(6, m.escalated), v(7, m.output_cut), v(8, m.timed_out), v(9, m.lost);
  v(10, m.instance);
}

CTRD_API_CODEC(Options)

template <typename T>
static std::optional<T> find_file(int dir, const char* name) {
  auto bytes = find_file_at(dir, name, kMaxFile);
  if (!bytes) return std::nullopt;
  try {
    return decode_file<T>(*bytes, name);
  } catch (const Error& error) {
    std::string path = real_path(fd_path(dir)) + "/" + name;
    throw Error(error.code(), path + ": " + error.message()).with("path", path);
  }
}

std::string encode_file(const StatusFile& file) { return with_version(file); }
std::string encode_file(const ExitFile& file) { return with_version(file); }

StatusFile decode_status_file(std::string_view bytes) {
  return decode_file<StatusFile>(bytes, kStatusFile);
}
ExitFile decode_exit_file(std::string_view bytes) {
  return decode_file<ExitFile>(bytes, kExitFile);
}

std::optional<StatusFile> find_status_file(int bundle_dir) {
  return find_file<StatusFile>(bundle_dir, kStatusFile);
}

std::optional<ExitFile> find_exit_file(int bundle_dir) {
  return find_file<ExitFile>(bundle_dir, kExitFile);
}

}  // namespace ctrd::api
