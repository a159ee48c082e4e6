"""The log: both streams in order, also later and elsewhere."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import ctrd
import pytest
from support import python_says

pytestmark = pytest.mark.root


def ended(engine: ctrd.Engine, rootfs: ctrd.Rootfs, code: str, **options: object) -> ctrd.Container:
    c = engine.start(rootfs, shell=code, **options)  # type: ignore[arg-type]
    c.wait(timeout=60)
    return c


def test_lines_of_both_streams(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str) -> None:
    before = datetime.now(UTC)
    with ended(engine, rootfs, "echo one; sleep 0.05; echo two >&2; sleep 0.05; printf three", runtime=runtime) as c:
        lines = list(c.logs())
        assert [(line.stream, line.text) for line in lines] == [
            ("stdout", "one"),
            ("stderr", "two"),
            ("stdout", "three"),
        ]
        assert [line.partial for line in lines] == [False, False, True]
        assert [line.seq for line in lines] == sorted({line.seq for line in lines})
        assert before - timedelta(seconds=1) <= lines[0].time <= lines[2].time <= datetime.now(UTC)
        assert c.logs().read() == "one\ntwo\nthree"
        assert [line.text for line in c.logs(stderr=False)] == ["one", "three"]
        assert [line.text for line in c.logs(stdout=False)] == ["two"]


def test_tail_and_since(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    with ended(engine, rootfs, "seq 1 100; sleep 0.05; seq 101 200") as c:
        lines = list(c.logs())
        assert [line.text for line in lines] == [str(i) for i in range(1, 201)]
        assert [line.text for line in c.logs(tail=3)] == ["198", "199", "200"]
        assert list(c.logs(tail=0)) == []
        assert [line.text for line in c.logs(tail=1000)] == [line.text for line in lines]
        assert list(c.logs(since=lines[149].seq)) == lines[150:]
        assert [line.text for line in c.logs(since=lines[100].time)][-1] == "200"
        assert len(list(c.logs(since=lines[100].time))) <= 100
        assert list(c.logs(since=datetime.now(UTC) + timedelta(hours=1))) == []


def test_follow(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    with engine.start(rootfs, shell="for i in 1 2 3; do echo $i; sleep 0.05; done; echo last >&2") as c:
        with c.logs(follow=True, since=0) as logs:
            assert [line.text for line in logs] == ["1", "2", "3", "last"]
        assert [line.text for line in c.logs(follow=True, since=0)] == ["1", "2", "3", "last"]
        assert list(logs) == []
        assert [line.text for line in c.logs(follow=True)] == ["1", "2", "3", "last"]  # also after its end
        assert [line.text for line in c.logs(follow=True, tail=1)] == ["last"]


def test_from_another_process_while_it_runs(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    with engine.start(rootfs, shell="echo hello; exec sleep 1000", id="x") as c:
        next(iter(c.logs(follow=True, since=0)))
        code = "import ctrd; print(ctrd.default_engine().containers['x'].logs().read())"
        assert python_says(engine, code) == "hello\n\n"


def test_long_lines_and_odd_bytes(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    code = "head -c 200000 /dev/zero | tr '\\0' x; echo; printf 'a\\303\\244\\377b\\r\\n'; echo"
    with ended(engine, rootfs, code) as c:
        text = c.logs().read()
        assert text == "x" * 200_000 + "\naä\ufffdb\r\n\n"
        assert [line.partial for line in c.logs()][-3:] == [False, False, False]


def test_a_character_cut_in_two(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    with ended(engine, rootfs, "yes ä | tr -d '\\n' | head -c 300001; echo") as c:
        text = c.logs().read()
        assert text == "ä" * 150_000 + "\ufffd\n"


def test_no_log(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    with engine.containers.create(rootfs, "true") as c, pytest.raises(ctrd.TaskNotFound):
        c.logs()
    with ended(engine, rootfs, "echo x", stdout=ctrd.DEVNULL, stderr=ctrd.DEVNULL) as c:
        with pytest.raises(ctrd.TaskNotFound):
            c.logs()


def test_the_oldest_go_first(tmp_path_factory: pytest.TempPathFactory, rootfs: ctrd.Rootfs) -> None:
    where = tmp_path_factory.mktemp("small")
    config = ctrd.EngineConfig(log_max="1M")
    with ctrd.Engine(where / "root", state=where / "state", config=config) as engine:
        with ended(engine, rootfs, "seq 1 50000 | sed s/^/$(printf %0100d 0)/") as c:
            lines = list(c.logs())
            assert lines[-1].text == "0" * 100 + "50000"
            assert 1000 < len(lines) < 50000  # a gap shows in seq
            kept = sum(path.stat().st_size for path in (engine.root / "logs").rglob("*") if path.is_file())
            assert kept < 3 << 20


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"since": 1.5}, TypeError),
        ({"since": True}, TypeError),
        ({"since": "1"}, TypeError),
        ({"since": -1}, ctrd.InvalidArgument),
        ({"since": datetime(2026, 1, 1)}, ctrd.InvalidArgument),
        ({"tail": -1}, ctrd.InvalidArgument),
        ({"tail": "1"}, TypeError),
        ({"follow": 1}, TypeError),
    ],
    ids=str,
)
def test_wrong_arguments(
    engine: ctrd.Engine, rootfs: ctrd.Rootfs, options: dict[str, object], error: type[Exception]
) -> None:
    with engine.containers.create(rootfs, "true") as c, pytest.raises(error):
        c.logs(**options)  # type: ignore[arg-type]
