// SPDX-License-Identifier: Apache-2.0
#include "shim/stdio.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"

namespace ctrd::shim {
namespace {

constexpr std::array<const char*, 3> kNames{"stdin", "stdout", "stderr"};
constexpr Nanos kLookEvery = std::chrono::milliseconds(1);

// Holds the event too: a pump may end after its Stdio has gone.
asio::awaitable<void> pump(std::shared_ptr<Pump> self, std::shared_ptr<Event> ended) {
  co_await Pump::run(std::move(self), *ended);
}

UniqueFd make_log_dir(const std::string& path) {
  std::string parent = path.substr(0, path.rfind('/'));
  if (!path.starts_with('/') || parent.empty())
    throw invalid("log_dir", path, "not an absolute path");
  if (::mkdir(parent.c_str(), 0700) < 0 && errno != EEXIST) throw sys_error("making " + parent);
  return make_dir_at(open_dir(parent).get(), path.substr(parent.size() + 1), 0700);
}

}  // namespace

void Stdio::open_input(const std::string& path) {
  if (path.empty()) return;
  if (auto file = file_path(path)) {
    input_fifo_ = open_file("stdin", *file, O_RDONLY);
    return;
  }
  Stdin fifo = open_stdin(path);
  input_fifo_ = std::move(fifo.reader);
  keeper_ = std::move(fifo.keeper);
}

void Stdio::open_first(const StdioPaths& paths, bool terminal) {
  open_input(paths.in);
  const std::array<const std::string*, 3> outputs{nullptr, &paths.out, &paths.err};
  for (std::size_t number : {1, 2}) {
    auto file = file_path(*outputs[number]);
    if (!file || (terminal && number == 2)) continue;
    files_[number] = open_file(kNames[number], *file, O_WRONLY | O_APPEND);
  }
}

asio::awaitable<void> Stdio::run_program(StdioPaths paths, LogPrograms& all, std::string id,
                                         Patience patience) {
  if (!paths.program) co_return;
  logger_ = co_await Logger::run(all, std::move(*paths.program), std::move(id), patience);
}

asio::awaitable<void> Stdio::open(StdioPaths paths, const api::Options& options, Patience patience,
                                  bool terminal) {
  if (terminal) paths.err.clear();
  wait_for_readers_ = options.wait_for_readers;
  uid_ = options.io_uid;
  gid_ = options.io_gid;
  if (paths.out == api::kLogPath || paths.err == api::kLogPath) open_log(options);
  co_await open_output(1, paths.out, patience, terminal);
  co_await open_output(2, paths.err, patience, terminal);
  if (logger_) logger_->close_outputs();
  if (terminal || !input_fifo_) co_return;
  PipeEnds pipe = input_pipe();
  child_[0] = given(std::move(pipe.theirs));
  start_pump(add_pump(std::move(input_fifo_), pipe_sink(loop_, std::move(pipe.ours)), false));
}

asio::awaitable<void> Stdio::open_output(std::size_t number, std::string path,
                                         const Patience& patience, bool terminal) {
  if (path.empty()) co_return;
  if (number == 2 && path == api::kMergePath) {
    if (child_[1]) child_[2] = child_[1].dup();
    co_return;
  }
  std::unique_ptr<Sink> sink = co_await open_sink(number, std::move(path), patience);
  if (terminal) {
    terminal_output_ = std::move(sink);
    co_return;
  }
  PipeEnds pipe = output_pipe();
  child_[number] = given(std::move(pipe.theirs));
  start_pump(add_pump(std::move(pipe.ours), std::move(sink), true));
}

asio::awaitable<std::unique_ptr<Sink>> Stdio::open_sink(std::size_t number, std::string path,
                                                        const Patience& patience) {
  if (path == api::kLogPath)
    co_return log_sink(log_, number == 1 ? api::Stream::kStdout : api::Stream::kStderr);
  if (logger_) co_return pipe_sink(loop_, logger_->take_output(number));
  if (files_[number]) co_return file_sink(loop_, std::move(files_[number]));
  UniqueFd fifo = co_await open_for_writing(kNames[number], std::move(path), patience);
  UniqueFd keeper;
  if (wait_for_readers_) keeper = open_keeper(fifo);
  co_return pipe_sink(loop_, std::move(fifo), std::move(keeper));
}

// A process of another user could not open /dev/stdout else.
UniqueFd Stdio::given(UniqueFd end) const {
  bool ours = uid_ == 0 && gid_ == 0;
  if (!ours && ::fchown(end.get(), uid_, gid_) < 0) throw sys_error("io_uid: giving a pipe");
  return end;
}

void Stdio::connect(UniqueFd master) {
  master_ = std::move(master);
  if (!terminal_output_) terminal_output_ = null_sink();
  std::shared_ptr<Pump> output = add_pump(master_.dup(), std::move(terminal_output_), true);
  output->is_terminal_of(life_);
  start_pump(std::move(output));
  if (!input_fifo_) return;
  start_pump(add_pump(std::move(input_fifo_), terminal_sink(loop_, master_.dup()), false));
}

void Stdio::resize(Size size) {
  if (master_) set_size(master_.get(), size);
}

void Stdio::open_log(const api::Options& options) {
  log_ = std::make_shared<api::LogWriter>(make_log_dir(options.log_dir), options.log_max);
}

std::shared_ptr<Pump> Stdio::add_pump(UniqueFd source, std::unique_ptr<Sink> sink, bool is_output) {
  auto made = std::make_shared<Pump>(loop_, std::move(source), std::move(sink), !is_output);
  if (is_output)
    outputs_.push_back(made);
  else
    input_ = made;
  return made;
}

void Stdio::start_pump(std::shared_ptr<Pump> made) {
  start(loop_, pump(std::move(made), ended_), "copying a container's stdio");
}

std::array<int, 3> Stdio::child_ends() const {
  return {child_[0].get(), child_[1].get(), child_[2].get()};
}

void Stdio::close_child_ends() {
  for (UniqueFd& fd : child_) fd.reset();
}

void Stdio::process_ended() {
  life_->over = true;
  life_->changed.notify();
  keeper_.reset();
  master_.reset();
  if (input_) input_->close();
  input_.reset();
}

asio::awaitable<void> Stdio::flush_files(TimePoint deadline) {
  auto behind = [this] {
    return std::ranges::any_of(outputs_, [](const auto& output) { return output->is_behind(); });
  };
  while (behind() && Clock::now() < deadline) co_await pause_for(kLookEvery);
}

asio::awaitable<bool> Stdio::drain(Nanos bound, Output which) {
  process_ended();
  TimePoint deadline = after(bound);
  auto flows = [which](const auto& output) {
    return output->running() && (which == Output::kAll || output->is_kept());
  };
  while (std::ranges::any_of(outputs_, flows) && Clock::now() < deadline)
    co_await ended_->wait(deadline);
  bool cut = false;
  for (const auto& output : outputs_) {
    cut |= flows(output) || output->lost();
    if (flows(output)) output->close();
  }
  if (log_) log_->end();
  log_.reset();
  if (which == Output::kKept) co_return cut;
  std::shared_ptr<Logger> logger = std::move(logger_);
  shut();
  if (logger) co_await Logger::end(std::move(logger));
  co_return cut;
}

void Stdio::shut() {
  close_child_ends();
  keeper_.reset();
  input_fifo_.reset();
  for (UniqueFd& file : files_) file.reset();
  master_.reset();
  terminal_output_.reset();
  for (const auto& output : outputs_) output->close();
  if (input_) input_->close();
  outputs_.clear();
  input_.reset();
  log_.reset();
  if (logger_) start(loop_, Logger::end(std::move(logger_)), "ending a log program");
}

}  // namespace ctrd::shim
