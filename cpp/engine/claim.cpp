// SPDX-License-Identifier: Apache-2.0
#include "engine/claim.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "api/bundle.h"
#include "base/error.h"
#include "base/files.h"
#include "base/identifier.h"
#include "base/log.h"
#include "base/process.h"
#include "engine/dir_lock.h"
#include "engine/restored_layer.h"
#include "engine/task.h"
#include "oci/spec.h"

namespace ctrd::engine {
namespace {

// Locked at once: recover() may look at it in between, so losing it means to try again.
std::optional<LockFd> make_hidden(int parent, const std::string& name) {
  if (::mkdirat(parent, name.c_str(), 0700) < 0) throw sys_error("make directory " + name);
  LockFd dir = open_lockable(parent, name);
  if (!dir) return std::nullopt;
  if (::fchmod(dir.get(), 0700) < 0) throw sys_error("chmod " + name);
  if (!try_lock(dir.get()) || !is_named(parent, name, dir.get())) return std::nullopt;
  return dir;
}

// True: it has its name. False: something else has it. nullopt: it was taken away as a leftover.
std::optional<bool> give_name(int parent, const std::string& hidden, const std::string& id) {
  try {
    rename_at(parent, hidden, parent, id);
    return true;
  } catch (const Error& error) {
    if (error.sys_errno() == EEXIST) return false;
    if (error.sys_errno() == ENOENT) return std::nullopt;
    throw;
  }
}

// By another shim, which holds no lock: it lives, and its task is made.
bool is_supervised(int bundle) {
  auto status = readable_status(bundle);
  return status && !status->other_shim.empty() && status->status != api::Status::kUnknown &&
         is_alive(shim_of(*status));
}

// Short at first: a shim lets go of its claim some 0.1 ms after its last answer.
void pause(Nanos* step, const Wait& wait) {
  poll_until({}, wait.within(*step));
  *step = std::min<Nanos>(*step * 5 / 4, std::chrono::milliseconds(5));
}

void remove_outside(const Core& core, int bundle) {
  auto status = readable_status(bundle);  // if not, recover removes them
  if (!status || !is_identifier(status->instance)) return;
  remove_tree_at(core.root.logs.get(), status->instance);
  remove_restored_layer(core, status->instance);
}

Claim claim_of(const Core& core, LockFd dir, UniqueFd parent, const std::string& ns,
               const std::string& id) {
  return {std::move(dir),
          std::move(parent),
          ns,
          id,
          core.events,
          oci::cgroups_path(core.root.hash6, ns, id),
          std::nullopt};
}

}  // namespace

std::optional<Claim> make_bundle(const Core& core, const std::string& ns, const std::string& id) {
  check_identifier("id", id);
  for (;;) {
    Claim claim = claim_of(core, {}, core.ns_dir(ns), ns, id);
    std::string hidden = ".new-" + random_hex(8);
    auto dir = make_hidden(claim.parent.get(), hidden);
    if (!dir) continue;
    auto named = give_name(claim.parent.get(), hidden, id);
    if (!named) continue;
    if (!*named) {
      remove_tree_at(claim.parent.get(), hidden);
      return std::nullopt;
    }
    claim.dir = std::move(*dir);
    return claim;
  }
}

Claimed claim_bundle(const Core& core, const std::string& ns, const std::string& id,
                     const Wait& wait, std::optional<Claim>* claim) {
  Nanos step = std::chrono::microseconds(50);
  for (;;) {
    auto parent = find_dir_at(core.root.state.get(), ns);
    if (!parent) return Claimed::kAbsent;
    LockFd dir = open_lockable(parent->get(), id);
    if (!dir) return Claimed::kAbsent;
    bool locked = try_lock(dir.get()) && !is_supervised(dir.get());
    if (locked && is_named(parent->get(), id, dir.get())) {
      *claim = claim_of(core, std::move(dir), std::move(*parent), ns, id);
      return Claimed::kTaken;
    }
    if (!locked && wait.expired()) return Claimed::kHeld;
    if (!locked) pause(&step, wait);
  }
}

void discard(const Core& core, Claim claim) {
  remove_outside(core, claim.dir.get());
  std::string hidden = ".del-" + random_hex(8);
  if (claim.deleted) claim.events->append_new({*claim.deleted});  // once: it has its own id
  rename_at(claim.parent.get(), claim.id, claim.parent.get(), hidden);
  remove_tree_at(claim.parent.get(), hidden);
}

void remove_leftover(int ns_dir, const std::string& name) {
  LockFd dir = open_lockable(ns_dir, name);
  if (dir && try_lock(dir.get())) remove_tree_at(ns_dir, name);
}

}  // namespace ctrd::engine
