"""The checker of soak/history.py: what it must accept, and what it must not."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent / "soak"))
from history import ABSENT, DONE, EXISTS, MISSING, REFUSED, SNAPSHOTS, Op, explain, tree_of  # noqa: E402

pytestmark = pytest.mark.unit


def test_one_after_another() -> None:
    good = [
        Op("read", "a", "", ABSENT, 0, 1),
        Op("create", "a", "1", DONE, 2, 3),
        Op("create", "a", "2", EXISTS, 4, 5),
        Op("change", "a", "2", DONE, 6, 7),
        Op("read", "a", "", "2", 8, 9),
        Op("delete", "a", "", DONE, 10, 11),
        Op("delete", "a", "", MISSING, 12, 13),
        Op("change", "a", "3", MISSING, 14, 15),
    ]
    assert explain(good) == ""
    assert explain(good[::-1]) == ""
    for n in range(1, len(good) - 2):
        broken = good[:n] + good[n + 1 :]
        assert (explain(broken) == "") == (good[n].answer in (EXISTS, "2")), good[n]


def test_what_overlaps_may_have_any_order() -> None:
    create, delete = Op("create", "a", "1", DONE, 0, 10), Op("delete", "a", "", DONE, 1, 9)
    read = Op("read", "a", "", ABSENT, 2, 8)
    assert explain([create, delete, read]) == ""
    assert explain([create, delete, Op("read", "a", "", "1", 2, 8)]) == ""
    assert explain([create, delete, Op("read", "a", "", "1", 11, 12)]).startswith("a: nothing explains")
    assert explain([create, Op("delete", "a", "", DONE, 11, 12), Op("delete", "a", "", DONE, 11, 12)])
    assert explain([create, Op("create", "a", "2", DONE, 0, 10)])  # two winners


def test_a_lost_update_is_seen() -> None:
    ops = [
        Op("create", "a", "0", DONE, 0, 1),
        Op("change", "a", "1", DONE, 2, 4),
        Op("change", "a", "2", DONE, 3, 5),
        Op("read", "a", "", "0", 6, 7),
    ]
    assert "'0'" in explain(ops)
    assert explain([*ops[:3], Op("read", "a", "", "1", 6, 7)]) == ""
    assert explain([*ops[:3], Op("read", "a", "", "1", 6, 7), Op("read", "a", "", "2", 8, 9)])


def test_objects_do_not_meet() -> None:
    assert explain([Op("create", "a", "1", DONE, 0, 1), Op("create", "b", "1", DONE, 0, 1)]) == ""


def test_snapshots() -> None:
    def op(at: int, verb: str, value: str, answer: str = DONE) -> Op:
        return Op(verb, SNAPSHOTS, value, answer, at, at + 1)

    good = [
        op(0, "prepare", "a "),
        op(2, "prepare", "a ", EXISTS),
        op(4, "prepare", "b a", REFUSED),
        op(6, "commit", "a base"),
        op(8, "commit", "a other", MISSING),
        op(10, "prepare", "b base"),
        op(12, "remove", "base", REFUSED),
        op(14, "commit", "base x", REFUSED),
        Op("read", SNAPSHOTS, "", tree_of({"base": ("committed", ""), "b": ("active", "base")}), 16, 17),
        op(18, "remove", "b"),
        op(20, "prepare", "c b", MISSING),
        op(22, "remove", "base"),
        Op("read", SNAPSHOTS, "", ABSENT, 24, 25),
    ]
    assert explain(good) == ""
    for n in (0, 3, 5, 9, 11):
        assert explain(good[:n] + good[n + 1 :]), n


def test_random_histories_of_a_real_register() -> None:
    """Made by doing them at one moment each; a changed answer is found."""
    rng = random.Random(7)
    for _ in range(20):
        state, ops = ABSENT, []
        for n in range(300):
            at, value = n * 10 + 1000, str(n + 1)
            verb = rng.choice(["create", "change", "delete", "read"])
            answer = DONE
            if verb == "read":
                answer = state
            elif verb == "create":
                answer, state = (EXISTS, state) if state else (DONE, value)
            elif not state:
                answer = MISSING
            else:
                state = value if verb == "change" else ABSENT
            ops.append(Op(verb, "a", value, answer, at - rng.randrange(40), at + rng.randrange(40)))
        assert explain(ops) == ""
        reads = [n for n, op in enumerate(ops) if op.verb == "read"]
        wrong = ops[reads[0]]
        ops[reads[0]] = Op("read", "a", "", "never", wrong.began, wrong.ended)
        assert "never" in explain(ops)
