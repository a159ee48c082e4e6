// SPDX-License-Identifier: Apache-2.0
#include "engine/events.h"

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "journal/format.h"
#include "journal/reader.h"

namespace ctrd::engine {
namespace {

// Nobody holds a segment longer than it takes to write into it.
Wait moment() { return Wait{after(std::chrono::milliseconds(250)), {}}; }

void say(const std::exception& error, const char* then) {
  log(Level::kWarning, std::string("events: ") + error.what() + then);
}

// "" for what is no event, or none that a record can hold: it will never be in the journal.
std::string id_in(const std::string& bytes) {
  if (bytes.size() > journal::kMaxBody) return {};
  try {
    return api::decode<api::Event>(bytes).id;
  } catch (const Error&) {
    return {};
  }
}

// Those that need not be appended: another process's that are there, and what can never be.
std::vector<bool> find_left(int dir, const std::vector<metadata::Pending>& pending) {
  std::vector<std::string> ids;
  uint64_t from = ~uint64_t{0};
  for (const auto& one : pending) {
    ids.push_back(id_in(one.event));
    if (one.is_left) from = std::min(from, one.from);
  }
  std::vector<bool> there(ids.size(), false);
  if (from != ~uint64_t{0}) there = journal::mentioned(dir, ids, from);
  for (std::size_t i = 0; i < ids.size(); ++i) there[i] = there[i] || ids[i].empty();
  return there;
}

template <typename T>
api::Event task_event(const std::string& ns, const std::string& instance, const T& message,
                      int64_t time_ns) {
  api::Event event = api::make_event(ns, message);
  event.id = api::event_id(instance, event.topic);
  event.time_ns = time_ns;
  return event;
}

}  // namespace

metadata::Outlet Events::outlet() {
  return {.position = [this] { return writer_.position(); },
          .publish = [this](const auto& pending) { return publish(pending); }};
}

std::vector<uint64_t> Events::publish(const std::vector<metadata::Pending>& pending) {
  std::vector<uint64_t> done;
  try {
    std::vector<bool> there = find_left(dir(), pending);
    std::vector<uint64_t> appended;
    std::vector<std::string> bodies;
    for (std::size_t i = 0; i < pending.size(); ++i) {
      (there[i] ? done : appended).push_back(pending[i].number);
      if (!there[i]) bodies.push_back(pending[i].event);
    }
    writer_.append(bodies, moment());
    done.insert(done.end(), appended.begin(), appended.end());
  } catch (const std::exception& error) {
    say(error, ": they follow with a later change");
  }
  return done;
}

// When the oldest event that is kept happened; 0 if all are, or if nobody can compare: the clock
// was set back.
int64_t Events::oldest_ns() {
  journal::Extent kept = journal::extent_of(dir());
  if (kept.begin == 0) return 0;
  auto oldest = journal::Reader::near(open_dir_at(dir(), "."), kept.begin).next();
  int64_t time_ns = oldest ? api::decode<api::Event>(oldest->body).time_ns : 0;
  return time_ns > wall_ns() ? 0 : time_ns;
}

// What is older than all that is kept may have been there once.
bool Events::append_new(const std::vector<api::Event>& events) {
  try {
    std::vector<std::string> ids, bodies;
    for (const api::Event& event : events) ids.push_back(event.id);
    std::vector<bool> there = journal::mentioned(dir(), ids, 0);
    int64_t oldest = oldest_ns();
    for (std::size_t i = 0; i < events.size(); ++i)
      if (!there[i] && events[i].time_ns > oldest) bodies.push_back(api::encode(events[i]));
    writer_.append(bodies, moment());
    return true;
  } catch (const std::exception& error) {
    say(error, "");
    return false;
  }
}

TaskStory story_of(const std::string& ns, const std::string& id, const std::string& bundle,
                   const api::StatusFile& status, const api::ExitFile& exit) {
  const std::string& instance = status.instance;
  uint32_t pid = status.pid;
  TaskStory story;
  api::TaskCreate create{
      .container_id = id, .bundle = bundle, .rootfs = {}, .io = {}, .checkpoint = {}, .pid = pid};
  story.until_exit.push_back(task_event(ns, instance, create, status.created_ns));
  if (exit.started_ns != api::kNotYet)
    story.until_exit.push_back(task_event(ns, instance, api::TaskStart{id, pid}, exit.started_ns));
  api::TaskExit ended{.container_id = id,
                      .id = id,
                      .pid = pid,
                      .exit_status = exit.status,
                      .exited_ns = exit.exited_ns};
  story.until_exit.push_back(task_event(ns, instance, ended, exit.exited_ns));
  api::TaskDelete deleted{.container_id = id,
                          .pid = pid,
                          .exit_status = exit.status,
                          .exited_ns = exit.exited_ns,
                          .id = {}};
  story.deleted = task_event(ns, instance, deleted, wall_ns());
  return story;
}

}  // namespace ctrd::engine
