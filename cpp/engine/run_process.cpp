// SPDX-License-Identifier: Apache-2.0
// run in a container that runs: Exec, Start, read the streams and Wait, Delete, in one crossing.
#include "base/error.h"
#include "base/files.h"
#include "engine/exec.h"
#include "engine/rpc.h"
#include "engine/run_loop.h"
#include "engine/verbs.h"

namespace ctrd::engine {
namespace {

ExecOptions limited(ExecOptions options, const RunOptions& run) {
  options.timeout_ns = run.timeout_ns;
  options.start = true;
  return options;
}

class ProcessRun {
 public:
  ProcessRun(Core& core, const TaskRef& ref, const ExecOptions& options, const RunOptions& run,
             const Wait& wait)
      : core_(core),
        wait_(wait),
        args_(options.process.args),
        exec_(core, ref, limited(options, run), stdio_of(run), wait),
        loop_(core, run, wait) {}

  void start();
  void see_through();
  RunResult result();

 private:
  std::string ask_exit(std::string_view method);

  Core& core_;
  const Wait& wait_;
  const std::vector<std::string> args_;
  Exec exec_;
  RunLoop loop_;
  ExitStatus exit_;
};

void ProcessRun::start() {
  exec_.add(wait_);
  exec_.start(wait_);
  loop_.set_streams(std::move(exec_.streams()));
  const Task& task = exec_.task();
  loop_.set({open_dir_at(task.dir.get(), "."), task.ns, task.id, task.status, std::nullopt},
            exec_.id());
}

// Both answer with all that is to be said of its exit; only Delete knows whether output was cut.
std::string ProcessRun::ask_exit(std::string_view method) {
  api::WaitRequest request{exec_.task().id, exec_.id()};  // a DeleteRequest has the same fields
  return loop_.call(api::kShimV1, method, api::encode(request));
}

void ProcessRun::see_through() {
  loop_.start_input();
  try {
    ask_exit("Wait");
    exit_ = exit_status(api::decode<api::ExitInfo>(ask_exit("Delete")));
  } catch (const Error& error) {
    if (!shim_is_gone(core_, exec_.task(), error, wait_)) throw;
    exit_ =
        wait_task(core_, {exec_.task().ns, exec_.task().id, exec_.task().status.instance}, wait_);
  }
  exec_.commit();
  loop_.drain();
}

RunResult ProcessRun::result() {
  RunResult result;
  result.args = args_;
  result.exit = exit_;
  result.container_id = exec_.task().id;
  loop_.take(&result);
  return result;
}

}  // namespace

RunResult run_process(Core& core, const TaskRef& ref, const ExecOptions& options,
                      const RunOptions& run, const Wait& wait, RunResult* partial) {
  NoSigpipe guard;
  ProcessRun running(core, ref, options, run, wait);
  running.start();
  try {
    running.see_through();
  } catch (...) {
    if (partial) *partial = running.result();
    throw;
  }
  RunResult result = running.result();
  if (!result.exit.timed_out) return result;
  if (partial) *partial = result;
  throw_timed_out("run in container \"" + result.container_id + "\"", run.timeout_ns);
}

}  // namespace ctrd::engine
