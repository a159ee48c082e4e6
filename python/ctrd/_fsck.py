# SPDX-License-Identifier: Apache-2.0
"""What Engine.fsck finds: the store against the disk."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FsckProblem:
    """One thing that is not as it should be. str() is a line.

    Attributes:
        kind: What it is of: "container", "spec", "snapshot", "content", "ingest", "checkpoint", "namespace", "owner",
            "number", "event", "reference" (a reverse key), "task", "logs", "trash", "file", "state" (the state
            directory), "version" or "database".
        key: Which one: "<namespace>/<id>", "<namespace>/<snapshotter>/<key>", a path below the root, or a file's name.
        problem: "damaged" (it cannot be read, or is not what others say), "missing", "orphaned" (it belongs to
            nothing), "dangling" (it refers to what is not there), "dead" (its process is gone), "stale" or "foreign".
        detail: The same in words.
        repairable: Whether fsck(repair=True) can mend it.
        repaired: Whether it has.
    """

    kind: str
    key: str
    problem: str
    detail: str
    repairable: bool
    repaired: bool

    def __str__(self) -> str:
        """Return a line."""
        then = "repaired" if self.repaired else "can be repaired" if self.repairable else "cannot be repaired"
        return f"{self.problem} {self.kind} {self.key}: {self.detail} [{then}]"


@dataclass(frozen=True, slots=True)
class FsckReport:
    """What fsck has found. str() is a line a problem.

    Attributes:
        problems: All that was found, repaired or not.
    """

    problems: tuple[FsckProblem, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong, or nothing any more."""
        return all(problem.repaired for problem in self.problems)

    def __str__(self) -> str:
        """Return a line a problem."""
        return "\n".join(map(str, self.problems))
