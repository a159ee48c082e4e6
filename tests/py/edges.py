"""What refers to what in a root's database, read a second time: from the records alone, as semantics.md says it.

The invariant checker compares it with the reverse keys (I5), and tests with what gc() says. It imports nothing of ctrd.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

from disk_records import Store

Object = tuple[str, ...]  # ("c", id), ("snap", snapshotter, key), ("blob", digest), ("lease", id), ("cp", name) ...

_LABEL = re.compile(r"containerd\.io/gc\.(b?ref)\.(content|image|container|snapshot\.([^/]+))(?:[./].*)?", re.DOTALL)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)  # RFC 3339, as Go reads it
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_PATHS = {"content": "blob", "image": "image", "container": "c"}


def named(label: str, value: str) -> tuple[Object, bool] | None:
    """What a label refers to, and whether it is a back reference; None: nothing."""
    found = _LABEL.fullmatch(label)
    if found is None or not value:
        return None
    back, what, snapshotter = found[1] == "bref", found[2], found[3]
    if snapshotter:
        return ("snap", "overlay" if snapshotter == "overlayfs" else snapshotter, value), back
    if (what == "container" and not back) or (what == "content" and not _DIGEST.fullmatch(value)):
        return None
    return (_PATHS[what], value), back


def labelled(store: Store) -> Iterator[tuple[str, Object, dict[str, str]]]:
    """Every object that has labels that can refer: namespace, object, labels."""
    for (ns, id), container in store.containers.items():
        yield ns, ("c", id), container.labels
    for (ns, snapshotter, key), snapshot in store.snapshots.items():
        yield ns, ("snap", snapshotter, key), snapshot.labels
    for (ns, digest), labels in store.blob_labels.items():
        yield ns, ("blob", digest), labels
    for (ns, name), labels in store.checkpoint_labels.items():
        yield ns, ("cp", name), labels


def label_keys(store: Store) -> tuple[set[tuple[str, Object, Object]], set[tuple[str, Object, Object]]]:
    """What the reverse keys of labels should be: (namespace, named, who names it), forward and back references."""
    forward, back = set(), set()
    for ns, who, labels in labelled(store):
        for label, value in labels.items():
            if found := named(label, value):
                (back if found[1] else forward).add((ns, found[0], who))
    return forward, back


def holds(labels: dict[str, str], now: datetime) -> bool:
    """Whether a lease with these labels has not expired."""
    text = labels.get("containerd.io/gc.expire", "")
    if not _TIME.fullmatch(text):
        return True
    try:
        return datetime.fromisoformat(text) > now
    except ValueError:  # a 30th of February
        return True


def reached(store: Store, ns: str, *, now: datetime | None = None) -> set[Object]:
    """What the roots of a namespace reach, processes and mounts left aside."""
    now = now or datetime.now(UTC)
    edges: dict[Object, set[Object]] = {}
    flat: set[Object] = set()  # what leases hold just by itself
    roots: set[Object] = set()
    for where, who, labels in labelled(store):
        if where != ns:
            continue
        if who[0] in ("c", "cp") or "containerd.io/gc.root" in labels:
            roots.add(who)
        for label, value in labels.items():
            if found := named(label, value):
                one, other = (found[0], who) if found[1] else (who, found[0])
                edges.setdefault(one, set()).add(other)
    parents: dict[Object, Object] = {}
    for (where, snapshotter, key), snapshot in store.snapshots.items():
        if where == ns and snapshot.parent:
            parents["snap", snapshotter, key] = ("snap", snapshotter, snapshot.parent)
    for (where, id), container in store.containers.items():
        if where == ns and container.snapshot_key:
            edges.setdefault(("c", id), set()).add(("snap", container.snapshotter, container.snapshot_key))
    for (where, id), labels in store.leases.items():
        if where != ns or not holds(labels, now):
            continue
        held = {one for space, lease, one in store.held if (space, lease) == (ns, id)}
        roots.add(("lease", id))
        if "containerd.io/gc.flat" in labels:
            flat |= held
        else:
            roots |= held
    return _walk(roots, flat, edges, parents)


def _walk(
    roots: set[Object], flat: set[Object], edges: dict[Object, set[Object]], parents: dict[Object, Object]
) -> set[Object]:
    there = {one for one in roots | flat}
    full = set(roots)
    gray = list(roots)
    while gray:
        one = gray.pop()
        for other in edges.get(one, set()) | ({parents[one]} if one in parents else set()):
            if other not in full:
                full.add(other)
                gray.append(other)
    for one in flat:
        while one in parents:
            one = parents[one]
            there.add(one)
    return there | full


def garbage(store: Store, ns: str, *, now: datetime | None = None) -> set[Object]:
    """What a collection of this namespace should remove, of snapshots, content and leases."""
    kept = reached(store, ns, now=now)
    there: set[Object] = {("snap", snapshotter, key) for where, snapshotter, key in store.snapshots if where == ns}
    there |= {("blob", digest) for where, digest in store.blobs if where == ns}
    there |= {("lease", id) for where, id in store.leases if where == ns}
    return there - kept
