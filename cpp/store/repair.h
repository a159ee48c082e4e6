// SPDX-License-Identifier: Apache-2.0
// A damaged database, made anew of what can be read of it: of every table and log in the directory,
// by sequence numbers, whatever the manifest says. LevelDB's own repair believes logs without
// looking at checksums, and puts all tables into level 0, where an old value may hide a newer one.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "store/store.h"

namespace ctrd::store {

struct Salvaged {
  std::map<std::string, std::string> entries;
  std::vector<DamagedFile> damage;  // what could not be read whole
};
// The database in dir is not open, and nobody opens it meanwhile. Changes nothing.
Salvaged salvage(int dir);

// The same, and a new database in its place, in one step: killed at any time, this leaves the old
// one as it was, or the new one. What was damaged is kept in <dir>/lost. first: as Store's.
std::vector<DamagedFile> repair_database(int dir, const std::string& path,
                                         const std::function<void(const View&, Batch&)>& first);

}  // namespace ctrd::store
