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
        Op("read", SNAPSHOTS, "", tree_of({"base": ("committed", "", False), "b": ("active", "base", False)}), 16, 17),
        op(18, "remove", "b"),
        op(20, "prepare", "c b", MISSING),
        op(22, "remove", "base"),
        Op("read", SNAPSHOTS, "", ABSENT, 24, 25),
    ]
    assert explain(good) == ""
    for n in (0, 3, 5, 9, 11):
        assert explain(good[:n] + good[n + 1 :]), n


def _snapshot(at: int, verb: str, value: str, answer: str = DONE, took: int = 1) -> Op:
    return Op(verb, SNAPSHOTS, value, answer, at, at + took)


def test_a_collection_takes_what_is_white_at_one_moment() -> None:
    """What is no root goes unless a root stands upon it; all that is white, and nothing else."""
    made = [
        _snapshot(0, "prepare", "a  "),
        _snapshot(2, "commit", "a base "),
        _snapshot(4, "prepare", "b base root"),
        _snapshot(6, "prepare", "c base "),
    ]
    left = tree_of({"base": ("committed", "", False), "b": ("active", "base", True)})
    after = Op("read", SNAPSHOTS, "", left, 20, 21)
    assert explain([*made, _snapshot(8, "gc", "", '["c"]'), after]) == ""
    for wrong in ("[]", '["base", "c"]', '["b", "c"]', '["b"]'):
        assert explain([*made, _snapshot(8, "gc", "", wrong)]), wrong
    assert explain([*made, after])  # who has removed c?
    # Beside a commit it may have come before or after, but not in the middle of it.
    commit = _snapshot(8, "commit", "c name root", took=10)
    for answer in ('["c"]', "[]"):
        assert (explain([*made, commit, _snapshot(9, "gc", "", answer)]) == "") == (answer == "[]")
    gone = _snapshot(8, "commit", "c name root", MISSING, took=10)
    assert explain([*made, gone, _snapshot(9, "gc", "", '["c"]')]) == ""
    assert explain([*made, gone, _snapshot(9, "gc", "", "[]")])


# What must never be, each the last of these: answers that no order explains.
WRONG = {
    "a prepare that two win": [_snapshot(0, "prepare", "a ", took=9), _snapshot(1, "prepare", "a ", took=9)],
    "a commit that two win": [
        _snapshot(0, "prepare", "a "),
        _snapshot(2, "commit", "a x", took=9),
        _snapshot(3, "commit", "a y", took=9),
    ],
    "a parent that is removed beneath a child": [
        _snapshot(0, "prepare", "a "),
        _snapshot(2, "commit", "a x"),
        _snapshot(4, "prepare", "b x", took=9),
        _snapshot(5, "remove", "x", took=9),
    ],
    "a prepare that is refused and made": [
        _snapshot(0, "prepare", "a ", MISSING, took=9),
        _snapshot(1, "commit", "a x", took=5),
    ],
    "a removed one that is still listed": [
        _snapshot(0, "prepare", "a "),
        _snapshot(2, "remove", "a"),
        Op("read", SNAPSHOTS, "", tree_of({"a": ("active", "", False)}), 4, 5),
    ],
    "a label that is lost in a commit": [
        _snapshot(0, "prepare", "a "),
        _snapshot(2, "commit", "a x root"),
        Op("read", SNAPSHOTS, "", tree_of({"x": ("committed", "", False)}), 4, 5),
    ],
}


@pytest.mark.parametrize("name", WRONG)
def test_what_no_order_explains(name: str) -> None:
    assert explain(WRONG[name]).startswith("snapshots: nothing explains")
    assert explain(WRONG[name][:-1]) == "" or "refused" in name


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
