"""engine.content: blobs by digest, what comes in part, labels, namespaces, events, and other processes."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import signal
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import ctrd
import pytest
from support import eventually, python, python_says

pytestmark = pytest.mark.root


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def files(engine: ctrd.Engine) -> list[Path]:
    return sorted(engine.root.glob("content/blobs/sha256/*")) + sorted(engine.root.glob("content/ingest/*"))


BIG = os.urandom(3 << 20)


class Pipe(io.RawIOBase):
    """A source that cannot seek and gives less than it is asked for."""

    def __init__(self, data: bytes, piece: int) -> None:
        self.left, self.piece = data, piece

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        part, self.left = self.left[: self.piece], self.left[self.piece :]
        return part


@pytest.mark.parametrize(
    "source",
    [
        BIG,
        bytearray(BIG),
        memoryview(BIG),
        io.BytesIO(BIG),
        Pipe(BIG, 70_001),
        [BIG[:5], b"", BIG[5:]],
        (BIG[at : at + 100_000] for at in range(0, len(BIG), 100_000)),
        memoryview(bytes(b for byte in BIG[:1000] for b in (byte, 0)))[::2],
    ],
    ids=["bytes", "bytearray", "memoryview", "file", "pipe", "list", "generator", "strided"],
)
def test_sources(engine: ctrd.Engine, source: object) -> None:
    data = BIG[:1000] if isinstance(source, memoryview) and not source.c_contiguous else BIG
    made = engine.content.ingest(source, media_type="text/plain")  # type: ignore[arg-type]
    assert made == ctrd.Descriptor(digest_of(data), len(data), "text/plain")
    assert engine.content.read(made.digest) == data
    engine.content.delete(made.digest)
    assert files(engine) == []


@pytest.mark.parametrize("source", ["text", None, 7, ["text"], [None], io.StringIO("text"), [b"ok", 3]])
def test_what_is_no_source(engine: ctrd.Engine, source: object) -> None:
    with pytest.raises(TypeError, match="source must be"):
        engine.content.ingest(source)  # type: ignore[arg-type]
    assert files(engine) == [] and engine.content.list() == []


def test_info_list_update(engine: ctrd.Engine) -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    one = engine.content.ingest(b"one", labels={"app": "web", "none": ""})
    two = engine.content.ingest(b"two", labels={"app": "db", "a.b/c": "1"}, expected=digest_of(b"two"), size=3)
    info = engine.content.info(one.digest)
    assert (info.digest, info.size, info.labels) == (one.digest, 3, {"app": "web"})
    assert before <= info.created_at == info.updated_at <= datetime.now(UTC)
    assert pickle.loads(pickle.dumps(info)) == info
    assert engine.content.list().ids == sorted([one.digest, two.digest])
    assert engine.content.list("labels.app==web") == [info]
    assert engine.content.list('labels."a.b/c"', f"digest=={one.digest}").ids == sorted([one.digest, two.digest])
    assert engine.content.list("labels.app!=web,labels.app").to_dicts()[0]["digest"] == two.digest
    changed = engine.content.update(one.digest, labels={"app": None, "new": "x"})
    assert changed.labels == {"new": "x"} and changed.updated_at >= changed.created_at == info.created_at
    assert engine.content.info(one.digest) == changed
    with pytest.raises(ctrd.InvalidArgument, match="position"):
        engine.content.list("labels.app==")


def test_open_reads_anywhere_and_after_the_end(engine: ctrd.Engine) -> None:
    made = engine.content.ingest(BIG)
    with engine.content.open(made.digest) as file:
        assert file.seek(1_000_000) == 1_000_000
        assert file.read(10) == BIG[1_000_000:1_000_010]
        engine.content.delete(made.digest)
        assert file.read() == BIG[1_000_010:]
        with pytest.raises(OSError, match="writ"):
            file.write(b"x")
    with pytest.raises(ctrd.NotFound):
        engine.content.open(made.digest)


def test_row94_row95_a_wrong_digest_or_size_is_data_loss(engine: ctrd.Engine) -> None:
    wrong = digest_of(b"other")
    for ref in (None, "ref"):
        with pytest.raises(ctrd.DataLoss) as caught:
            engine.content.ingest(b"data", expected=wrong, ref=ref)
        assert (caught.value.expected, caught.value.actual) == (wrong, digest_of(b"data"))
        with pytest.raises(ctrd.DataLoss) as caught:
            engine.content.ingest(b"data", size=5, ref=ref)
        assert (caught.value.expected, caught.value.actual) == ("5", "4")
        assert files(engine) == [] and engine.content.ingests() == []


@pytest.mark.parametrize(
    "digest",
    ["", "sha256:../x", f"sha256:{'A' * 64}", f"sha512:{'a' * 64}", "a" * 64, "sha256:\0"],
    ids=["empty", "row96", "upper", "row97", "bare", "nul"],
)
def test_what_is_no_digest(engine: ctrd.Engine, digest: str) -> None:
    content = engine.content
    for verb in (content.read, content.open, content.info, content.delete):
        with pytest.raises(ctrd.InvalidArgument) as caught:
            verb(digest)
        assert caught.value.field == "digest" and caught.value.value is not None
    with pytest.raises(ctrd.InvalidArgument):
        content.update(digest, labels={})
    with pytest.raises(ctrd.InvalidArgument):
        content.ingest(b"x", expected=digest)
    assert files(engine) == []


def test_bad_refs_and_labels(engine: ctrd.Engine) -> None:
    for ref in ("", "r" * 4097):
        with pytest.raises(ctrd.InvalidArgument) as caught:
            engine.content.ingest(b"x", ref=ref)
        assert caught.value.field == "ref"
    for labels in ({"": "x"}, {"k" * 96: "v" * 4001}):
        with pytest.raises(ctrd.InvalidArgument):
            engine.content.ingest(b"x", labels=labels)
    with pytest.raises(ctrd.InvalidArgument):
        engine.content.ingest(b"x", size=-1)
    assert files(engine) == []
    made = engine.content.ingest(b"x", labels={"k" * 96: "v" * 4000}, ref="a/../b \n")
    with pytest.raises(ctrd.NotFound):
        engine.content.abort("nothing")
    assert made.size == 1


def failing(data: bytes) -> Iterator[bytes]:
    yield data
    raise OSError("the network is down")


def test_resume(engine: ctrd.Engine) -> None:
    digest = digest_of(BIG)
    with pytest.raises(OSError, match="network"):
        engine.content.ingest(failing(BIG[:2_000_000]), ref="layer", expected=digest, size=len(BIG))
    (part,) = engine.content.ingests()
    assert (part.ref, part.offset, part.total) == ("layer", 2_000_000, len(BIG))
    assert engine.content.ingests("ref==layer").ids == ["layer"] and engine.content.ingests("ref==x") == []
    with pytest.raises(ctrd.NotFound):
        engine.content.info(digest)
    with pytest.raises(OSError, match="network"):  # what comes again is skipped
        engine.content.ingest(failing(BIG[:10]), ref="layer", expected=digest)
    assert engine.content.ingests()[0].offset == 2_000_000
    assert engine.content.ingest(io.BytesIO(BIG), ref="layer", expected=digest).size == len(BIG)
    assert engine.content.read(digest) == BIG and engine.content.ingests() == []


def test_without_a_digest_it_begins_anew(engine: ctrd.Engine) -> None:
    with pytest.raises(OSError, match="network"):
        engine.content.ingest(failing(b"of another source"), ref="ref")
    assert engine.content.ingest(b"data", ref="ref").digest == digest_of(b"data")


def test_without_a_ref_nothing_stays(engine: ctrd.Engine) -> None:
    with pytest.raises(OSError, match="network"):
        engine.content.ingest(failing(b"x"))
    assert files(engine) == []


def test_abort(engine: ctrd.Engine) -> None:
    with pytest.raises(OSError, match="network"):
        engine.content.ingest(failing(b"x"), ref="ref")
    engine.content.abort("ref")
    assert files(engine) == []
    with pytest.raises(ctrd.NotFound):
        engine.content.abort("ref")


def test_one_writer_a_ref(engine: ctrd.Engine) -> None:
    def meddling() -> Iterator[bytes]:
        yield b"a"
        with pytest.raises(ctrd.Unavailable):
            engine.content.ingest(b"x", ref="ref")
        with pytest.raises(ctrd.Unavailable):
            engine.content.abort("ref")
        yield b"b"

    made = engine.content.ingest(meddling(), ref="ref")
    assert engine.content.read(made.digest) == b"ab"


def test_what_is_there_stays_as_it_is(engine: ctrd.Engine) -> None:
    first = engine.content.ingest(b"data", labels={"k": "1"})
    assert engine.content.ingest(b"data", labels={"k": "2"}) == first
    never = iter([b"never read"])
    assert engine.content.ingest(never, expected=first.digest) == first
    assert next(never) == b"never read"
    assert engine.content.info(first.digest).labels == {"k": "1"}
    assert len(files(engine)) == 1


def test_namespaces_share_bytes_not_records(engine: ctrd.Engine) -> None:
    other = engine.with_namespace("other")
    made = engine.content.ingest(b"data", labels={"k": "v"})
    for verb in (other.content.read, other.content.delete):
        with pytest.raises(ctrd.NotFound):
            verb(made.digest)
    never = iter([b"never read"])
    assert other.content.ingest(never, expected=made.digest).size == 4
    assert next(never) == b"never read"
    assert other.content.info(made.digest).labels == {} and len(files(engine)) == 1
    engine.content.delete(made.digest)
    assert other.content.read(made.digest) == b"data" and engine.content.list() == []
    other.content.delete(made.digest)
    assert files(engine) == []


def test_events(engine: ctrd.Engine) -> None:
    with engine.events("topic~=^/content/") as events:
        made = engine.content.ingest(b"data")
        engine.content.ingest(b"data")
        engine.content.delete(made.digest)
        seen = [events.next(timeout=30) for _ in range(2)]
    assert [(e.topic, e.namespace, dict(e.data)) for e in seen if e] == [
        ("/content/create", "default", {"digest": made.digest, "size": 4}),
        ("/content/delete", "default", {"digest": made.digest}),
    ]


def test_a_damaged_blob_is_data_loss(engine: ctrd.Engine) -> None:
    made = engine.content.ingest(b"data")
    (path,) = files(engine)
    assert path.stat().st_mode & 0o7777 == 0o444
    path.unlink()
    with pytest.raises(ctrd.DataLoss) as caught:
        engine.content.read(made.digest)
    assert caught.value.path == str(path)
    engine.content.delete(made.digest)


@pytest.mark.parametrize("expected", [False, True])
@pytest.mark.parametrize("damage", ["missing", "cut", "wrong"])
def test_a_damaged_blob_is_healed_by_what_comes_again(engine: ctrd.Engine, damage: str, expected: bool) -> None:
    made = engine.content.ingest(b"data", labels={"k": "v"})
    (path,) = files(engine)
    path.unlink()
    if damage != "missing":
        path.write_bytes(b"dat" if damage == "cut" else b"date")
    assert [one.problem for one in engine.fsck(verify=True).problems] == [damage if damage == "missing" else "damaged"]
    assert engine.content.ingest(b"data", expected=made.digest if expected else None) == made
    assert engine.content.read(made.digest) == b"data" and engine.content.info(made.digest).labels == {"k": "v"}
    assert engine.content.ingests() == [] and files(engine) == [path] and path.stat().st_mode & 0o7777 == 0o444
    assert engine.fsck(verify=True).problems == ()


KILLED = """
import ctrd, itertools, os, sys
engine = ctrd.default_engine()
def data():
    for n in range(100):
        yield bytes([n]) * 10_000
        if n == 60:
            print("in the middle", flush=True)
            sys.stdin.readline()
engine.content.ingest(data(), ref="ref", expected=sys.argv[1])
"""


def test_a_killed_process_leaves_what_came_and_no_lock(engine: ctrd.Engine) -> None:
    data = b"".join(bytes([n]) * 10_000 for n in range(100))
    with python(engine, KILLED, digest_of(data)) as process:
        assert process.stdout and process.stdout.readline() == "in the middle\n"
        with pytest.raises(ctrd.Unavailable):
            engine.content.ingest(data, ref="ref")
        process.kill()
        process.communicate()
    assert engine.content.ingests()[0].offset == 610_000 and engine.content.list() == []
    assert engine.content.ingest(data, ref="ref", expected=digest_of(data)).size == len(data)


def test_other_processes_see_it(engine: ctrd.Engine) -> None:
    made = engine.content.ingest(b"data")
    code = "import ctrd, sys; print(ctrd.default_engine().content.read(sys.argv[1]))"
    assert python_says(engine, code, made.digest) == "b'data'\n"


def test_interrupted_ingest_is_kept_for_its_ref(engine: ctrd.Engine) -> None:
    code = KILLED.replace("sys.stdin.readline()", "os.kill(os.getpid(), 2)")
    data = b"".join(bytes([n]) * 10_000 for n in range(100))
    with python(engine, code, digest_of(data)) as process:
        out, err = process.communicate(timeout=60)
    assert out == "in the middle\n" and "KeyboardInterrupt" in err and process.returncode == -signal.SIGINT
    assert [one.offset for one in engine.content.ingests()] == [610_000]
    engine.content.abort("ref")


FORKED = """
import ctrd, os
engine = ctrd.default_engine()
def data():
    yield b"a"
    if os.fork() == 0:
        try:
            yield b"child"
        finally:
            os._exit(0)
    os.wait()
    yield b"b"
made = engine.content.ingest(data(), ref="ref")
print(engine.content.read(made.digest))
"""


def test_a_forked_child_cannot_write(engine: ctrd.Engine) -> None:
    assert python_says(engine, FORKED) == "b'ab'\n"


def test_a_closed_engine_refuses(engine: ctrd.Engine) -> None:
    content = engine.content
    engine.close()
    with pytest.raises(ctrd.FailedPrecondition):
        content.list()
    with pytest.raises(ctrd.FailedPrecondition):
        content.ingest(b"x")


def test_a_full_disk(tmp_path: Path) -> None:
    where = tmp_path / "small"
    where.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", where], check=True)
    try:
        with ctrd.Engine(where / "root", state=tmp_path / "state") as engine:
            kept = engine.content.ingest(b"kept")
            eventually(lambda: engine.content.list() and (engine.root / "reserve.7").exists(), "the reserve is there")
            for _ in range(2):
                with pytest.raises(ctrd.ResourceExhausted):
                    engine.content.ingest(os.urandom(1 << 20) for _ in range(20))
            assert engine.content.list().ids == [kept.digest] and engine.content.ingests() == []
            filler = where / "filler"
            with pytest.raises(OSError, match="space"), filler.open("wb", buffering=0) as file:
                while True:
                    file.write(b"f" * 4096)
            assert engine.content.read(kept.digest) == b"kept"
            engine.content.delete(kept.digest)
            assert engine.content.list() == []
            filler.unlink()
            assert engine.content.ingest(b"again").size == 5
    finally:
        subprocess.run(["umount", "-l", where], check=True)
