// SPDX-License-Identifier: Apache-2.0
// Whether the state directory that the records know is another one than ours, and used.
#include <fcntl.h>

#include "base/error.h"
#include "base/files.h"
#include "base/identifier.h"
#include "engine/dir_lock.h"
#include "engine/fsck_disk.h"

namespace ctrd::engine {
namespace {

// An engine is open, or somebody has a lock in it: a shim, say.
bool is_used(const metadata::State& known) {
  try {
    UniqueFd state = open_dir(known.path);
    if (find_file_at(state.get(), ".id", 64) != known.token) return false;
    if (is_in_use(state.get())) return true;
    for (const std::string& ns : list_dir(state.get())) {
      const bool has_locks = is_identifier(ns) || ns == ".owners";
      auto dir = has_locks ? find_dir_at(state.get(), ns) : std::nullopt;
      if (!dir) continue;
      for (const std::string& id : list_dir(dir->get())) {
        auto entry = find_at(dir->get(), id, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
        if (entry && !try_lock(entry->get(), false)) return true;
      }
    }
  } catch (const Error& error) {
    if (error.code() != Code::kNotFound) throw;
  }
  return false;
}

}  // namespace

std::optional<metadata::Finding> check_state_directory(const Core& core,
                                                       const metadata::State& known) {
  const metadata::State& given = core.root.token;
  if (known.token == given.token || known.boot_id != given.boot_id) return std::nullopt;
  const bool is_lost = known.path == given.path;
  const bool used = !is_lost && is_used(known);
  std::string detail =
      is_lost ? "its file .id is another one, or was lost" : "in this boot it is " + known.path;
  if (used) detail += ", where processes use it: end them, or give that directory";
  return metadata::Finding{"state", given.path, "foreign", detail, !used};
}

}  // namespace ctrd::engine
