// SPDX-License-Identifier: Apache-2.0
// Reading a task's framed log: any number of readers, each from where it wants, following until the
// task has ended and all is read.
#include <utility>

#include "api/frame_log.h"
#include "base/error.h"
#include "base/files.h"
#include "engine/log_lines.h"
#include "engine/log_watch.h"
#include "engine/other_shim.h"
#include "engine/other_task.h"
#include "engine/task.h"
#include "engine/verbs.h"

namespace ctrd::engine {
namespace {

class TaskLogs final : public Logs {
 public:
  TaskLogs(UniqueFd dir, const Task& task, const LogOptions& options)
      : options_(options), reader_(std::move(dir)) {
    if (!options.follow) return;
    inotify_ = watch_log(reader_.dir());
    auto shim = open_pidfd(shim_of(task.status));
    if (shim) shim_ = std::move(*shim);
  }

  std::optional<LogLine> next(const Wait& wait) override;

 private:
  void skip_to_tail();
  bool fill();  // one record further; false: nothing more now
  bool is_wanted(const LogLine& line) const;
  void add(std::deque<LogLine> lines);
  void check_kept(const api::LogRecord& record);
  void await(const Wait& wait);
  bool is_over() const { return reader_.ended() || !options_.follow || !shim_; }

  const LogOptions options_;
  api::LogReader reader_;
  LogLines lines_;
  std::deque<LogLine> ready_;
  UniqueFd inotify_, shim_;  // the shim's pidfd; closed once it has gone
  bool begun_ = false, checked_ = false, done_ = false;
};

bool TaskLogs::is_wanted(const LogLine& line) const {
  if (!(line.stream == 1 ? options_.out : options_.err)) return false;
  if (options_.since_seq && line.seq <= *options_.since_seq) return false;
  return !options_.since_ns || line.time_ns >= *options_.since_ns;
}

void TaskLogs::add(std::deque<LogLine> lines) {
  for (auto& line : lines)
    if (is_wanted(line)) ready_.push_back(std::move(line));
}

void TaskLogs::check_kept(const api::LogRecord& record) {
  if (std::exchange(checked_, true)) return;
  if (options_.since_seq && record.seq > (*options_.since_seq >> kOffsetBits) + 1)
    throw not_found(Kind::kNone, "log: what followed line " + std::to_string(*options_.since_seq) +
                                     " is no longer kept")
        .with("field", "since")
        .with("value", std::to_string(*options_.since_seq));
}

bool TaskLogs::fill() {
  auto record = reader_.next();
  if (!record) return false;
  check_kept(*record);
  std::deque<LogLine> lines;
  lines_.add(*record, &lines);
  add(std::move(lines));
  return true;
}

void TaskLogs::skip_to_tail() {
  while (fill())
    while (ready_.size() > *options_.tail) ready_.pop_front();
  if (!is_over()) return;
  std::deque<LogLine> rest;
  lines_.finish(&rest);
  add(std::move(rest));
  while (ready_.size() > *options_.tail) ready_.pop_front();
}

// Until something has been written, or the shim has gone.
void TaskLogs::await(const Wait& wait) {
  pollfd fds[] = {{shim_.get(), POLLIN, 0}, {inotify_.get(), POLLIN, 0}};
  int ready = poll_until(fds, wait.within(kLookAgain));
  if (ready == 0 && wait.expired()) throw_timeout("read the log", wait);
  if (fds[1].revents) forget_changes(&inotify_);
  if (fds[0].revents) shim_.reset();
}

std::optional<LogLine> TaskLogs::next(const Wait& wait) {
  if (!begun_ && options_.tail) skip_to_tail();
  begun_ = true;
  for (;;) {
    if (!ready_.empty()) {
      LogLine line = std::move(ready_.front());
      ready_.pop_front();
      return line;
    }
    if (done_) return std::nullopt;
    bool over = is_over();  // asked before reading: what was written before it went is read
    if (fill()) continue;
    if (!over) {
      await(wait);
      continue;
    }
    std::deque<LogLine> rest;
    lines_.finish(&rest);
    add(std::move(rest));
    done_ = true;
  }
}

}  // namespace

std::unique_ptr<Logs> open_logs(Core& core, const std::string& ns, const std::string& id,
                                const LogOptions& options, const Wait& wait) {
  Task task = get_task(core, {ns, id, ""}, wait);
  if (is_other(task))
    throw lacks(task.status.other_shim, "log that is kept",
                "start it with stdout=PIPE and read that");
  auto dir = find_dir_at(core.root.logs.get(), task.status.instance);
  if (!dir) throw not_found(Kind::kTask, "the task of container \"" + id + "\" has no log");
  return std::make_unique<TaskLogs>(std::move(*dir), task, options);
}

}  // namespace ctrd::engine
