// SPDX-License-Identifier: Apache-2.0
// run: create, create_task, start, read the streams and wait, delete both, in one crossing. The
// shim is started while the record is being synced, and the record removed while the runtime
// deletes.
#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "engine/kill_shim.h"
#include "engine/launch.h"
#include "engine/rpc.h"
#include "engine/run_loop.h"
#include "engine/snapshot_layer.h"
#include "engine/task.h"
#include "engine/verbs.h"

namespace ctrd::engine {
namespace {

// A lease or a label keeps its layer after all.
void settle_kept(Core& core, const metadata::Removed& removed, const Wait& wait) {
  const std::string number = std::to_string(removed.record.snapshot_number);
  for (const auto& [key, trash] : removed.trash)
    if (trash.kind == "snapshot" && trash.name == number) return;
  if (auto layer = Layer::find(core, removed.record.snapshot_number, wait)) settle(*layer);
}

class Run {
 public:
  Run(Core& core, const std::string& ns, const RunOptions& options, const Wait& wait)
      : core_(core), ns_(ns), options_(options), wait_(wait) {}

  void create(const CreateOptions& create);
  void see_through();
  // Task, record and layer go; the exit is known.
  void end();
  // The same after a failure or an interruption; what goes wrong is only logged.
  void abandon() noexcept;
  RunResult result();

 private:
  void launch(const Draft& draft);
  TaskRef ref() const { return {ns_, record_.id, instance_}; }

  Core& core_;
  const std::string ns_;
  const RunOptions& options_;
  const Wait& wait_;
  metadata::Container record_;  // id "" when there is none
  std::string id_;
  std::vector<std::string> args_;
  std::string instance_;
  std::optional<metadata::Removed> removed_;
  RunLoop loop_{core_, options_, wait_};
  ExitStatus exit_;
};

void Run::create(const CreateOptions& create) {
  check_stdio(stdio_of(options_));
  Draft draft = draft_container(core_, ns_, create, wait_);
  args_ = oci::spec_facts(draft.spec).args;
  id_ = draft.record.id;
  if (!create.id.empty()) make_way(core_, ns_, create.id, create.replace, wait_);
  if (create.replace) record_ = write_record(core_, ns_, draft, true, wait_);
  launch(draft);
}

void Run::launch(const Draft& draft) {
  Launch launch(core_, ns_, draft.record.id, stdio_of(options_));
  loop_.set_streams(launch.take_streams());
  bool is_users = draft.base == draft.record.id;  // else its own would have the key
  if (!is_users) launch.make_volatile();
  bool owned = draft.record.lifetime == metadata::Lifetime::kOwner;
  try {
    launch.spawn(draft.record, owned ? std::optional(this_process()) : std::nullopt);
    launch.configure(draft.spec, wait_.within(core_.config.rpc_timeout));
    if (record_.id.empty()) record_ = write_record(core_, ns_, draft, false, wait_);
    Wait limit = wait_.within(core_.config.rpc_timeout);
    ttrpc::Call call = launch.create(record_, time_limit(options_.timeout_ns), limit);
    loop_.pump(call);
    launch.created(call, &loop_.streams());
  } catch (const Error& error) {
    launch.explain(error);
    throw;
  }
  instance_ = launch.instance();
  loop_.set(launch.task(), "");
  launch.commit();
}

void Run::see_through() {
  loop_.start_input();
  try {
    loop_.call(api::kTaskV2, "Start", api::encode(api::StartRequest{record_.id, ""}));
    loop_.keep_limit();
    loop_.call(api::kTaskV2, "Wait", api::encode(api::WaitRequest{record_.id, ""}));
  } catch (const Error& error) {
    if (error.code() != Code::kUnavailable) throw;
  }
  auto file = readable_exit(loop_.dir());
  exit_ = file ? exit_status(*file) : wait_task(core_, ref(), wait_);  // settles a shim that died
  loop_.drain();
}

void Run::end() {
  auto remove_record = [&] {
    removed_ = core_.containers.remove(ns_, record_.id, wait_);
    remove_tree_at(loop_.dir(), api::kIoDir);  // all is read
  };
  auto ended = end_task(core_, ref(), true, wait_, remove_record);
  Discard at_end(core_, ended ? std::move(ended->claim) : std::nullopt);
  if (!ended) remove_record();
  core_.made_containers.forget(ns_, record_.id);
  record_.id.clear();
  if (!removed_) return;
  empty_trash(core_, *removed_);
  settle_kept(core_, *removed_, wait_);
}

void Run::abandon() noexcept {
  loop_.set_streams({});  // the shim need not wait for us to read
  try {
    if (loop_.dir() >= 0) end_at_once(core_, ref());
    if (!record_.id.empty()) engine::remove(core_, ns_, record_.id, true, true, cleanup_wait());
    if (removed_) empty_trash(core_, *removed_);
  } catch (const std::exception& error) {
    log(Level::kError, std::string("a run could not be cleaned up: ") + error.what());
  }
}

RunResult Run::result() {
  RunResult result;
  result.args = args_;
  result.exit = exit_;
  result.container_id = id_;
  loop_.take(&result);
  return result;
}

RunResult see_through(Run& run, const CreateOptions& create) {
  NoSigpipe guard;
  run.create(create);
  run.see_through();
  run.end();
  return run.result();
}

}  // namespace

RunResult run(Core& core, const std::string& ns, const CreateOptions& create,
              const RunOptions& options, const Wait& wait, RunResult* partial) {
  Run run(core, ns, options, wait);
  RunResult result;
  try {
    result = see_through(run, create);
  } catch (...) {
    run.abandon();
    if (partial) *partial = run.result();
    throw;
  }
  if (!result.exit.timed_out) return result;
  if (partial) *partial = result;
  throw_timed_out("run in container \"" + result.container_id + "\"", options.timeout_ns);
}

}  // namespace ctrd::engine
