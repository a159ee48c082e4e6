# SPDX-License-Identifier: Apache-2.0
"""`ctrd prune`, `ctrd gc`, `ctrd explain` and `ctrd lease ...`: each command is a call of the engine's."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

import click

from . import _cli_show as show
from ._engine import Engine
from ._leases import KINDS
from ._types import Kind

_engine = click.pass_obj
_Open = Callable[[], Engine]
_of = click.option("--snapshotter", "-s", help="Of a snapshot: overlay or native [the engine's].")
_kind = click.argument("kind", type=click.Choice(KINDS), metavar="KIND")
_key = click.argument("key")


@click.command()
@click.option("--dry-run", "-n", is_flag=True, help="Only say what would go.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@_engine
def gc(open_engine: _Open, /, dry_run: bool, as_json: bool) -> None:
    """Remove what nothing keeps in this namespace.

    Kept is what containers, checkpoints, leases and mounts need, and what labels containerd.io/gc.* keep.
    """
    report = open_engine().gc(dry_run=dry_run)
    if as_json:
        click.echo(json.dumps({"removed": report.removed, "freed": report.freed}))
        return
    for kind, key in report.removed:
        click.echo(f"{kind} {key}")
    click.echo(_freed(report.freed, dry_run), err=True)


def _freed(bytes: int, dry_run: bool) -> str:
    return f"{show.size_of(bytes)} {'would be freed' if dry_run else 'freed'}"


@click.command()
@click.option("--filter", "-f", "filters", multiple=True, help="labels.app==web,id~=^w; several are 'or'.")
@click.option("--stopped-for", type=float, default=0.0, metavar="SECONDS", help="Only what ended so long ago.")
@click.option("--dry-run", "-n", is_flag=True, help="Only say what would go.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@_engine
def prune(open_engine: _Open, /, filters: tuple[str, ...], stopped_for: float, dry_run: bool, as_json: bool) -> None:
    """Delete the containers that have ended, with their layers and logs.

    Left alone is what belongs to a process, what is mounted or held by a lease, and what was never started.
    """
    report = open_engine().containers.prune(*filters, stopped_for=stopped_for, dry_run=dry_run)
    if as_json:
        click.echo(json.dumps({"removed": report.removed, "freed": report.freed}))
        return
    click.echo("".join(f"{id}\n" for id in report.removed), nl=False)
    click.echo(_freed(report.freed, dry_run), err=True)


@click.command()
@_of
@_kind
@_key
@_engine
def explain(open_engine: _Open, /, snapshotter: str | None, kind: Kind, key: str) -> None:
    """Say why something is there still. KIND: container, snapshot, content, ingest, lease, checkpoint.

    Ends with 1 for what nothing keeps: the next gc removes it.
    """
    why = open_engine().explain(kind, key, snapshotter=snapshotter)
    click.echo(str(why))
    sys.exit(0 if why.kept else 1)


@click.group()
def lease() -> None:
    """What one holds is kept by every gc."""


@lease.command()
@click.option("--filter", "-f", "filters", multiple=True, help="id==build,labels.app==x; several are 'or'.")
@click.option("--quiet", "-q", is_flag=True, help="Names only.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@_engine
def ls(open_engine: _Open, /, filters: tuple[str, ...], quiet: bool, as_json: bool) -> None:
    """List leases."""
    rows = open_engine().leases.list(*filters)
    if quiet:
        click.echo("".join(f"{row.id}\n" for row in rows), nl=False)
    elif as_json:
        show.json_lines(rows)
    else:
        show.leases(rows)


@lease.command()
@click.argument("id", required=False, metavar="[LEASE]")
@click.option("--expires", type=float, default=86400.0, metavar="SECONDS", help="[a day]; 0: never.")
@click.option("--label", "-l", "labels", multiple=True, metavar="KEY=VALUE")
@_engine
def create(open_engine: _Open, /, id: str | None, expires: float, labels: tuple[str, ...]) -> None:
    """Make a lease, which stays until `ctrd lease rm` or its expiry."""
    given = dict(one.partition("=")[::2] for one in labels)
    click.echo(open_engine().lease(id, expires=expires or None, labels=given, lifetime="detached").id)


@lease.command()
@click.argument("ids", nargs=-1, required=True, metavar="LEASE...")
@_engine
def rm(open_engine: _Open, /, ids: tuple[str, ...]) -> None:
    """End leases; what they alone held goes."""
    engine = open_engine()
    for id in ids:
        engine.leases.delete(id)
        click.echo(id)


@lease.command()
@_of
@click.argument("id", metavar="LEASE")
@_kind
@_key
@_engine
def add(open_engine: _Open, /, snapshotter: str | None, id: str, kind: Kind, key: str) -> None:
    """Let a lease hold something, there or not: a snapshot, content, ingest or image."""
    open_engine().leases.get(id).add(kind, key, snapshotter=snapshotter)


@lease.command()
@_of
@click.argument("id", metavar="LEASE")
@_kind
@_key
@_engine
def drop(open_engine: _Open, /, snapshotter: str | None, id: str, kind: Kind, key: str) -> None:
    """Let a lease hold something no more."""
    open_engine().leases.get(id).remove(kind, key, snapshotter=snapshotter)


@lease.command()
@click.argument("id", metavar="LEASE")
@_engine
def resources(open_engine: _Open, /, id: str) -> None:
    """List what a lease holds."""
    for kind, key in open_engine().leases.get(id).resources():
        click.echo(f"{kind} {key}")
