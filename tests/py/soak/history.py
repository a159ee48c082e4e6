"""What several processes did at the same time, and whether some order of it explains what each was told.

Each process notes its operations: when it asked, what it was told, and when. `explain` looks, object by object, for an
order in which every operation happens at one moment between its two times, and every answer is the one that a single
process doing them one after another would have got (linearizability; the search is Wing and Gong's).
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

ABSENT = ""  # no such object; what one holds is never empty
DONE, EXISTS, MISSING, REFUSED = "done", "exists", "missing", "refused"
SNAPSHOTS = "snapshots"  # all of them are one object: a commit is about two keys


@dataclass(frozen=True, slots=True)
class Op:
    """One operation: `verb` on `key` with `value` got `answer` between two moments (ns, one clock for all)."""

    verb: str
    key: str
    value: str
    answer: str
    began: int
    ended: int

    def after(self, state: str) -> str | None:
        """What the object holds after it; None: it does not get this answer then."""
        if self.key == SNAPSHOTS:
            return _after_snapshots(self, state)
        there = state != ABSENT
        match self.verb, self.answer:
            case "create", "done":
                return None if there else self.value
            case "create", "exists":
                return state if there else None
            case "change", "done":
                return self.value if there else None
            case "delete", "done":
                return ABSENT if there else None
            case (("change" | "delete"), "missing"):
                return None if there else state
            case "read", found:
                return state if found == state else None
        raise ValueError(self)


# key -> (kind, parent, labelled as a root of the garbage collection)
Tree = dict[str, tuple[str, str, bool]]


def tree_of(snapshots: Tree) -> str:
    """What SNAPSHOTS holds."""
    return json.dumps(snapshots, sort_keys=True) if snapshots else ABSENT


@lru_cache(maxsize=10_000)
def _after_snapshots(op: Op, state: str) -> str | None:
    tree: Tree = {key: tuple(one) for key, one in json.loads(state or "{}").items()}
    if op.verb == "read":
        return state if op.answer == state else None
    if op.verb == "gc":
        return tree_of(tree) if _collect(tree) == json.loads(op.answer) else None
    key, other, root = (op.value.split(" ") + ["", ""])[:3]  # prepare KEY PARENT ROOT, commit KEY NAME ROOT, remove KEY
    why = {"prepare": _prepare, "commit": _commit, "remove": _remove}[op.verb](tree, key, other, bool(root))
    if op.answer != DONE:
        return state if op.answer in why else None
    return None if why else tree_of(tree)


# Each changes the tree, or says for which reasons it may be refused.
def _prepare(tree: Tree, key: str, parent: str, root: bool) -> set[str]:
    why = {EXISTS} if key in tree else set()
    why |= {MISSING} if parent and parent not in tree else set()
    why |= {REFUSED} if parent in tree and tree[parent][0] != "committed" else set()
    if not why:
        tree[key] = ("active", parent, root)
    return why


def _commit(tree: Tree, key: str, name: str, root: bool) -> set[str]:
    why = {EXISTS} if name in tree else set()
    why |= {MISSING} if key not in tree else set()
    why |= {REFUSED} if key in tree and tree[key][0] != "active" else set()
    if not why:
        tree[name] = ("committed", tree.pop(key)[1], root)
    return why


def _remove(tree: Tree, key: str, _: str, __: bool) -> set[str]:
    why = {MISSING} if key not in tree else set()
    why |= {REFUSED} if any(parent == key for _, parent, _ in tree.values()) else set()
    if not why:
        del tree[key]
    return why


def _collect(tree: Tree) -> list[str]:
    """What goes: all but the roots and what they stand upon."""
    kept = {""}
    work = [key for key, (_, _, root) in tree.items() if root]
    while work:
        key = work.pop()
        if key not in kept:
            kept.add(key)
            work.append(tree[key][1])
    gone = sorted(set(tree) - kept)
    for key in gone:
        del tree[key]
    return gone


class Notes:
    """The operations of one process, kept in a file for whoever looks at all of them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ops: list[Op] = []

    def do(self, verb: str, key: str, value: str, call: Callable[[], str]) -> None:
        began = time.monotonic_ns()
        answer = call()
        self._ops.append(Op(verb, key, value, answer, began, time.monotonic_ns()))

    def read_all(self, keys: Iterable[str], call: Callable[[], dict[str, str]]) -> None:
        """One call that says what each of these objects holds."""
        began = time.monotonic_ns()
        found = call()
        ended = time.monotonic_ns()
        self._ops += [Op("read", key, "", found.get(key, ABSENT), began, ended) for key in keys]

    def save(self) -> None:
        self._path.write_text(json.dumps([asdict(op) for op in self._ops]))


def load(paths: Iterable[Path]) -> list[Op]:
    return [Op(**one) for path in paths for one in json.loads(path.read_text())]


def explain(ops: list[Op]) -> str:
    """ "" if there is an order; else the first operation that none explains, and those around it."""
    by_key: dict[str, list[Op]] = defaultdict(list)
    for op in ops:
        by_key[op.key].append(op)
    return "\n".join(filter(None, (_explain_one(key, by_key[key]) for key in sorted(by_key))))


# What may be so far: what the object holds, and which of the open operations have happened.
_Config = tuple[str, frozenset[int]]


def _explain_one(key: str, ops: list[Op]) -> str:
    moments = sorted([(op.began, 0, n) for n, op in enumerate(ops)] + [(op.ended, 1, n) for n, op in enumerate(ops)])
    configs: set[_Config] = {(ABSENT, frozenset())}
    is_open: set[int] = set()
    for _, is_end, n in moments:
        if not is_end:
            is_open.add(n)
            continue
        before = configs
        configs = {(state, done - {n}) for state, done in _reachable(configs, is_open, ops) if n in done}
        if not configs:
            others = [ops[one] for one in is_open]
            return f"{key}: nothing explains {ops[n]} among {others}; it held one of {sorted({s for s, _ in before})}"
        is_open.discard(n)
    return ""


def _reachable(configs: set[_Config], is_open: set[int], ops: list[Op]) -> set[_Config]:
    """Whatever any of the open operations, in any order, make of it."""
    found, work = set(configs), list(configs)
    while work:
        state, done = work.pop()
        for n in is_open - done:
            after = ops[n].after(state)
            if after is None:
                continue
            config = (after, done | {n})
            if config not in found:
                found.add(config)
                work.append(config)
    return found
