// SPDX-License-Identifier: Apache-2.0
// A task in the making: bundle, shim, Create. Rolled back as a whole unless it comes to commit().
// Source: the spawn contract of design.md 5.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "api/bundle.h"
#include "base/spawn.h"
#include "engine/bundle.h"
#include "engine/claim.h"
#include "engine/core.h"
#include "engine/other_shim.h"
#include "engine/task.h"
#include "oci/spec.h"
#include "ttrpc/client.h"

namespace ctrd::engine {

// Of a bundle: the stored spec that its config.json was made of; the record's may be changed later.
inline constexpr const char* kSpecFile = "spec.json";

// What a layer stands upon.
struct Ground {
  std::string snapshotter, base, rootfs;
  bool operator==(const Ground&) const = default;
};
// What a task is made from that is no new one.
struct Restoration {
  std::string images;  // absolute path of CRIU's
  std::string layer;   // of its layer
  bool close_tcp = false, skip_network_lock = false;
  std::vector<std::string> empty_namespaces = {};
  bool is_ours = true;  // made here: its layer is taken as it is
  // What its layer stands upon, as the container's must; nullopt: it is known to.
  std::optional<Ground> ground = {};
};

class Launch {
 public:
  // Makes the bundle and claims it. Throws kAlreadyExists (kTask) if the container has a task.
  Launch(Core& core, const std::string& ns, const std::string& id, const Stdio& stdio);
  Launch(const Launch&) = delete;
  ~Launch();

  // Starts the shim. owner: whose death ends the task; nullopt for a detached one.
  void spawn(const metadata::Container& record, const std::optional<ProcessKey>& owner);
  // Writes config.json and what whoever finds this bundle dead must know; after spawn, for the shim
  // takes as long to come up. But a shim that is not ours reads it first: it is started here.
  void configure(const std::string& spec, const Wait& wait);
  // What is mounted is thrown away after the task: its filesystem need not be synced at the
  // unmount.
  void make_volatile() { volatile_ = true; }
  // Its process is restored from there by Start; `from` outlives this.
  void restore(const Restoration* from) { from_ = from; }
  // Sends Create, for the caller to poll beside the streams; then created() with its answer.
  ttrpc::Call create(const metadata::Container& record, int64_t timeout_ns, const Wait& wait);
  int created(ttrpc::Call& call, Streams* streams);
  // For an error of spawn or Create that says only that the shim has gone: throws one with the
  // words that it has left in its log. Any other one is the caller's to throw on.
  void explain(const Error& error) const;
  // It stands: nothing is rolled back any more.
  void commit();

  const std::string& instance() const { return instance_; }
  Task task() const;
  Streams take_streams() { return std::move(streams_); }
  int dir() const { return claim_->dir.get(); }

 private:
  std::string path() const { return core_.bundle_path(claim_->ns, claim_->id); }
  api::Options options(const metadata::Container& record, int64_t timeout_ns) const;
  ProcessKey shim() const;  // our child_
  StdioPaths stdio_paths() const;
  void restore_from(const Restoration& from, uint64_t layer, api::CreateRequest* request) const;
  void set_shim(const ProcessKey& key);
  void write_status() const;
  void start_other(const Wait& wait);
  void keep_stdin();
  void adopt_shim();
  void end_child();
  void roll_back();

  Core& core_;
  Stdio stdio_;
  const std::string instance_;
  std::optional<Claim> claim_;
  UniqueFd io_;  // the FIFOs' directory, if there are any
  Streams streams_, kept_;
  std::optional<Child> child_;
  api::StatusFile status_;  // what we have written
  api::Any other_options_;  // for a shim that is not ours
  api::TaskCreate created_;
  oci::SpecFacts facts_;
  bool volatile_ = false;
  const Restoration* from_ = nullptr;
};

}  // namespace ctrd::engine
