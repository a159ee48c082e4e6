"""The tree keeps its own rules: layers, outside libraries, and a test file for what there is to test."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
ROOMS = {
    name: {room.strip() for room in may.split(",") if room.strip()}
    for name, may in re.findall(
        r"^\| (\w+) \|[^|]*\|([^|]*)\|$", (TOP / "cpp/README.md").read_text().split("## 3.")[0], re.M
    )
    if name != "room"
}
OUTSIDE = {
    "leveldb/": {"store"},
    "boost/": {"ttrpc", "shim"},
    "nlohmann/": {"oci"},
    "openssl/": {"content"},
    "re2/": {"metadata"},
    "pybind11/": {"bindings"},
}


def folder(room: str) -> Path:
    return TOP / room if room == "bindings" else TOP / "cpp" / room


def sources(room: str) -> list[Path]:
    return [path for path in folder(room).iterdir() if path.suffix in {".h", ".cpp"}]


def includes(path: Path) -> list[str]:
    return re.findall(r'^#include ["<]([^">]+)[">]', path.read_text(), re.M)


def test_the_table_names_every_room() -> None:
    assert {path.name for path in (TOP / "cpp").iterdir() if path.is_dir()} | {"bindings"} == set(ROOMS)


def test_the_table_has_no_cycle() -> None:
    seen: set[str] = set()
    for room, may in ROOMS.items():
        assert may <= seen, f"{room} may include {may - seen}, which stand below it"
        seen.add(room)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_includes_only_what_its_row_names(room: str) -> None:
    for path in sources(room):
        for include in includes(path):
            other = include.split("/")[0]
            if other in ROOMS and other != room:
                assert other in ROOMS[room], f"{path.relative_to(TOP)} includes {include}"


@pytest.mark.parametrize("room", ROOMS)
def test_outside_libraries_stay_in_their_rooms(room: str) -> None:
    for path in sources(room):
        for include in includes(path):
            for prefix, rooms in OUTSIDE.items():
                assert not include.startswith(prefix) or room in rooms, f"{path.relative_to(TOP)} includes {include}"


@pytest.mark.parametrize("room", ROOMS)
def test_every_header_says_what_it_is_for(room: str) -> None:
    for path in sources(room):
        if path.suffix == ".h":
            first, second = path.read_text().splitlines()[:2]
            assert first == "// SPDX-License-Identifier: Apache-2.0" and second.startswith("// "), path


@pytest.mark.parametrize("room", sorted(set(ROOMS) - {"bindings"}))
def test_a_room_has_tests(room: str) -> None:
    assert list((TOP / "tests/cpp" / room).glob("*_test.cpp"))
