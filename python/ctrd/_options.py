# SPDX-License-Identifier: Apache-2.0
"""CreateOptions in the core's form: one small function an option, and one table of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from . import _checks as checks
from . import _core
from ._mounts import Mount, Rootfs, Snapshot
from ._signature import check_known
from ._types import CreateOptions, LabelChange, Resources
from .errors import ImageNotFound, InvalidArgument, PathNotFound

CREATE_KEYS = frozenset(CreateOptions.__annotations__)
DEFAULT_SIZE = (80, 24)
_RLIM_INFINITY = 2**64 - 1


def create_options(image: object, args: tuple[object, ...], options: Mapping[str, Any]) -> _core.CreateOptions:
    """Check everything a container is made of, and put it into the core's form."""
    made, spec = _core.CreateOptions(), _core.SpecOptions()
    _set_image(made, image)
    spec.args = command(args, options.get("shell"))
    resources = resource_options(options)
    mounts = _mounts(options)
    for key, value in options.items():
        if key in _RECORD:
            _RECORD[key](made, value)
        elif key in _SPEC:
            _SPEC[key](spec, value)
    spec.resources = resources
    spec.mounts = mounts
    made.spec = spec
    return made


def _set_image(made: _core.CreateOptions, image: object) -> None:
    if isinstance(image, Rootfs):
        made.rootfs = str(image.path)
        return
    if isinstance(image, Snapshot):
        made.snapshot = checks.text("snapshot", image.key)
        if not image.key:
            raise checks.invalid("snapshot", image.key, "empty")
        return
    if isinstance(image, str):
        checks.text("image", image)
        raise ImageNotFound(
            f"image {image!r}: there are no images yet", hint="images come later: use ctrd.Rootfs(path)"
        )
    checks.wrong_type("image", image, "ctrd.Rootfs or ctrd.Snapshot")


def command(args: tuple[object, ...], shell: object) -> list[str]:
    """A command: its strings, or those that run this text in a shell."""
    if shell is None:
        return [checks.text(f"args[{i}]", one) for i, one in enumerate(args)]
    if args:
        raise checks.invalid("shell", checks.text("shell", shell), "cannot be given beside a command")
    return ["/bin/sh", "-c", checks.text("shell", shell)]


def _mounts(options: Mapping[str, Any]) -> list[_core.MountOption]:
    given = options.get("mounts")
    mounts = [] if given is None else checks.items("mounts", given)
    made = [_mount(f"mounts[{i}]", Mount.parse(f"mounts[{i}]", one)) for i, one in enumerate(mounts)]
    tmpfs = options.get("tmpfs")
    return made if tmpfs is None else made + [_tmpfs(dst, size) for dst, size in checks.mapping("tmpfs", tmpfs).items()]


def _tmpfs(dst: str, size: object) -> _core.MountOption:
    field = checks.entry("tmpfs", dst)
    return _mount(field, Mount.tmpfs(dst, size=None if size is None else checks.size(field, size)))


def _mount(field: str, mount: Mount) -> _core.MountOption:
    made = _core.MountOption()
    made.field = field
    made.type, made.source, made.destination = mount.type, mount.source, mount.destination
    made.read_only, made.size_bytes = mount.read_only, mount.size
    return made


def _cpus(field: str, value: object) -> float:
    """A number of them; -1 is no limit."""
    cpus = checks.number(field, value)
    if cpus <= 0 and cpus != -1:
        raise checks.invalid(field, value, "not above 0, nor -1")
    return cpus


def _bytes(field: str, value: object) -> int:
    """A size; -1 is no limit."""
    return -1 if value == -1 and not isinstance(value, bool | float) else checks.size(field, value)


_IO_KEYS = ("read_bps", "write_bps", "read_iops", "write_iops", "weight")


def _io(field: str, value: object) -> list[_core.IoOptions]:
    return [_io_device(checks.entry(field, name), name, one) for name, one in checks.mapping(field, value).items()]


def _io_device(field: str, name: str, value: object) -> _core.IoOptions:
    made = _core.IoOptions()
    made.device = name
    limits = checks.mapping(field, value)
    check_known(limits, _IO_KEYS, field)
    for key, limit in limits.items():
        setattr(made, key, _bytes(f"{field}[{key!r}]", limit) if key.endswith("bps") else checks.integer(field, limit))
    return made


# Resources' keys: the core's attribute and the check.
_RESOURCES: dict[str, tuple[str, Callable[[str, Any], Any]]] = {
    "memory": ("memory_bytes", _bytes),
    "swap": ("swap_bytes", _bytes),
    "cpus": ("cpus", _cpus),
    "cpu_weight": ("cpu_weight", checks.integer),
    "cpuset_cpus": ("cpuset_cpus", checks.text),
    "cpuset_mems": ("cpuset_mems", checks.text),
    "pids": ("pids", checks.integer),
    "io": ("io", _io),
}
assert _RESOURCES.keys() == Resources.__annotations__.keys()


def resource_options(options: Mapping[str, Any]) -> _core.ResourceOptions:
    """Check resources, and what of it may stand beside it, and put it into the core's form."""
    made = _core.ResourceOptions()
    given = options.get("resources")
    resources = {} if given is None else checks.mapping("resources", given)
    check_known(resources, _RESOURCES.keys(), "resources")
    for key in ("cpus", "memory", "pids"):
        if options.get(key) is None:
            continue
        if key in resources:
            raise checks.invalid(key, options[key], "given twice, beside resources and in it")
        resources[key] = options[key]
    for key, value in resources.items():
        name, check = _RESOURCES[key]
        setattr(made, name, check(key, value))
    return made


def _set(name: str, check: Callable[[str, Any], Any], field: str | None = None) -> Callable[[Any, Any], None]:
    """An option that is one attribute of the core's struct; None leaves its default."""

    def set_one(target: Any, value: Any) -> None:
        if value is not None:
            setattr(target, name, check(field or name, value))

    return set_one


def _set_lifetime(target: _core.CreateOptions, value: object) -> None:
    target.detached = checks.choice("lifetime", value, ("owner", "detached")) == "detached"


def _set_on_exit(target: _core.CreateOptions, value: object) -> None:
    target.delete_on_exit = checks.choice("on_exit", value, ("keep", "delete")) == "delete"


def named(field: str, value: object) -> str:
    """An id that was given; the core makes one up for ""."""
    name = checks.text(field, value)
    if not name:
        raise checks.invalid(field, name, "empty")
    return name


def env(field: str, value: object) -> list[tuple[str, str | None]]:
    """Changes of an environment; None removes the variable."""
    given = checks.change(field, checks.mapping(field, value))
    for key in given:
        if not key or "=" in key:
            raise checks.invalid(field, key, "a name must not be empty or have a '=' in it")
    return list(given.items())


def tty_size(field: str, value: object) -> tuple[bool, tuple[int, int] | None]:
    """Whether there is a tty, and its (columns, rows): a program that sees 0 would draw nothing."""
    if not isinstance(value, tuple):
        return (True, DEFAULT_SIZE) if checks.flag(field, value) else (False, None)
    if len(value) != 2:
        raise checks.invalid(field, value, "not True, False or (columns, rows)")
    cols, rows = (checks.columns(field, one) for one in value)
    return True, (cols, rows)


def _set_tty(target: _core.SpecOptions, value: object) -> None:
    if value is not None:
        target.tty, target.console_size = tty_size("tty", value)


def _rlimits(field: str, value: object) -> dict[str, tuple[int, int]]:
    return {name: _rlimit(checks.entry(field, name), one) for name, one in checks.mapping(field, value).items()}


def _rlimit(field: str, value: object) -> tuple[int, int]:
    pair = value if isinstance(value, tuple) else (value, value)
    if len(pair) != 2:
        raise checks.invalid(field, value, "not a limit or (soft, hard)")
    soft, hard = (_limit(field, one) for one in pair)
    if soft > hard:
        raise checks.invalid(field, value, "the soft limit is above the hard one")
    return soft, hard


def _limit(field: str, value: object) -> int:
    number = checks.integer(field, value)
    if number < -1:
        raise checks.invalid(field, value, "negative")
    return _RLIM_INFINITY if number == -1 else number


def _set_seccomp(target: _core.SpecOptions, value: object) -> None:
    if isinstance(value, Path):
        target.seccomp_json = _profile(value)
    elif isinstance(value, Mapping):
        target.seccomp_json = _json("seccomp", value)
    elif value is not None:
        target.seccomp = named("seccomp", value)


def _profile(path: Path) -> str:
    try:
        profile = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise PathNotFound(f"seccomp: no such file: {str(path)!r}", context={"path": str(path)}) from None
    except (OSError, ValueError) as error:
        raise checks.invalid("seccomp", str(path), f"cannot be read ({error})") from None
    if not profile.strip():
        raise checks.invalid("seccomp", str(path), "the file is empty")
    return profile


def _json(field: str, value: Mapping[str, Any]) -> str:
    return _json_value(field, dict(value))


def _json_value(field: str, value: object) -> str:
    try:
        return json.dumps(value, allow_nan=False)
    except RecursionError:
        raise checks.invalid(field, value, "nested too deeply") from None
    except (TypeError, ValueError) as error:
        raise checks.invalid(field, value, f"not JSON ({error})") from None


def _extensions(field: str, value: object) -> dict[str, str]:
    return {key: _json_value(checks.entry(field, key), one) for key, one in checks.mapping(field, value).items()}


# containerd.runc.v1.Options', as far as they are a container's to say, and the checks.
_RUNC_OPTIONS: dict[str, Callable[[str, Any], Any]] = {
    "no_pivot_root": checks.flag,
    "no_new_keyring": checks.flag,
    "io_uid": checks.id_number,
    "io_gid": checks.id_number,
    "binary_name": checks.text,
}


def _set_runtime_options(target: _core.CreateOptions, value: object) -> None:
    if value is None:
        return
    given = checks.mapping("runtime_options", value)
    if given.keys() == {"type_url", "value"}:
        message = given["value"]
        if not isinstance(message, bytes):
            checks.wrong_type("runtime_options['value']", message, "bytes")
        target.set_runtime_options(checks.text("runtime_options['type_url']", given["type_url"]), message)
        return
    options = _core.RuncOptions()
    for key, one in given.items():
        if key not in _RUNC_OPTIONS:
            known = ", ".join(_RUNC_OPTIONS)
            raise checks.invalid("runtime_options", key, f"not one of {known}, and not type_url and value")
        setattr(options, key, _RUNC_OPTIONS[key](checks.entry("runtime_options", key), one))
    if given:
        target.set_runc_options(options)


def _set_spec(target: _core.SpecOptions, value: object) -> None:
    if isinstance(value, Mapping):
        target.spec_patch = _json("spec", value)
    elif callable(value):
        target.edit_spec = _editor(value)
    elif value is not None:
        checks.wrong_type("spec", value, "a mapping or a function")


def _editor(edit: Callable[..., Any]) -> Callable[[str], str]:
    def edit_text(text: str) -> str:
        spec = json.loads(text)
        made = edit(spec)
        made = spec if made is None else made
        if not isinstance(made, Mapping):
            raise InvalidArgument(
                f"spec: the function returned {type(made).__name__}, not a dict or None",
                context={"field": "spec", "value": type(made).__name__},
            )
        return _json("spec", made)

    return edit_text


def record_change(
    *,
    labels: LabelChange | None = None,
    annotations: LabelChange | None = None,
    resources: _core.ResourceOptions | None = None,
    fields: Sequence[str] | None = None,
    image: str | None = None,
    spec: Mapping[str, Any] | None = None,
    snapshot_key: str | None = None,
    extensions: Mapping[str, Any] | None = None,
) -> _core.RecordChange:
    """Check what an update changes, and put it into the core's form."""
    made = _core.RecordChange()
    made.labels = checks.change("labels", labels)
    made.annotations = checks.change("annotations", annotations)
    made.resources = resources
    given = {} if extensions is None else checks.mapping("extensions", extensions)
    kept = _extensions("extensions", {key: one for key, one in given.items() if one is not None})
    made.extensions = {key: kept.get(key) for key in given}
    made.image = None if image is None else checks.text("image", image)
    made.snapshot_key = None if snapshot_key is None else checks.text("snapshot_key", snapshot_key)
    made.spec = None if spec is None else _json("spec", checks.mapping("spec", spec))
    made.fields = None if fields is None else checks.texts("fields", fields)
    return made


_RECORD: dict[str, Callable[[Any, Any], None]] = {
    "id": _set("id", named),
    "replace": _set("replace", checks.flag),
    "labels": _set("labels", checks.text_mapping),
    "lifetime": _set_lifetime,
    "on_exit": _set_on_exit,
    "runtime": _set("runtime", named),
    "snapshotter": _set("snapshotter", named),
    "extensions": _set("extensions", _extensions),
    "runtime_options": _set_runtime_options,
    "sandbox_id": _set("sandbox_id", named),
}
_SPEC: dict[str, Callable[[Any, Any], None]] = {
    "annotations": _set("annotations", checks.text_mapping),
    "env": _set("env", env),
    "cwd": _set("cwd", checks.text),
    "user": _set("user", checks.text),
    "hostname": _set("hostname", checks.text),
    "init": _set("init", checks.flag),
    "privileged": _set("privileged", checks.flag),
    "sysctls": _set("sysctls", checks.text_mapping),
    "devices": _set("devices", checks.texts),
    "read_only": _set("read_only", checks.flag),
    "network": _set("network", checks.text),
    "cap_add": _set("cap_add", checks.texts),
    "cap_drop": _set("cap_drop", checks.texts),
    "seccomp": _set_seccomp,
    "no_new_privileges": _set("no_new_privileges", checks.flag),
    "rlimits": _set("rlimits", _rlimits),
    "tty": _set_tty,
    "spec": _set_spec,
}
