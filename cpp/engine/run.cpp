// SPDX-License-Identifier: Apache-2.0
// run: create, create_task, start, read the streams and wait, delete both, in one crossing. The
// shim is started while the record is being synced, and the record removed while the runtime
// deletes.
#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "engine/kill_shim.h"
#include "engine/launch.h"
#include "engine/rpc.h"
#include "engine/run_streams.h"
#include "engine/task.h"
#include "engine/verbs.h"

namespace ctrd::engine {
namespace {

// After the exit: the shim has drained the container's pipes by then, so what is left is in the
// FIFOs.
constexpr Nanos kLastBytes = std::chrono::seconds(5);

Std stream_of(RunOptions::Sink sink) {
  if (sink == RunOptions::Sink::kDevnull) return Std::kDevnull;
  return sink == RunOptions::Sink::kStdout ? Std::kStdout : Std::kPipe;
}

Stdio stdio_of(const RunOptions& options) {
  return {options.has_input ? Std::kPipe : Std::kDevnull, stream_of(options.out),
          stream_of(options.err)};
}

// On the wire 0 is no limit; one that is over before it begins is the shortest.
int64_t time_limit(const RunOptions& options) {
  return options.timeout_ns ? std::max<int64_t>(*options.timeout_ns, 1) : 0;
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
  std::string call(std::string_view method, std::string payload);
  void pump(ttrpc::Call& call);
  void drain();
  void end_input();
  void poll(std::vector<pollfd>& fds, const Wait& wait);
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
  UniqueFd dir_;
  Streams fds_;
  RunStreams streams_{options_, &fds_};
  ExitStatus exit_;
};

void Run::create(const CreateOptions& create) {
  check_stdio(stdio_of(options_));
  Draft draft = draft_container(core_, ns_, create, wait_);
  args_ = oci::spec_facts(draft.spec).args;
  id_ = draft.record.id;
  if (!create.id.empty()) make_way(core_, ns_, create.id, create.replace, wait_);
  launch(draft);
}

void Run::launch(const Draft& draft) {
  Launch launch(core_, ns_, draft.record.id, stdio_of(options_));
  fds_ = launch.take_streams();
  launch.make_volatile();
  bool owned = draft.record.lifetime == metadata::Lifetime::kOwner;
  try {
    launch.spawn(owned ? std::optional(this_process()) : std::nullopt);
    launch.configure(draft.spec);
    record_ = write_record(core_, ns_, draft, false, wait_);
    Wait limit = wait_.within(core_.config.rpc_timeout);
    ttrpc::Call call = launch.create(record_, time_limit(options_), limit);
    pump(call);
    launch.created(call, &fds_);
  } catch (const Error& error) {
    launch.explain(error);
    throw;
  }
  instance_ = launch.instance();
  dir_ = open_dir_at(launch.dir(), ".");
  launch.commit();
}

// The shim holds the FIFO open for whoever attaches, so it must be told.
void Run::end_input() {
  if (!streams_.take_end_of_input()) return;
  std::string request = api::encode(api::CloseIORequest{record_.id, "", true});
  Wait limit = wait_.within(core_.config.rpc_timeout);
  begin_call(dir_.get(), api::kTaskV2, "CloseIO", std::move(request), limit).finish(limit);
}

void Run::poll(std::vector<pollfd>& fds, const Wait& wait) {
  end_input();
  streams_.add(&fds);
  if (poll_until(fds, wait) == 0) throw_timeout("run in container \"" + record_.id + "\"", wait_);
  streams_.step(fds);
}

// Until the call is answered; the streams flow meanwhile, or a runtime that prints much would wait
// for us for ever.
void Run::pump(ttrpc::Call& call) {
  while (!call.advance()) {
    std::vector<pollfd> fds{{call.fd(), POLLIN, 0}};
    poll(fds, wait_);
  }
}

void Run::drain() {
  while (!streams_.ended()) {
    std::vector<pollfd> fds;
    streams_.add(&fds);
    Wait limit = streams_.pending() ? wait_ : wait_.within(kLastBytes);
    if (poll_until(fds, limit) == 0) return;
    streams_.step(fds);
  }
}

std::string Run::call(std::string_view method, std::string payload) {
  ttrpc::Call call = begin_call(dir_.get(), api::kTaskV2, method, std::move(payload), wait_);
  pump(call);
  return call.result();
}

void Run::see_through() {
  streams_.start_input();
  try {
    call("Start", api::encode(api::StartRequest{record_.id, ""}));
    call("Wait", api::encode(api::WaitRequest{record_.id, ""}));
  } catch (const Error& error) {
    if (error.code() != Code::kUnavailable) throw;
  }
  auto file = readable_exit(dir_.get());
  exit_ = file ? exit_status(*file) : wait_task(core_, ref(), wait_);  // settles a shim that died
  drain();
}

void Run::end() {
  auto remove_record = [&] {
    removed_ = core_.containers.remove(ns_, record_.id, wait_);
    remove_tree_at(dir_.get(), api::kIoDir);  // all is read
  };
  auto ended = end_task(core_, ref(), true, wait_, remove_record);
  Discard at_end(core_, ended ? std::move(ended->claim) : std::nullopt);
  if (!ended) remove_record();
  core_.forget(ns_, record_.id);
  record_.id.clear();
  if (removed_) empty_trash(core_, *removed_);
}

void Run::abandon() noexcept {
  fds_ = {};  // the shim need not wait for us to read
  try {
    if (dir_) end_at_once(core_, ref());
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
  streams_.take(&result);
  return result;
}

RunResult see_through(Run& run, const CreateOptions& create) {
  NoSigpipe guard;
  run.create(create);
  run.see_through();
  run.end();
  return run.result();
}

[[noreturn]] void throw_timed_out(const RunOptions& options, const RunResult& result) {
  double seconds = static_cast<double>(options.timeout_ns.value_or(0)) / 1e9;
  std::string limit = std::to_string(seconds);
  throw Error(Code::kDeadlineExceeded, "run in container \"" + result.container_id +
                                           "\": it was killed after " + limit + " s")
      .with("timed_out", "true")
      .with("timeout", limit);
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
  throw_timed_out(options, result);
}

}  // namespace ctrd::engine
