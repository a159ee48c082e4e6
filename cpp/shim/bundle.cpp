// SPDX-License-Identifier: Apache-2.0
#include "shim/bundle.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "oci/json.h"

namespace ctrd::shim {
namespace {

constexpr mode_t kFileMode = 0600;
constexpr const char* kSpareFile = "exit.spare";
constexpr std::size_t kSpareSize = 256;  // more than an exit file has, and one block

bool is_private_pid(const oci::Json& ns) {
  return ns.value("type", "") == "pid" && ns.value("path", "").empty();
}

Error no_pid(std::string why) {
  return Error(Code::kInternal, "the runtime exited 0 " + std::move(why), Kind::kRuntime);
}

// What is too long or no file at all is as good as garbage.
std::optional<std::string> find_short_file(int dir, const std::string& name) {
  try {
    return find_file_at(dir, name, 64);
  } catch (const Error& error) {
    return error.message();
  }
}

}  // namespace

bool is_same_dir(const std::string& path, int dir) {
  struct stat theirs {
  }, ours{};
  return ::stat(path.c_str(), &theirs) == 0 && ::fstat(dir, &ours) == 0 &&
         theirs.st_dev == ours.st_dev && theirs.st_ino == ours.st_ino;
}

ConfigFacts Bundle::config_facts() const {
  ConfigFacts facts;
  oci::Json config = oci::parse_json(read_file_at(dir_.get(), api::kConfigFile), api::kConfigFile);
  auto process = config.find("process");
  if (process != config.end() && process->is_object())
    facts.terminal = process->value("terminal", false);
  auto linux_part = config.find("linux");
  if (linux_part == config.end() || !linux_part->is_object()) return facts;
  facts.cgroups_path = linux_part->value("cgroupsPath", "");
  auto namespaces = linux_part->find("namespaces");
  if (namespaces == linux_part->end() || !namespaces->is_array()) return facts;
  for (const oci::Json& ns : *namespaces) facts.private_pids |= is_private_pid(ns);
  return facts;
}

pid_t Bundle::read_pid(const std::string& file) const {
  std::optional<std::string> text = find_short_file(dir_.get(), file);
  if (!text) throw no_pid("without a pid file");
  if (text->ends_with('\n')) text->pop_back();
  pid_t pid = 0;
  auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), pid);
  if (error != std::errc() || end != text->data() + text->size() || pid <= 0)
    throw no_pid("with a pid file that is no pid: \"" + escaped(*text) + "\"");
  return pid;
}

void Bundle::write(const api::StatusFile& status) const {
  replace_file_at(dir_.get(), api::kStatusFile, api::encode_file(status), kFileMode, false);
}

void Bundle::try_write(const api::StatusFile& status) const {
  try {
    write(status);
  } catch (const Error& error) {
    log(Level::kError, "the status file is stale: " + error.message());
  }
}

void Bundle::make_spare() const {
  replace_file_at(dir_.get(), kSpareFile, std::string(kSpareSize, '\0'), kFileMode, false);
}

void Bundle::use_spare(const std::string& bytes) const {
  UniqueFd spare = open_at(dir_.get(), kSpareFile, O_WRONLY);
  write_all(spare.get(), bytes);
  if (::ftruncate(spare.get(), static_cast<off_t>(bytes.size())) < 0)
    throw sys_error("cut the spare exit file");
  rename_at(dir_.get(), kSpareFile, dir_.get(), api::kExitFile);
}

void Bundle::try_write(const api::ExitFile& exit) const {
  std::string bytes = api::encode_file(exit);
  try {
    use_spare(bytes);
    return;
  } catch (const Error& error) {  // a runtime's or a user's doing: as if there were none
    log(Level::kDebug, error.message());
  }
  try {
    replace_file_at(dir_.get(), api::kExitFile, bytes, kFileMode, false);
  } catch (const Error& error) {
    log(Level::kError, "there is no exit file: " + error.message());
  }
}

void Bundle::try_remove(const std::string& name) const {
  try {
    remove_tree_at(dir_.get(), name);
  } catch (const Error& error) {
    log(Level::kWarning, error.message());
  }
}

void Bundle::make_rootfs() const {
  std::string path = file(api::kRootfsDir);
  if (::mkdir(path.c_str(), 0711) < 0 && errno != EEXIST) throw sys_error("making " + path);
}

}  // namespace ctrd::shim
