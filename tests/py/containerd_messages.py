"""The messages of containerd's gRPC API that the tests use, declared here by hand, as api/ of 1.6 has them."""

from __future__ import annotations

from typing import Any

from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, empty_pb2, message_factory, timestamp_pb2

_FIELD = descriptor_pb2.FieldDescriptorProto
_SCALARS = {"string": _FIELD.TYPE_STRING, "bytes": _FIELD.TYPE_BYTES, "bool": _FIELD.TYPE_BOOL} | {
    "uint32": _FIELD.TYPE_UINT32,
    "uint64": _FIELD.TYPE_UINT64,
    "int32": _FIELD.TYPE_INT32,
    "int64": _FIELD.TYPE_INT64,
}
_ANY, _TIME = "google.protobuf.Any", "google.protobuf.Timestamp"
_TASKS, _CONTAINERS, _EVENTS = (f"containerd.services.{name}.v1" for name in ("tasks", "containers", "events"))
_TASK = "1 container_id string"
_EXEC = f"{_TASK}, 2 exec_id string"
_EXIT = f"exit_status uint32, {{}} exited_at {_TIME}"

# Fields as "number name type"; a * behind the type: repeated.
MESSAGES = {
    "containerd.types.Mount": "1 type string, 2 source string, 3 target string, 4 options string*",
    "containerd.types.Descriptor": "1 media_type string, 2 digest string, 3 size int64",
    "containerd.types.Metric": f"1 timestamp {_TIME}, 2 id string, 3 data {_ANY}",
    "containerd.v1.types.ProcessInfo": f"1 pid uint32, 2 info {_ANY}",
    "containerd.v1.types.Process": "1 container_id string, 2 id string, 3 pid uint32, 4 status int32, 5 stdin string, "
    "6 stdout string, 7 stderr string, 8 terminal bool, 9 " + _EXIT.format(10),
    f"{_TASKS}.CreateTaskRequest": f"{_TASK}, 3 rootfs containerd.types.Mount*, 4 stdin string, 5 stdout string, "
    f"6 stderr string, 7 terminal bool, 8 checkpoint containerd.types.Descriptor, 9 options {_ANY}",
    f"{_TASKS}.CreateTaskResponse": f"{_TASK}, 2 pid uint32",
    f"{_TASKS}.StartRequest": _EXEC,
    f"{_TASKS}.StartResponse": "1 pid uint32",
    f"{_TASKS}.DeleteTaskRequest": _TASK,
    f"{_TASKS}.DeleteProcessRequest": _EXEC,
    f"{_TASKS}.DeleteResponse": "1 id string, 2 pid uint32, 3 " + _EXIT.format(4),
    f"{_TASKS}.GetRequest": _EXEC,
    f"{_TASKS}.GetResponse": "1 process containerd.v1.types.Process",
    f"{_TASKS}.ListTasksRequest": "1 filter string",
    f"{_TASKS}.ListTasksResponse": "1 tasks containerd.v1.types.Process*",
    f"{_TASKS}.KillRequest": f"{_EXEC}, 3 signal uint32, 4 all bool",
    f"{_TASKS}.ExecProcessRequest": f"{_TASK}, 2 stdin string, 3 stdout string, 4 stderr string, 5 terminal bool, "
    f"6 spec {_ANY}, 7 exec_id string",
    f"{_TASKS}.ResizePtyRequest": f"{_EXEC}, 3 width uint32, 4 height uint32",
    f"{_TASKS}.CloseIORequest": f"{_EXEC}, 3 stdin bool",
    f"{_TASKS}.PauseTaskRequest": _TASK,
    f"{_TASKS}.ResumeTaskRequest": _TASK,
    f"{_TASKS}.ListPidsRequest": _TASK,
    f"{_TASKS}.ListPidsResponse": "1 processes containerd.v1.types.ProcessInfo*",
    f"{_TASKS}.CheckpointTaskRequest": f"{_TASK}, 2 parent_checkpoint string, 3 options {_ANY}",
    f"{_TASKS}.CheckpointTaskResponse": "1 descriptors containerd.types.Descriptor*",
    f"{_TASKS}.UpdateTaskRequest": f"{_TASK}, 2 resources {_ANY}",
    f"{_TASKS}.MetricsRequest": "1 filters string*",
    f"{_TASKS}.MetricsResponse": "1 metrics containerd.types.Metric*",
    f"{_TASKS}.WaitRequest": _EXEC,
    f"{_TASKS}.WaitResponse": "1 " + _EXIT.format(2),
    f"{_CONTAINERS}.Runtime": f"1 name string, 2 options {_ANY}",
    f"{_CONTAINERS}.Container": f"1 id string, 3 image string, 4 runtime {_CONTAINERS}.Runtime, 5 spec {_ANY}",
    f"{_CONTAINERS}.CreateContainerRequest": f"1 container {_CONTAINERS}.Container",
    f"{_CONTAINERS}.CreateContainerResponse": f"1 container {_CONTAINERS}.Container",
    f"{_CONTAINERS}.DeleteContainerRequest": "1 id string",
    f"{_EVENTS}.PublishRequest": f"1 topic string, 2 event {_ANY}",
    f"{_EVENTS}.SubscribeRequest": "1 filters string*",
    f"{_EVENTS}.Envelope": f"1 timestamp {_TIME}, 2 namespace string, 3 topic string, 4 event {_ANY}",
    "containerd.events.TaskCreate": "1 container_id string, 2 bundle string, 6 pid uint32",
    "containerd.events.TaskStart": "1 container_id string, 2 pid uint32",
    "containerd.events.TaskExit": "1 container_id string, 2 id string, 3 pid uint32, 4 " + _EXIT.format(5),
    "containerd.events.TaskDelete": "1 container_id string, 2 pid uint32, 3 " + _EXIT.format(4) + ", 5 id string",
    "containerd.events.TaskExecAdded": "1 container_id string, 2 exec_id string",
    "containerd.events.TaskExecStarted": "1 container_id string, 2 exec_id string, 3 pid uint32",
    "containerd.events.TaskPaused": "1 container_id string",
    "containerd.events.TaskResumed": "1 container_id string",
    "containerd.events.TaskOOM": "1 container_id string",
    "containerd.linux.runc.CheckpointOptions": "1 exit bool, 2 open_tcp bool, 5 file_locks bool",
    "containerd.runc.v1.Options": "1 no_pivot_root bool, 2 no_new_keyring bool, 3 shim_cgroup string, 4 io_uid uint32, "
    "5 io_gid uint32, 6 binary_name string, 7 root string, 9 systemd_cgroup bool",
    "io.containerd.cgroups.v1.Usage": "1 total uint64, 2 kernel uint64, 3 user uint64, 4 per_cpu uint64*",
    "io.containerd.cgroups.v1.Cpu": "1 usage io.containerd.cgroups.v1.Usage",
    "io.containerd.cgroups.v1.Pids": "1 current uint64, 2 limit uint64",
    "io.containerd.cgroups.v1.MemoryEntry": "1 limit uint64, 2 usage uint64, 3 max uint64, 4 failcnt uint64",
    "io.containerd.cgroups.v1.Memory": "16 hierarchical_memory_limit uint64, 19 total_rss uint64, "
    "33 usage io.containerd.cgroups.v1.MemoryEntry",
    "io.containerd.cgroups.v1.Metrics": "2 pids io.containerd.cgroups.v1.Pids, 3 cpu io.containerd.cgroups.v1.Cpu, "
    "4 memory io.containerd.cgroups.v1.Memory",
    "io.containerd.cgroups.v2.Pids": "1 current uint64, 2 limit uint64",
    "io.containerd.cgroups.v2.Cpu": "1 usage_usec uint64",
    "io.containerd.cgroups.v2.Memory": "32 usage uint64, 33 usage_limit uint64",
    "io.containerd.cgroups.v2.Metrics": "1 pids io.containerd.cgroups.v2.Pids, 2 cpu io.containerd.cgroups.v2.Cpu, "
    "4 memory io.containerd.cgroups.v2.Memory",
}


def _add_field(message: descriptor_pb2.DescriptorProto, text: str) -> None:
    number, name, kind = text.split()
    field = message.field.add(name=name, number=int(number))
    field.label = _FIELD.LABEL_REPEATED if kind.endswith("*") else _FIELD.LABEL_OPTIONAL
    kind = kind.rstrip("*")
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        field.type, field.type_name = _FIELD.TYPE_MESSAGE, f".{kind}"


def _make_pool() -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    seen = []
    for module in (any_pb2, timestamp_pb2, empty_pb2):
        pool.AddSerializedFile(module.DESCRIPTOR.serialized_pb)
        seen.append(module.DESCRIPTOR.name)
    for package in dict.fromkeys(name.rpartition(".")[0] for name in MESSAGES):
        file = descriptor_pb2.FileDescriptorProto(name=package, package=package, syntax="proto3", dependency=seen)
        for name, fields in MESSAGES.items():
            if name.rpartition(".")[0] == package:
                message = file.message_type.add(name=name.rpartition(".")[2])
                for text in fields.split(", "):
                    _add_field(message, text)
        pool.AddSerializedFile(file.SerializeToString())
        seen.append(package)
    return pool


_POOL = _make_pool()


def message(name: str) -> Any:
    """The class of a message, by its full name."""
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(name))


def parsed(any: Any) -> Any:
    """What an Any of a known type holds."""
    return message(any.type_url.rpartition("/")[2]).FromString(any.value)


def any_of(name: str, **fields: object) -> Any:
    """A message as an Any."""
    return message(_ANY)(type_url=name, value=message(name)(**fields).SerializeToString())
