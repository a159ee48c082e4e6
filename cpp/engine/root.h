// SPDX-License-Identifier: Apache-2.0
// The two directories of an engine: the root (records, snapshots, logs) and the state (bundles,
// owner locks). Checks and makes them; takes no lock. Source: design.md 10.
#pragma once

#include <memory>
#include <string>

#include "base/error.h"
#include "base/unique_fd.h"
#include "engine/engine.h"
#include "metadata/record.h"
#include "store/reserve.h"

namespace ctrd::engine {

struct Root {
  std::string path, state_path;   // real paths
  UniqueFd dir, snapshots, logs;  // <root>, <root>/snapshots, <root>/logs
  UniqueFd state, owners;         // <state>, <state>/.owners
  std::string hash6;              // of the root's device and inode: part of every cgroup's name
  metadata::State token;          // what the store must agree with
  // 4 MiB in the root, 64 KiB in the state: let go when the disk is full. design.md 6.1, trap 5.
  std::shared_ptr<store::Reserve> reserve, state_reserve;

  UniqueFd metadata() const;      // <root>/metadata
  bool release_reserves() const;  // false: there was nothing to let go
};

// f; when the disk is full once more, without the reserves. For what only looks, or gives space
// back: f may be run twice.
template <typename F>
auto with_reserves(const Root& root, const F& f) {
  try {
    return f();
  } catch (const Error& error) {
    if (!store::is_full(error) || !root.release_reserves()) throw;
  }
  return f();
}

// Throws kPermissionDenied for a directory that is another user's or that others can write to;
// merely readable by others is tightened. D8 89, 90.
Root open_root(const Config& config);
// Where the state of a root is when nobody says otherwise: /run/ctrd/<12 hex>.
std::string default_state(int root_dir);

}  // namespace ctrd::engine
