// SPDX-License-Identifier: Apache-2.0
// Private to this room: the fields of the event messages by number, and their names in that order.
#pragma once

#include <array>
#include <string_view>

#include "api/codec.h"
#include "api/event.h"

namespace ctrd {

// Not in api: the struct lives in base, and a message's names are looked up beside it.
constexpr auto names_of(const Mount*) {
  return std::to_array<std::string_view>({"type", "source", "target", "options"});
}

}  // namespace ctrd

namespace ctrd::api {

#define CTRD_NAMES(T, ...) \
  constexpr auto names_of(const T*) { return std::to_array<std::string_view>({__VA_ARGS__}); }

CTRD_NAMES(Any, "type_url", "value")

CTRD_NAMES(Runtime, "name", "options")
void fields(auto& v, Is<Runtime> auto& m) { v(1, m.name), v(2, m.options); }

CTRD_NAMES(ContainerCreate, "id", "image", "runtime")
void fields(auto& v, Is<ContainerCreate> auto& m) { v(1, m.id), v(2, m.image), v(3, m.runtime); }

CTRD_NAMES(ContainerUpdate, "id", "image", "labels", "snapshot_key")
void fields(auto& v, Is<ContainerUpdate> auto& m) {
  v(1, m.id), v(2, m.image), v(3, m.labels), v(4, m.snapshot_key);
}

CTRD_NAMES(ContainerDelete, "id")
void fields(auto& v, Is<ContainerDelete> auto& m) { v(1, m.id); }

CTRD_NAMES(NamespaceCreate, "name", "labels")
void fields(auto& v, Is<NamespaceCreate> auto& m) { v(1, m.name), v(2, m.labels); }

CTRD_NAMES(NamespaceUpdate, "name", "labels")
void fields(auto& v, Is<NamespaceUpdate> auto& m) { v(1, m.name), v(2, m.labels); }

CTRD_NAMES(NamespaceDelete, "name")
void fields(auto& v, Is<NamespaceDelete> auto& m) { v(1, m.name); }

CTRD_NAMES(SnapshotPrepare, "key", "parent", "snapshotter")
void fields(auto& v, Is<SnapshotPrepare> auto& m) {
  v(1, m.key), v(2, m.parent), v(5, m.snapshotter);
}

CTRD_NAMES(SnapshotCommit, "key", "name", "snapshotter")
void fields(auto& v, Is<SnapshotCommit> auto& m) { v(1, m.key), v(2, m.name), v(5, m.snapshotter); }

CTRD_NAMES(SnapshotRemove, "key", "snapshotter")
void fields(auto& v, Is<SnapshotRemove> auto& m) { v(1, m.key), v(5, m.snapshotter); }

CTRD_NAMES(ContentCreate, "digest", "size")
void fields(auto& v, Is<ContentCreate> auto& m) { v(1, m.digest), v(2, m.size); }

CTRD_NAMES(ContentDelete, "digest")
void fields(auto& v, Is<ContentDelete> auto& m) { v(1, m.digest); }

CTRD_NAMES(TaskIO, "stdin", "stdout", "stderr", "terminal")
void fields(auto& v, Is<TaskIO> auto& m) {
  v(1, m.stdin_path), v(2, m.stdout_path), v(3, m.stderr_path), v(4, m.terminal);
}

CTRD_NAMES(TaskCreate, "container_id", "bundle", "rootfs", "io", "checkpoint", "pid")
void fields(auto& v, Is<TaskCreate> auto& m) {
  v(1, m.container_id), v(2, m.bundle), v(3, m.rootfs), v(4, m.io), v(5, m.checkpoint), v(6, m.pid);
}

CTRD_NAMES(TaskStart, "container_id", "pid")
void fields(auto& v, Is<TaskStart> auto& m) { v(1, m.container_id), v(2, m.pid); }

CTRD_NAMES(TaskExit, "container_id", "id", "pid", "exit_status", "exited_at")
void fields(auto& v, Is<TaskExit> auto& m) {
  v(1, m.container_id), v(2, m.id), v(3, m.pid), v(4, m.exit_status), v.time(5, m.exited_ns);
}

CTRD_NAMES(TaskDelete, "container_id", "pid", "exit_status", "exited_at", "id")
void fields(auto& v, Is<TaskDelete> auto& m) {
  v(1, m.container_id), v(2, m.pid), v(3, m.exit_status), v.time(4, m.exited_ns), v(5, m.id);
}

CTRD_NAMES(TaskOOM, "container_id")
void fields(auto& v, Is<TaskOOM> auto& m) { v(1, m.container_id); }

CTRD_NAMES(TaskExecAdded, "container_id", "exec_id")
void fields(auto& v, Is<TaskExecAdded> auto& m) { v(1, m.container_id), v(2, m.exec_id); }

CTRD_NAMES(TaskExecStarted, "container_id", "exec_id", "pid")
void fields(auto& v, Is<TaskExecStarted> auto& m) {
  v(1, m.container_id), v(2, m.exec_id), v(3, m.pid);
}

CTRD_NAMES(TaskPaused, "container_id")
void fields(auto& v, Is<TaskPaused> auto& m) { v(1, m.container_id); }

CTRD_NAMES(TaskResumed, "container_id")
void fields(auto& v, Is<TaskResumed> auto& m) { v(1, m.container_id); }

CTRD_NAMES(TaskCheckpointed, "container_id", "checkpoint")
void fields(auto& v, Is<TaskCheckpointed> auto& m) { v(1, m.container_id), v(2, m.checkpoint); }

#undef CTRD_NAMES

}  // namespace ctrd::api
