// SPDX-License-Identifier: Apache-2.0
#include "snapshot/directory.h"

#include <string>

#include "base/error.h"
#include "base/files.h"

namespace ctrd::snapshot {

void remove_directory(int snapshots, uint64_t number) {
  const std::string name = std::to_string(number), trash = std::string(kTrashPrefix) + name;
  remove_tree_at(snapshots, trash);
  try {
    rename_at(snapshots, name, snapshots, trash);
  } catch (const Error& error) {  // somebody else is at it, or has been
    if (error.code() != Code::kNotFound && error.code() != Code::kAlreadyExists) throw;
  }
  remove_tree_at(snapshots, trash);
}

}  // namespace ctrd::snapshot
