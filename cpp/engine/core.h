// SPDX-License-Identifier: Apache-2.0
// What all verbs share: the directories, the records, the owner. Each verb is a function Core& ->
// value in a file of its own.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>

#include "content/content.h"
#include "engine/engine.h"
#include "engine/events.h"
#include "engine/made.h"
#include "engine/owner.h"
#include "engine/probe_cache.h"
#include "engine/root.h"
#include "metadata/containers.h"
#include "metadata/leases.h"
#include "metadata/namespaces.h"
#include "snapshot/overlay.h"

namespace ctrd::engine {

struct Core {
  explicit Core(const Config& config_);
  ~Core();

  // The first line of every verb: throws if closed or forked; the first one checks the state token
  // and recovers.
  void enter(const Wait& wait);
  // What enter() throws without looking at the root.
  void check() const;
  // Of a record with an owner. Ours never has.
  bool owner_has_died(const metadata::Container& record) const;
  // <state>/<ns>/<name>: a bundle, or what belongs to the namespace. nullopt: not there.
  std::optional<UniqueFd> find_dir(const std::string& ns, const std::string& name) const;
  // <state>/<ns>, made if absent.
  UniqueFd ns_dir(const std::string& ns) const;
  std::string bundle_path(const std::string& ns, const std::string& id) const;
  std::string log_path(const std::string& instance) const;

  const Config config;
  const Root root;
  const std::shared_ptr<Events> events;
  metadata::Containers containers;
  metadata::Namespaces namespaces;
  metadata::Leases leases;
  content::Content content;
  const snapshot::Overlay overlay;
  const std::shared_ptr<Owner> owner;
  ProbeCache probes;
  const uint64_t generation;

  Made made_containers, made_leases;
  std::atomic<bool> closed{false};
  // Gives up this engine's part in the process's owner; once, by close() or the destructor.
  void leave(const Wait& wait);

 private:
  std::timed_mutex first_;
  std::atomic<bool> ready_{false};
  bool left_ = false;
};

void close(Core& core, const Wait& wait);
void recover(Core& core, const Wait& wait);

// For cleaning up after a failure or an interruption: bounded, and not to be interrupted.
Wait cleanup_wait(Nanos limit = std::chrono::seconds(15));

}  // namespace ctrd::engine
