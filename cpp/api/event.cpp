// SPDX-License-Identifier: Apache-2.0
#include "api/event.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

#include "api/codec.h"
#include "api/event_messages.h"
#include "base/process.h"
#include "base/time.h"

namespace ctrd::api {
namespace {

using Row = std::pair<std::string_view, std::string_view>;  // message without its package, topic
constexpr std::string_view kPackage = "containerd.events.";
constexpr auto kTopics = std::to_array<Row>({{"ContainerCreate", "/containers/create"},
                                             {"ContainerUpdate", "/containers/update"},
                                             {"ContainerDelete", "/containers/delete"},
                                             {"NamespaceCreate", "/namespaces/create"},
                                             {"NamespaceUpdate", "/namespaces/update"},
                                             {"NamespaceDelete", "/namespaces/delete"},
                                             {"SnapshotPrepare", "/snapshot/prepare"},
                                             {"SnapshotCommit", "/snapshot/commit"},
                                             {"SnapshotRemove", "/snapshot/remove"},
                                             {"ContentCreate", "/content/create"},
                                             {"ContentDelete", "/content/delete"},
                                             {"TaskCreate", "/tasks/create"},
                                             {"TaskStart", "/tasks/start"},
                                             {"TaskExit", "/tasks/exit"},
                                             {"TaskDelete", "/tasks/delete"},
                                             {"TaskOOM", "/tasks/oom"},
                                             {"TaskExecAdded", "/tasks/exec-added"},
                                             {"TaskExecStarted", "/tasks/exec-started"},
                                             {"TaskPaused", "/tasks/paused"},
                                             {"TaskResumed", "/tasks/resumed"},
                                             {"TaskCheckpointed", "/tasks/checkpointed"}});

}  // namespace

static void fields(auto& v, Is<Event> auto& m) {
  v.time(1, m.time_ns), v(2, m.ns), v(3, m.topic), v(4, m.event), v(1000, m.id);
}

CTRD_API_CODEC(Event)
CTRD_API_CODEC(ContainerCreate)
CTRD_API_CODEC(ContainerUpdate)
CTRD_API_CODEC(ContainerDelete)
CTRD_API_CODEC(NamespaceCreate)
CTRD_API_CODEC(NamespaceUpdate)
CTRD_API_CODEC(NamespaceDelete)
CTRD_API_CODEC(SnapshotPrepare)
CTRD_API_CODEC(SnapshotCommit)
CTRD_API_CODEC(SnapshotRemove)
CTRD_API_CODEC(ContentCreate)
CTRD_API_CODEC(ContentDelete)
CTRD_API_CODEC(TaskCreate)
CTRD_API_CODEC(TaskStart)
CTRD_API_CODEC(TaskExit)
CTRD_API_CODEC(TaskDelete)
CTRD_API_CODEC(TaskOOM)
CTRD_API_CODEC(TaskExecAdded)
CTRD_API_CODEC(TaskExecStarted)
CTRD_API_CODEC(TaskPaused)
CTRD_API_CODEC(TaskResumed)
CTRD_API_CODEC(TaskCheckpointed)

std::string_view topic_of(std::string_view type) {
  if (!type.starts_with(kPackage)) return {};
  const auto* row = std::ranges::find(kTopics, type.substr(kPackage.size()), &Row::first);
  return row == kTopics.end() ? std::string_view() : row->second;
}

Event make_event(std::string ns, std::string_view type, std::string message) {
  return {.time_ns = wall_ns(),
          .ns = std::move(ns),
          .topic = std::string(topic_of(type)),
          .event = {std::string(type), std::move(message)},
          .id = random_hex(8)};
}

std::string event_id(std::string_view instance, std::string_view topic) {
  uint64_t hash = 14695981039346656037u;  // FNV-1a: instances are random already
  for (std::string_view part : {instance, topic})
    for (char c : part) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  std::array<char, 17> digits;
  std::snprintf(digits.data(), digits.size(), "%016llx", static_cast<unsigned long long>(hash));
  return {digits.data(), 16};
}

}  // namespace ctrd::api
