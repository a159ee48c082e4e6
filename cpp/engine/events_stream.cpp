// SPDX-License-Identifier: Apache-2.0
// Reading events: from where one was, without one lost or shown twice, as they come.
#include <deque>
#include <unordered_set>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "engine/events_filter.h"
#include "engine/fork.h"
#include "engine/verbs.h"
#include "journal/reader.h"
#include "journal/watch.h"

namespace ctrd::engine {
namespace {

constexpr std::size_t kRemembered = 4096;
// An event that was written twice stands there twice within so many bytes, but for a process that
// was stopped in between.
constexpr uint64_t kLookBack = 64 << 10;
constexpr unsigned kAskEvery = 256;  // records, when nothing of them is wanted

// Ids of the last events: one that comes again is left out.
class Recent {
 public:
  bool is_new(const std::string& id) {
    if (id.empty()) return true;
    if (!ids_.insert(id).second) return false;
    order_.push_back(id);
    if (order_.size() > kRemembered) {
      ids_.erase(order_.front());
      order_.pop_front();
    }
    return true;
  }

 private:
  std::unordered_set<std::string> ids_;
  std::deque<std::string> order_;
};

std::optional<api::Event> find_event(const journal::Record& record) {
  try {
    return api::decode<api::Event>(record.body);
  } catch (const Error& error) {
    log(Level::kWarning, "events: " + error.message());
    return std::nullopt;
  }
}

UniqueFd open_journal(const Core& core) { return open_dir_at(core.root.dir.get(), "journal"); }

bool is_from_oldest(const EventOptions& options) {
  return !options.since_seq && (options.since_ns || !options.follow);
}

uint64_t begin_of(const Core& core, const EventOptions& options) {
  if (options.since_seq) return *options.since_seq;
  journal::Extent kept = journal::extent_of(core.events->dir());
  return is_from_oldest(options) ? kept.begin : kept.end;
}

// The oldest may just be removed: then the oldest is another.
journal::Reader reader_from(const Core& core, const EventOptions& options, uint64_t begin) {
  if (is_from_oldest(options)) return journal::Reader::near(open_journal(core), begin);
  return {open_journal(core), begin};
}

class Stream final : public EventStream {
 public:
  Stream(const Core& core, const EventOptions& options)
      : core_(core),
        filter_(options.filters),
        since_ns_(options.since_ns),
        begin_(begin_of(core, options)),
        reader_(reader_from(core, options, begin_)) {
    if (options.follow) watch_.emplace(core.events->dir());
    look_back();
  }

  std::optional<EventInfo> next(const Wait& wait) override;
  int fd() override;
  void close() override { closed_ = true; }

 private:
  void check() const;
  void look_back();
  std::optional<journal::Record> take();
  std::optional<EventInfo> accept(const journal::Record& record);

  const Core& core_;
  const EventFilter filter_;
  const std::optional<int64_t> since_ns_;
  const uint64_t begin_;
  journal::Reader reader_;
  std::optional<journal::Watch> watch_;
  Recent recent_;
  std::atomic<bool> closed_{false};
};

void Stream::check() const {
  check_not_forked(core_.generation);
  if (core_.closed) throw failed_precondition("engine is closed");
  if (closed_) throw failed_precondition("the event stream is closed");
}

// What was there before us may come once more.
void Stream::look_back() {
  uint64_t from = begin_ - std::min(begin_, kLookBack);
  auto before = journal::Reader::near(open_journal(core_), from);
  while (auto record = before.next()) {
    if (record->seq > begin_) return;
    if (auto event = find_event(*record)) recent_.is_new(event->id);
  }
}

// Whoever waits for fd() may read one event at a time: it stays readable until nothing is left.
std::optional<journal::Record> Stream::take() {
  auto record = reader_.next();
  if (record || !watch_) return record;
  watch_->clear();
  record = reader_.next();
  if (record) watch_->touch();
  return record;
}

std::optional<EventInfo> Stream::accept(const journal::Record& record) {
  auto event = find_event(record);
  if (!event || !recent_.is_new(event->id)) return std::nullopt;
  if (since_ns_ && event->time_ns < *since_ns_) return std::nullopt;
  EventInfo info{record.seq, event->time_ns, std::move(event->ns), std::move(event->topic),
                 api::describe(event->event)};
  if (!filter_.matches(info)) return std::nullopt;
  return info;
}

std::optional<EventInfo> Stream::next(const Wait& wait) {
  for (unsigned read = 0;;) {
    check();
    if (auto record = take()) {
      if (auto event = accept(*record)) return event;
      if (++read % kAskEvery == 0) wait.check();
      continue;
    }
    if (!watch_) return std::nullopt;
    if (wait.expired()) throw_timeout("wait for an event", wait);
    watch_->wait(wait);
  }
}

int Stream::fd() {
  check();
  if (watch_) return watch_->fd();
  throw failed_precondition("the event stream does not follow: nothing is to come");
}

}  // namespace

std::unique_ptr<EventStream> open_events(Core& core, const EventOptions& options) {
  return std::make_unique<Stream>(core, options);
}

}  // namespace ctrd::engine
