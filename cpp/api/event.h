// SPDX-License-Identifier: Apache-2.0
// What happened, as containerd says it: an envelope (time, namespace, topic) around one message a
// topic, as plain structs with protozero codecs. Engine and shims write them to the journal; the
// .proto beside it is the oracle for the tests. Source: shim-protocol.md 5, semantics.md S12.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "api/task.h"

namespace ctrd::api {

// containerd.types.Envelope, and an id: two events of one id are one that was written twice.
struct Event {
  int64_t time_ns = 0;  // 1
  std::string ns;       // 2
  std::string topic;    // 3
  Any event;            // 4; type_url is the bare name of the message
  std::string id;       // 1000, so that containerd's own additions have room: 16 hex digits
};

struct Runtime {
  std::string name;
  Any options;
};
struct ContainerCreate {
  std::string id, image;
  Runtime runtime;
};
struct ContainerUpdate {
  std::string id, image;
  std::map<std::string, std::string> labels;
  std::string snapshot_key;
};
struct ContainerDelete {
  std::string id;
};
struct NamespaceCreate {
  std::string name;
  std::map<std::string, std::string> labels;
};
struct NamespaceUpdate {
  std::string name;
  std::map<std::string, std::string> labels;
};
struct NamespaceDelete {
  std::string name;
};
struct SnapshotPrepare {
  std::string key, parent, snapshotter;
};
struct SnapshotCommit {
  std::string key, name, snapshotter;
};
struct SnapshotRemove {
  std::string key, snapshotter;
};
struct ContentCreate {
  std::string digest;
  int64_t size = 0;
};
struct ContentDelete {
  std::string digest;
};
struct TaskIO {
  std::string stdin_path, stdout_path, stderr_path;
  bool terminal = false;
};
struct TaskCreate {
  std::string container_id, bundle;
  std::vector<Mount> rootfs;
  TaskIO io;
  std::string checkpoint;
  uint32_t pid = 0;
};
struct TaskStart {
  std::string container_id;
  uint32_t pid = 0;
};
struct TaskExit {
  std::string container_id, id;  // id: the exec's, or the container's for init
  uint32_t pid = 0, exit_status = 0;
  int64_t exited_ns = kNotYet;
};
struct TaskDelete {
  std::string container_id;
  uint32_t pid = 0, exit_status = 0;
  int64_t exited_ns = kNotYet;
  std::string id;  // the exec's, or ""
};
struct TaskOOM {
  std::string container_id;
};
struct TaskExecAdded {
  std::string container_id, exec_id;
};
struct TaskExecStarted {
  std::string container_id, exec_id;
  uint32_t pid = 0;
};
struct TaskPaused {
  std::string container_id;
};
struct TaskResumed {
  std::string container_id;
};
struct TaskCheckpointed {
  std::string container_id, checkpoint;
};

// encode and decode as every message has them (task.h).
#define CTRD_API_EVENT(T)              \
  std::string encode(const T& m);      \
  template <>                          \
  T decode<T>(std::string_view bytes); \
  inline constexpr std::string_view type_of(const T*) { return "containerd.events." #T; }
CTRD_API_EVENT(ContainerCreate)
CTRD_API_EVENT(ContainerUpdate)
CTRD_API_EVENT(ContainerDelete)
CTRD_API_EVENT(NamespaceCreate)
CTRD_API_EVENT(NamespaceUpdate)
CTRD_API_EVENT(NamespaceDelete)
CTRD_API_EVENT(SnapshotPrepare)
CTRD_API_EVENT(SnapshotCommit)
CTRD_API_EVENT(SnapshotRemove)
CTRD_API_EVENT(ContentCreate)
CTRD_API_EVENT(ContentDelete)
CTRD_API_EVENT(TaskCreate)
CTRD_API_EVENT(TaskStart)
CTRD_API_EVENT(TaskExit)
CTRD_API_EVENT(TaskDelete)
CTRD_API_EVENT(TaskOOM)
CTRD_API_EVENT(TaskExecAdded)
CTRD_API_EVENT(TaskExecStarted)
CTRD_API_EVENT(TaskPaused)
CTRD_API_EVENT(TaskResumed)
CTRD_API_EVENT(TaskCheckpointed)
#undef CTRD_API_EVENT
std::string encode(const Event& event);
template <>
Event decode<Event>(std::string_view bytes);

// The topic of a message by its type: "/tasks/exit". "" for a type that is none of these.
std::string_view topic_of(std::string_view type);

// An event that happens now, with a new id.
Event make_event(std::string ns, std::string_view type, std::string message);
template <typename T>
Event make_event(std::string ns, const T& message) {
  return make_event(std::move(ns), type_of(static_cast<const T*>(nullptr)), encode(message));
}
// The id of what happens once to a task's init: the same whoever writes it, the shim or who settles
// it.
std::string event_id(std::string_view instance, std::string_view topic);

}  // namespace ctrd::api
