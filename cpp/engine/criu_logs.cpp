// SPDX-License-Identifier: Apache-2.0
#include "engine/criu_logs.h"

#include <algorithm>
#include <tuple>
#include <vector>

#include "api/checkpoint.h"
#include "base/files.h"
#include "base/log.h"

namespace ctrd::engine {
namespace {

constexpr std::size_t kMaxLog = 32u << 20, kKept = 16;

void remove_oldest(int dir) {
  std::vector<std::tuple<int64_t, int64_t, std::string>> files;
  for (const std::string& name : list_dir(dir)) {
    struct stat facts {};
    if (::fstatat(dir, name.c_str(), &facts, AT_SYMLINK_NOFOLLOW) == 0)
      files.emplace_back(facts.st_mtim.tv_sec, facts.st_mtim.tv_nsec, name);
  }
  std::sort(files.begin(), files.end());
  for (std::size_t i = 0; i + kKept < files.size(); ++i) unlink_at(dir, std::get<2>(files[i]));
}

// "" if there is no log to keep.
std::string keep(const Core& core, const Task& task) {
  auto text = find_file_at(task.dir.get(), api::kCriuLogFile, kMaxLog);
  if (!text || text->empty()) return "";
  UniqueFd dir = make_dirs_at(core.root.logs.get(), kCriuLogs, 0700);
  std::string name = task.status.instance + ".log";
  replace_file_at(dir.get(), name, *text, 0600, false);
  remove_oldest(dir.get());
  return core.root.path + "/logs/" + kCriuLogs + "/" + name;
}

std::string replaced(std::string text, std::string_view from, const std::string& to) {
  auto at = text.find(from);
  return at == text.npos ? text : text.replace(at, from.size(), to);
}

}  // namespace

Error with_kept_log(const Core& core, const Task& task, const Error& error) {
  std::string before(error.find("log_path"));
  if (before.empty()) return error;
  try {
    std::string path = keep(core, task);
    if (path.empty()) return error;
    Error told(error.code(), replaced(error.message(), before, path), error.kind(),
               error.sys_errno());
    for (const auto& [key, value] : error.context())
      told.with(key, key == "log_path" ? path : value);
    return told;
  } catch (const Error& failed) {
    log(Level::kWarning, "CRIU's log is not kept: " + failed.message());
    return error;
  }
}

}  // namespace ctrd::engine
