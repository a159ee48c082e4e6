// SPDX-License-Identifier: Apache-2.0
#include "engine/settle.h"

#include <signal.h>

#include <algorithm>

#include "api/bundle.h"
#include "api/checkpoint.h"
#include "base/cgroup.h"
#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "engine/children.h"
#include "engine/orphans.h"
#include "engine/other_shim.h"
#include "engine/task.h"

namespace ctrd::engine {
namespace {

constexpr uint32_t kKilled = 128 + SIGKILL;
constexpr uint32_t kNobodyKnows = 255;

// bundle: its path. The shim may have died in the middle of the create of a runtime.
void kill_everything(const std::string& bundle, const api::StatusFile& status, Nanos limit) {
  if (status.boot_id != boot_id() && !status.boot_id.empty()) return;
  bool with_criu = exists_at(open_dir(bundle).get(), api::kCriuDir);
  if (status.status == api::Status::kUnknown || with_criu) kill_runtime(bundle);
  signal_process(init_of(status), SIGKILL);
  if (!status.cgroups_path.starts_with("/ctrd-")) return;
  if (kill_cgroup(status.cgroups_path, cleanup_wait(limit))) return;
  throw Error(Code::kDeadlineExceeded,
              "cgroup " + status.cgroups_path + ": its processes are killed, but do not end")
      .with("bundle", bundle);
}

// What is needed to clean up after a status that is not there, or cannot be read.
api::StatusFile unknown_status(const Claim& claim) {
  api::StatusFile status;
  status.cgroups_path = claim.cgroups_path;
  return status;
}

// By its own program, which alone knows all that it has made; what it leaves is removed as for
// ours.
void clean_up_other(const Claim& claim, const api::StatusFile& status) {
  if (status.other_shim.empty()) return;
  std::string bundle = real_path(fd_path(claim.dir.get()));
  if (status.boot_id == boot_id()) {
    if (status.status == api::Status::kUnknown) kill_runtime(bundle);
    delete_by_other_shim({status.other_shim, claim.ns, claim.id, claim.dir.get()});
  }
  remove_other_remains(claim.dir.get());
}

// What the shim would have removed: nobody answers there any more.
void remove_remains(int bundle) {
  for (const char* name :
       {api::kSocketFile, api::kIoDir, api::kRuntimeDir, api::kInitPidFile, api::kCriuDir})
    remove_tree_at(bundle, name);
}

api::ExitFile lost_exit(const api::StatusFile& status) {
  bool rebooted = status.boot_id != boot_id();
  api::ExitFile exit;
  exit.status = rebooted ? kNobodyKnows : kKilled;
  exit.signal = rebooted ? 0 : SIGKILL;
  exit.started_ns = status.started_ns;
  exit.exited_ns = std::max(wall_ns(), exit.started_ns + 1);  // the clock may have been set back
  exit.instance = status.instance;
  exit.lost = rebooted ? api::Lost::kReboot : api::Lost::kShim;
  return exit;
}

// A shim tells of the exit before its status file says "stopped"; so do we.
void tell(Claim& claim, api::StatusFile status, const api::ExitFile& exit) {
  std::string bundle = real_path(fd_path(claim.dir.get()));
  TaskStory story = story_of(claim.ns, claim.id, bundle, status, exit);
  claim.deleted = std::move(story.deleted);
  if (status.status == api::Status::kStopped) return;
  if (!claim.events->append_new(story.until_exit)) return;
  status.status = api::Status::kStopped;
  replace_file_at(claim.dir.get(), api::kStatusFile, api::encode_file(status), 0600, false);
}

}  // namespace

bool settle_claimed(Claim& claim, Nanos limit) {
  int dir = claim.dir.get();
  auto status = readable_status(dir);
  if (!status) status = unknown_status(claim);
  clean_up_other(claim, *status);
  kill_everything(real_path(fd_path(dir)), *status, limit);
  remove_remains(dir);
  if (status->status == api::Status::kUnknown) return false;
  auto exit = readable_exit(dir);
  if (!exit) {
    exit = lost_exit(*status);
    replace_file_at(dir, api::kExitFile, api::encode_file(*exit), 0600, false);
    log(Level::kWarning, "container " + claim.id + ": its shim has died; the task was ended");
  }
  tell(claim, std::move(*status), *exit);
  return true;
}

void settle(Core& core, const std::string& ns, const std::string& id, const Wait& wait) {
  std::optional<Claim> claim;
  if (claim_bundle(core, ns, id, wait.within(std::chrono::seconds(5)), &claim) != Claimed::kTaken)
    return;
  if (!settle_claimed(*claim)) discard(core, std::move(*claim));
  reap_children();
}

void end_shim(Core& core, const std::string& ns, const std::string& id, const ProcessKey& shim) {
  signal_process(shim, SIGKILL);
  Wait wait = cleanup_wait();
  wait_process(shim, wait);
  settle(core, ns, id, wait);
}

}  // namespace ctrd::engine
