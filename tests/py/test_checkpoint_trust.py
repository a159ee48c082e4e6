"""Checkpoints of strangers, or changed: refused; where a user insists, nothing but images and layer is taken."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import criu
import ctrd
import pytest
from disk_records import fields
from leveldb_writer import varint
from support import eventually
from test_recovery import after_reboot

pytestmark = pytest.mark.root
BINARY = criu.runtime(criu.RUNTIMES[0])
KERNEL, MACHINE, RUNTIME, ROOTFS, IMAGES, LAYER = 12, 13, 6, 5, 14, 21  # fields of the manifest: metadata/checkpoints.h


@pytest.fixture(autouse=True)
def _path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", criu.path())


@pytest.fixture
def counter(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> Iterator[ctrd.Container]:
    script = f"echo kept >/kept; echo x >/etc/x; {criu.COUNTER}"
    with engine.start(rootfs, "/bin/sh", "-c", script, runtime=BINARY) as made:
        eventually(lambda: len(list(made.logs())) >= 3, "it counts")
        yield made


@pytest.fixture
def good(counter: ctrd.Container, tmp_path: Path) -> Path:
    """A checkpoint that this root has made, in a directory."""
    path = tmp_path / "good"
    counter.checkpoint(path, exit=True)
    return path


def encode(message: dict[int, list[Any]]) -> bytes:
    """As protobuf has it."""
    out = b""
    for number, values in sorted(message.items()):
        for value in values:
            if isinstance(value, int):
                out += varint(number << 3) + varint(value)
            else:
                out += varint(number << 3 | 2) + varint(len(value)) + value
    return out


def change_manifest(path: Path, number: int, value: bytes) -> None:
    manifest = (path / "manifest").read_bytes()
    message = fields(manifest[1:])
    assert encode(message) == manifest[1:]
    (path / "manifest").write_bytes(manifest[:1] + encode(message | {number: [value]}))


def change_spec(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    spec = json.loads((path / "spec.json").read_text())
    before = json.dumps(spec)
    change(spec)
    assert json.dumps(spec) != before
    (path / "spec.json").write_text(json.dumps(spec))


def an_image(path: Path) -> Path:
    return next(iter(sorted(path.glob("images/pages-*.img"))))


def listed(path: Path, name: str, size: int | None = None) -> None:
    """Say in the manifest that the first image is called so, or has this size."""
    manifest = fields((path / "manifest").read_bytes()[1:])
    first, *rest = manifest[IMAGES][0].decode().splitlines()
    old_size, digest, _ = first.split()
    lines = [f"{old_size if size is None else size} {digest} {name}", *rest]
    change_manifest(path, IMAGES, "".join(line + "\n" for line in lines).encode())


def listed_anew(path: Path) -> None:
    """Have the manifest say what the images are now."""
    lines = [
        f"{image.stat().st_size} {hashlib.sha256(image.read_bytes()).hexdigest()} {image.name}\n"
        for image in sorted((path / "images").iterdir())
    ]
    change_manifest(path, IMAGES, "".join(lines).encode())


def replaced(path: Path, make: Callable[[Path], object]) -> None:
    path.unlink()
    make(path)


BIND = {"destination": "/host", "type": "bind", "source": "/etc", "options": ["rbind"]}
HOOK = {"path": "/bin/touch", "args": ["touch", "/tmp/ctrd-hook-ran"]}
# What would widen rights if it were taken from the checkpoint.
WIDER: dict[str, Callable[[dict[str, Any]], None]] = {
    "a hook": lambda s: s.update(hooks={"createRuntime": [HOOK], "poststart": [HOOK]}),
    "a mount of the host": lambda s: s.setdefault("mounts", []).append(BIND),
    "a mount of /": lambda s: s.setdefault("mounts", []).append(BIND | {"source": "/"}),
    "capabilities": lambda s: s["process"].update(capabilities={"bounding": ["CAP_SYS_ADMIN"]}),
    "new privileges": lambda s: s["process"].update(noNewPrivileges=False),
    "a user": lambda s: s["process"].update(user={"uid": 0, "gid": 0, "additionalGids": [6]}),
    "rlimits": lambda s: s["process"].update(rlimits=[{"type": "RLIMIT_CORE", "hard": 1 << 40, "soft": 1 << 40}]),
    "a device": lambda s: s.setdefault("linux", {}).update(
        devices=[{"path": "/dev/sda", "type": "b", "major": 8, "minor": 0}]
    ),
    "device rules": lambda s: s.setdefault("linux", {}).update(
        resources={"devices": [{"allow": True, "access": "rwm"}]}
    ),
    "no seccomp": lambda s: s.setdefault("linux", {}).update(seccomp=None),
    "nothing masked": lambda s: s.setdefault("linux", {}).update(maskedPaths=[], readonlyPaths=[]),
    "a cgroup": lambda s: s.setdefault("linux", {}).update(cgroupsPath="/../../somebody-elses"),
    "namespaces of the host": lambda s: s.setdefault("linux", {}).update(
        namespaces=[{"type": "network", "path": "/proc/1/ns/net"}]
    ),
    "annotations": lambda s: s.update(annotations={"run.oci.delegate-cgroup": "../.."}),
}
# What is no checkpoint any more.
DAMAGED: dict[str, Callable[[Path], object]] = {
    "no manifest": lambda p: (p / "manifest").unlink(),
    "an empty manifest": lambda p: (p / "manifest").write_bytes(b""),
    "a manifest that is cut": lambda p: (p / "manifest").write_bytes((p / "manifest").read_bytes()[:-3]),
    "a manifest of another version": lambda p: (p / "manifest").write_bytes(
        b"\x09" + (p / "manifest").read_bytes()[1:]
    ),
    "a manifest that is a link": lambda p: replaced(p / "manifest", lambda m: m.symlink_to("/etc/hostname")),
    "a manifest that is a FIFO": lambda p: replaced(p / "manifest", os.mkfifo),
    "a manifest of 1 GiB": lambda p: os.truncate(p / "manifest", 1 << 30),
    "no spec": lambda p: (p / "spec.json").unlink(),
    "a spec that is a link": lambda p: replaced(p / "spec.json", lambda m: m.symlink_to("/etc/hostname")),
    "no images": lambda p: shutil.rmtree(p / "images"),
    "images elsewhere": lambda p: (shutil.rmtree(p / "images"), (p / "images").symlink_to("/etc")),
    "no layer": lambda p: shutil.rmtree(p / "layer"),
    "a layer elsewhere": lambda p: (shutil.rmtree(p / "layer"), (p / "layer").symlink_to("/etc")),
    "an image less": lambda p: an_image(p).unlink(),
    "an image more": lambda p: (p / "images/pages-9.img").write_bytes(b"x"),
    "an image that is cut": lambda p: os.truncate(an_image(p), 4096),
    "an image of 10 GiB": lambda p: os.truncate(an_image(p), 10 << 30),
    "an image that was changed": lambda p: an_image(p).write_bytes(b"\xff" * an_image(p).stat().st_size),
    "an image that is a link": lambda p: replaced(an_image(p), lambda m: m.symlink_to("/etc/shadow")),
    "an image that is a FIFO": lambda p: replaced(an_image(p), os.mkfifo),
    "an image that is a directory": lambda p: replaced(an_image(p), Path.mkdir),
    "an image outside": lambda p: listed(p, "../spec.json"),
    "an image of an absolute name": lambda p: listed(p, "/etc/shadow"),
    "an image of a hidden name": lambda p: listed(p, ".."),
    "a size that is a lie": lambda p: listed(p, an_image(p).name, 10 << 30),
    "a layer that is cut": lambda p: os.truncate(p / "layer/kept", 2),
    "another content in the layer": lambda p: (p / "layer/kept").write_text("KEPT"),
    "a file more in the layer": lambda p: (p / "layer/more").touch(),
    "a file less in the layer": lambda p: (p / "layer/kept").unlink(),
    "set-user-ID in the layer": lambda p: (p / "layer/kept").chmod(0o4755),
    "another owner in the layer": lambda p: os.chown(p / "layer/kept", 1, 1),
    "a redirect in the layer": lambda p: os.setxattr(p / "layer/etc", "trusted.overlay.redirect", b"/root"),
    "a link in the layer": lambda p: replaced(p / "layer/kept", lambda m: m.symlink_to("/etc/shadow")),
    "no list of images": lambda p: change_manifest(p, IMAGES, b""),
}


def variant(good: Path, name: str, change: Callable[[Path], object]) -> Path:
    path = good.parent / name.replace(" ", "-").replace("/", "root")
    shutil.copytree(good, path, symlinks=True)
    change(path)
    return path


def test_a_spec_that_was_changed_is_not_taken(
    engine: ctrd.Engine, counter: ctrd.Container, good: Path, rootfs: ctrd.Rootfs
) -> None:
    """Refused; and where its user insists, its spec is that of the container that he has made."""
    canary = Path("/tmp/ctrd-hook-ran")
    canary.unlink(missing_ok=True)
    for name, change in WIDER.items():
        path = variant(good, name, lambda p, change=change: change_spec(p, change))  # type: ignore[misc]
        with pytest.raises(ctrd.PermissionDenied, match="not made by this root"):
            engine.containers.restore(path)
        with pytest.raises(ctrd.PermissionDenied, match="not made by this root"):
            engine.containers.restore(path, allow_untrusted=True)
        counter.delete(force=True, missing_ok=True)
        assert list(engine.containers) == [], name

    def all_of_them(path: Path) -> None:
        for change in WIDER.values():
            change_spec(path, change)

    path = variant(good, "all", all_of_them)
    with engine.containers.create(rootfs, "/bin/sh", "-c", criu.COUNTER, runtime=BINARY) as mine:
        mine.create_task().start()
        config = engine.state / "default" / mine.id / "config.json"
        wanted = json.loads(config.read_text())
        mine.task().delete(force=True)
        with pytest.raises(ctrd.PermissionDenied):
            mine.create_task(checkpoint=path)
        task = mine.create_task(checkpoint=path, allow_untrusted=True)
        assert json.loads(config.read_text()) == wanted
        task.start()
        before = len(list(mine.logs()))
        eventually(lambda: len(list(mine.logs())) > before + 3, "it counts on")
        assert mine.run("/bin/sh", "-c", "[ -e /host ] || [ -e /dev/sda ]").returncode == 1
    assert not canary.exists()


def test_a_record_that_was_changed_is_not_taken(
    engine: ctrd.Engine, counter: ctrd.Container, good: Path, rootfs: ctrd.Rootfs, tmp_path: Path
) -> None:
    evil = tmp_path / "evil"
    evil.write_text(f"#!/bin/sh\ntouch {tmp_path}/it-ran\n")
    evil.chmod(0o755)
    for number, value in ((RUNTIME, str(evil).encode()), (ROOTFS, b"/"), (4, b"docker.io/library/other:latest")):
        path = variant(good, f"field {number}", lambda p, n=number, v=value: change_manifest(p, n, v))  # type: ignore[misc]
        with pytest.raises(ctrd.PermissionDenied):
            engine.containers.restore(path, allow_untrusted=True)
    counter.delete(force=True)
    with engine.containers.create(rootfs, "/bin/sh", "-c", criu.COUNTER, runtime=BINARY) as mine:
        mine.create_task(checkpoint=good.parent / f"field-{RUNTIME}", allow_untrusted=True).start()
        assert mine.runtime == BINARY
        mine.kill(signal.SIGKILL)
        mine.wait(30)
    assert not (tmp_path / "it-ran").exists()


def test_damaged_ones_leave_nothing(
    engine: ctrd.Engine, counter: ctrd.Container, good: Path, rootfs: ctrd.Rootfs
) -> None:
    counter.delete(force=True)
    with engine.containers.create(rootfs, "/bin/sh", "-c", criu.COUNTER, runtime=BINARY) as mine:
        for name, change in DAMAGED.items():
            path = variant(good, name, change)
            with pytest.raises((ctrd.DataLoss, ctrd.PermissionDenied)):
                engine.containers.restore(path)
            with pytest.raises(ctrd.DataLoss) as failed:
                mine.create_task(checkpoint=path, allow_untrusted=True)
            assert str(path) in str(failed.value), name
            assert mine.status() == "none", name
        assert list(engine.containers) == [mine.id]
        mine.create_task(checkpoint=good).start()
        assert mine.status() == "running"


def test_another_machine_or_kernel(
    engine: ctrd.Engine, counter: ctrd.Container, good: Path, rootfs: ctrd.Rootfs
) -> None:
    counter.delete(force=True)
    machine = variant(good, "machine", lambda p: change_manifest(p, MACHINE, b"riscv64"))
    kernel = variant(good, "kernel", lambda p: change_manifest(p, KERNEL, b"2.6.32"))
    with engine.containers.create(rootfs, "/bin/sh", "-c", criu.COUNTER, runtime=BINARY) as mine:
        with pytest.raises(ctrd.FailedPrecondition, match="riscv64"):
            mine.create_task(checkpoint=machine, allow_untrusted=True, allow_other_kernel=True)
        with pytest.raises(ctrd.FailedPrecondition, match=r"2\.6\.32") as failed:
            mine.create_task(checkpoint=kernel, allow_untrusted=True)
        assert "allow_other_kernel" in str(failed.value.hint)
        mine.create_task(checkpoint=kernel, allow_untrusted=True, allow_other_kernel=True).start()
        assert mine.status() == "running"


def test_one_that_others_can_change_is_foreign(engine: ctrd.Engine, counter: ctrd.Container, good: Path) -> None:
    counter.delete(force=True)
    good.chmod(0o750)
    with pytest.raises(ctrd.PermissionDenied, match="changed by others"):
        engine.containers.restore(good)
    good.chmod(0o700)
    good.parent.chmod(0o777)
    with pytest.raises(ctrd.PermissionDenied, match="changed by others"):
        engine.containers.restore(good)
    good.parent.chmod(0o700)
    with engine.containers.restore(good) as again:
        assert again.status() == "running"
    assert list(engine.containers) == []


def test_what_a_link_leads_to_is_looked_at_once(
    engine: ctrd.Engine, counter: ctrd.Container, good: Path, rootfs: ctrd.Rootfs, tmp_path: Path
) -> None:
    """What was found good is what is restored, though the link leads elsewhere meanwhile."""
    evil = variant(good, "evil", lambda p: (p / "images/pstree.img").write_bytes(b"\xff" * 64))
    everybodys = tmp_path / "everybodys"
    everybodys.mkdir()
    everybodys.chmod(0o777)
    link = everybodys / "link"
    link.symlink_to(good)
    with engine.containers.create(rootfs, "/bin/sh", "-c", criu.COUNTER, runtime=counter.runtime) as mine:
        task = mine.create_task(checkpoint=link)
        link.unlink()
        link.symlink_to(evil)
        task.start()
        criu.counts_on(mine)
        mine.task().delete(force=True)
        with pytest.raises(ctrd.DataLoss, match="evil"):
            mine.create_task(checkpoint=link)


def test_of_a_foreign_layer_nothing_leads_below_it(
    engine: ctrd.Engine, counter: ctrd.Container, good: Path, rootfs: ctrd.Rootfs, tmp_path: Path
) -> None:
    """What overlay would follow is left out, what a process could write itself is taken as it is."""

    def craft(path: Path) -> None:
        layer = path / "layer"
        for key in ("opaque", "redirect", "metacopy"):
            os.setxattr(layer / "etc", f"trusted.overlay.{key}", b"y" if key == "opaque" else b"/root")
        (layer / "outside").symlink_to(tmp_path)
        os.mkfifo(layer / "fifo")
        change_manifest(path, LAYER, b"")

    path = variant(good, "layer", craft)
    (tmp_path / "secret").write_text("of the host")
    with engine.containers.create(rootfs, "/bin/sh", "-c", criu.COUNTER, runtime=counter.runtime) as mine:
        with pytest.raises(ctrd.PermissionDenied):
            mine.create_task(checkpoint=path)
        mine.create_task(checkpoint=path, allow_untrusted=True).start()
        criu.counts_on(mine)
        (fs,) = [one for one in engine.root.glob("snapshots/*/fs") if (one / "outside").is_symlink()]
        assert not [key for key in os.listxattr(fs / "etc") if key.startswith("trusted.overlay.")]
        assert (fs / "fifo").is_fifo() and (fs / "kept").read_text() == "kept\n"
        assert not mine.run("cat", f"/outside/{tmp_path.name}/secret").ok


def test_after_a_reboot(engine: ctrd.Engine, counter: ctrd.Container, good: Path, rootfs: ctrd.Rootfs) -> None:
    """A stored one goes on under another boot id, in another process."""
    counter.delete(force=True)
    stored = engine.checkpoints.load(good, ref="stored")
    code = (
        "import ctrd\n"
        "engine = ctrd.default_engine()\n"
        "with engine.containers.restore('stored', id='again') as c:\n"
        "    print(next(iter(c.logs(follow=True))).text)\n"
    )
    assert int(after_reboot(engine, code)) > 3
    stored.delete()


@pytest.mark.parametrize("size", ["64k", "4m"])
def test_a_full_disk_leaves_nothing(engine: ctrd.Engine, rootfs: ctrd.Rootfs, tmp_path: Path, size: str) -> None:
    """No room for the images, or for the layer: it goes on, unfrozen, and the place is as it was."""
    place = tmp_path / "place"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", place], check=True)
    try:
        script = f"dd if=/dev/urandom of=/big bs=1M count=8; {criu.COUNTER}"
        with engine.start(rootfs, "/bin/sh", "-c", script, stderr=ctrd.DEVNULL, runtime=BINARY) as c:
            eventually(lambda: len(list(c.logs())) >= 3, "it counts")
            with pytest.raises(ctrd.ResourceExhausted):
                c.checkpoint(place / "cp", exit=True)
            assert list(place.iterdir()) == criu.directories(engine) == []
            assert c.status() == "running"
            criu.counts_on(c)
    finally:
        subprocess.run(["umount", place], check=True)


@pytest.mark.parametrize("runtime", criu.RUNTIMES)
def test_what_criu_refuses_keeps_its_log(
    engine: ctrd.Engine, counter: ctrd.Container, good: Path, rootfs: ctrd.Rootfs, runtime: str
) -> None:
    """The container goes, what CRIU said of it does not; and no more than sixteen such logs are kept."""
    logs = engine.root / "logs/.criu"
    logs.mkdir(mode=0o700)
    for number in range(20):
        (logs / f"{number:016x}.log").write_text("an older one")
        os.utime(logs / f"{number:016x}.log", (number, number))
    (good / "images/pstree.img").write_bytes(b"\xff" * 64)
    listed_anew(good)
    counter.delete(force=True)
    with engine.containers.create(rootfs, "/bin/sh", "-c", criu.COUNTER, runtime=criu.runtime(runtime)) as mine:
        task = mine.create_task(checkpoint=good, allow_untrusted=True)
        with pytest.raises(ctrd.Error) as failed:
            task.start()
        assert task.state().status == "created"
    log = Path(failed.value.context["log_path"])
    assert log.parent == logs
    assert str(log) in str(failed.value)
    assert "Error (" in log.read_text()
    assert log.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in logs.iterdir()) == sorted(
        [f"{number:016x}.log" for number in range(5, 20)] + [log.name]
    )
    again = ctrd.Engine(engine.root, state=engine.state)
    assert list(again.containers) == []
    again.close()
    assert log.exists()
