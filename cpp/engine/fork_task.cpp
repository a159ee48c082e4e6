// SPDX-License-Identifier: Apache-2.0
#include "engine/fork_task.h"

#include <algorithm>
#include <memory>
#include <set>
#include <thread>

#include "base/identifier.h"
#include "base/log.h"
#include "base/process.h"
#include "engine/criu_logs.h"
#include "engine/dump.h"
#include "engine/new_checkpoint.h"
#include "engine/restore.h"
#include "engine/restored_layer.h"
#include "engine/rpc.h"
#include "engine/verbs.h"
#include "oci/spec.h"

namespace ctrd::engine {
namespace {

// What all copies are made of.
struct Original {
  std::string ns;
  metadata::Checkpoint dump;
  std::string spec;
  bool delete_on_exit = false;
  Restoration from;
};

// A Start under way, which restores one.
struct Restoring {
  std::size_t at;
  Task task;
  ttrpc::Call call;
};

std::vector<std::string> choose_ids(Core& core, const std::string& ns, const ForkOptions& options,
                                    const Wait& wait) {
  std::set<std::string> seen;
  std::vector<std::string> ids = options.ids;
  for (std::string& id : ids) {
    if (id.empty()) id = random_hex(6);
    check_identifier("ids", id);
    if (!seen.insert(id).second) throw invalid("ids", id, "named twice");
    make_way(core, ns, id, false, wait);
  }
  if (ids.empty()) throw invalid("count", "0", "not above 0");
  return ids;
}

class Forking {
 public:
  Forking(Core& core, const Original& original, std::vector<std::string> ids, bool keep_going,
          const Wait& wait)
      : core_(core),
        original_(original),
        ids_(std::move(ids)),
        copies_(ids_.size()),
        keep_going_(keep_going),
        wait_(wait) {}
  Forking(const Forking&) = delete;
  ~Forking() {
    for (std::size_t at = 0; at < (done_ ? 0 : next_); ++at) remove_copy(at);
  }

  // CRIU works with one thread, so a few are restored at a time.
  std::vector<Forked> run() {
    const std::size_t most = std::max(2u, std::thread::hardware_concurrency());
    while (next_ < ids_.size() || !under_way_.empty()) {
      if (next_ < ids_.size() && under_way_.size() < most)
        begin(next_++);
      else
        finish_some();
    }
    done_ = true;
    return std::move(copies_);
  }

 private:
  void begin(std::size_t at) {
    try {
      make_copy(at);
      TaskRef ref{original_.ns, ids_[at], copies_[at].task.instance};
      Task task = get_live_task(core_, ref, wait_);
      ttrpc::Call call = begin_call(task.dir.get(), api::kTaskV2, "Start",
                                    api::encode(api::StartRequest{ref.id, ""}), wait_);
      under_way_.push_back({at, std::move(task), std::move(call)});
    } catch (const Error& error) {
      fail(at, error);
    }
  }

  void make_copy(std::size_t at) {
    RestoreOptions options;
    options.id = ids_[at];
    options.delete_on_exit = original_.delete_on_exit;
    Draft draft =
        draft_restored(core_, original_.ns, original_.dump, original_.spec, options, wait_);
    copies_[at].container = describe(write_record(core_, original_.ns, draft, false, wait_));
    Stdio stdio{.in = Std::kDevnull, .out = Std::kLog, .err = Std::kLog};
    copies_[at].task =
        create_task_from(core_, {original_.ns, ids_[at], ""}, stdio, false, &original_.from, wait_);
  }

  void finish_some() {
    std::vector<pollfd> fds;
    for (const Restoring& one : under_way_) fds.push_back({one.call.fd(), POLLIN, 0});
    if (poll_until(fds, wait_) == 0) throw_timeout("fork", wait_);
    for (std::size_t i = fds.size(); i-- > 0;)
      if (fds[i].revents != 0 && finish(under_way_[i]))
        under_way_.erase(under_way_.begin() + static_cast<std::ptrdiff_t>(i));
  }

  // Whether it is over.
  bool finish(Restoring& one) {
    try {
      if (!one.call.advance()) return false;
      auto answer = api::decode<api::StartResponse>(one.call.result());
      copies_[one.at].task.pid = static_cast<int>(answer.pid);
      remove_restored_layer(core_, one.task.status.instance);
    } catch (const Error& error) {
      if (shim_is_gone(core_, one.task, error, wait_))
        fail(one.at, task_has_ended(ids_[one.at]));
      else
        fail(one.at, with_kept_log(core_, one.task, error));
    }
    return true;
  }

  void fail(std::size_t at, const Error& error) {
    bool is_its_own = error.kind() != Kind::kRoot && !wait_.expired();
    if (!keep_going_ || !is_its_own) throw Error(error);
    remove_copy(at);
    copies_[at].failure = error;
  }

  void remove_copy(std::size_t at) {
    copies_[at].task = {};
    if (copies_[at].container.id.empty()) return;  // what has this id now is not ours
    try {
      remove(core_, original_.ns, ids_[at], true, true, cleanup_wait());
    } catch (const std::exception& error) {  // it goes with its owner
      log(Level::kWarning, "copy " + ids_[at] + " is not removed yet: " + error.what());
    }
  }

  Core& core_;
  const Original& original_;
  const std::vector<std::string> ids_;
  std::vector<Forked> copies_;
  std::vector<Restoring> under_way_;
  std::size_t next_ = 0;
  const bool keep_going_;
  bool done_ = false;
  const Wait& wait_;
};

}  // namespace

std::vector<Forked> fork_task(Engine& engine, const TaskRef& ref, const ForkOptions& options,
                              const Wait& wait) {
  Core& core = core_of(engine, wait);
  Wait limit = wait.within(core.config.checkpoint_timeout);
  Task task = get_task_to_dump(core, ref, limit);
  metadata::Full full = get_as_it_runs(core, task, limit);
  std::vector<std::string> ids = choose_ids(core, ref.ns, options, limit);
  CheckpointOptions how;
  how.tcp = "close";
  how.terminal = oci::spec_facts(full.spec).terminal;
  metadata::Checkpoint dump = describe_dump(core, ref.ns, full.record, how, limit);
  NewCheckpoint images(core, checkpoints_path(core));
  {
    Held held(task, limit);
    dump_task(core, task, full.record, images, how, &held, limit);
  }
  Original original{.ns = ref.ns,
                    .dump = std::move(dump),
                    .spec = std::move(full.spec),
                    .delete_on_exit = full.record.on_exit == metadata::OnExit::kDelete,
                    .from = {.images = images.images(),
                             .layer = images.layer(),
                             .close_tcp = true,
                             .skip_network_lock = skips_network_lock(core, how.tcp, limit)}};
  return Forking(core, original, std::move(ids), options.keep_going, limit).run();
}

}  // namespace ctrd::engine
