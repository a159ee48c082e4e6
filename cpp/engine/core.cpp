// SPDX-License-Identifier: Apache-2.0
#include "engine/core.h"

#include "base/error.h"
#include "base/files.h"
#include "base/identifier.h"
#include "engine/children.h"
#include "engine/dir_lock.h"
#include "engine/fork.h"
#include "engine/patient_lock.h"
#include "engine/verbs.h"

namespace ctrd::engine {

Core::Core(const Config& config_)
    : config(config_),
      root(open_root(config_)),
      events(std::make_shared<Events>(make_dirs_at(root.dir.get(), "journal", 0700))),
      containers(store::Store::at(root.metadata(),
                                  {.lock_timeout = config_.lock_timeout, .reserve = root.reserve})),
      namespaces(containers.ledger()),
      leases(containers.ledger()),
      content(root.dir.get(), containers.ledger()),
      overlay(root.snapshots.get(), root.path + "/snapshots"),
      owner(Owner::join(root)),
      generation(fork_generation()) {
  containers.set_outlet(events->outlet());
  start_using(root.state.get());  // so that fsck gives the root no other state directory meanwhile
}

Core::~Core() {
  if (!left_ && generation == fork_generation()) owner->leave();
}

void Core::leave(const Wait& wait) {
  left_ = true;
  stop_using(root.state.get());
  owner->leave(root, containers, leases, wait);
}

void Core::check() const {
  check_not_forked(generation);
  if (closed) throw failed_precondition("engine is closed");
}

void Core::enter(const Wait& wait) {
  check();
  reap_ending(Wait{}.at_once());
  if (ready_) return;
  auto lock = lock_patiently(first_, wait, "wait for the first verb");
  if (ready_) return;
  containers.check_state(root.token, wait);
  recover(*this, wait);
  ready_ = true;
}

bool Core::owner_has_died(const metadata::Container& record) const {
  if (record.lifetime == metadata::Lifetime::kDetached || owner->is_ours(record.owner))
    return false;
  return owner_is_dead(root, record.owner, record.owner_process);
}

std::optional<UniqueFd> Core::find_dir(const std::string& ns, const std::string& name) const {
  return find_dir_at(root.state.get(), ns + "/" + name);
}

UniqueFd Core::ns_dir(const std::string& ns) const {
  check_namespace(ns);
  return make_dirs_at(root.state.get(), ns, 0711);
}

std::string Core::bundle_path(const std::string& ns, const std::string& id) const {
  return root.state_path + "/" + ns + "/" + id;
}

std::string Core::log_path(const std::string& instance) const {
  return root.path + "/logs/" + instance;
}

Wait cleanup_wait(Nanos limit) { return Wait{after(limit), {}}; }

}  // namespace ctrd::engine
