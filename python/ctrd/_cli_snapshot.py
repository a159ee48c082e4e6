# SPDX-License-Identifier: Apache-2.0
"""`ctrd snapshot ...`: each command is a call of engine.snapshots."""

from __future__ import annotations

import shlex
from collections.abc import Callable

import click

from . import _cli_show as show
from ._engine import Engine
from ._snapshots import Snapshots

_engine = click.pass_obj
_Open = Callable[[], Engine]
_of = click.option("--snapshotter", "-s", default="", help="overlay or native [the engine's].")


def _open(open_engine: _Open, snapshotter: str) -> Snapshots:
    found = open_engine().snapshots
    return found.with_snapshotter(snapshotter) if snapshotter else found


@click.group()
def snapshot() -> None:
    """The layers of root filesystems."""


@snapshot.command()
@_of
@click.option("--filter", "-f", "filters", multiple=True, help="kind==active,parent==base; several are 'or'.")
@click.option("--quiet", "-q", is_flag=True, help="Keys only.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@_engine
def ls(open_engine: _Open, /, snapshotter: str, filters: tuple[str, ...], quiet: bool, as_json: bool) -> None:
    """List snapshots."""
    rows = _open(open_engine, snapshotter).list(*filters)
    if quiet:
        click.echo("".join(f"{row.key}\n" for row in rows), nl=False)
    elif as_json:
        show.json_lines(rows)
    else:
        show.snapshots(rows)


@snapshot.command()
@_of
@_engine
def tree(open_engine: _Open, /, snapshotter: str) -> None:
    """Draw what stands upon what."""
    drawn = str(_open(open_engine, snapshotter).tree())
    if drawn:
        click.echo(drawn)


@snapshot.command()
@_of
@click.argument("keys", nargs=-1, metavar="[SNAPSHOT]...")
@_engine
def usage(open_engine: _Open, /, snapshotter: str, keys: tuple[str, ...]) -> None:
    """Say what snapshots take on the disk, without what they stand upon."""
    snapshots = _open(open_engine, snapshotter)
    wanted = keys or snapshots.list().ids
    show.usage([(key, snapshots.usage(key)) for key in wanted])


@snapshot.command()
@_of
@click.argument("keys", nargs=-1, required=True, metavar="SNAPSHOT...")
@_engine
def rm(open_engine: _Open, /, snapshotter: str, keys: tuple[str, ...]) -> None:
    """Remove snapshots, with what they have on the disk."""
    snapshots = _open(open_engine, snapshotter)
    for key in keys:
        snapshots.remove(key)
        click.echo(key)


@snapshot.command()
@_of
@click.argument("key", metavar="SNAPSHOT")
@click.option("--parent", "-p", metavar="SNAPSHOT", help="The committed one that it stands upon.")
@click.option("--view", "-r", is_flag=True, help="To be read only.")
@_engine
def prepare(open_engine: _Open, /, snapshotter: str, key: str, parent: str | None, view: bool) -> None:
    """Make a snapshot, and print the command that mounts it: TARGET in it is for you to replace."""
    snapshots = _open(open_engine, snapshotter)
    for one in (snapshots.view if view else snapshots.prepare)(key, parent):
        click.echo(shlex.join(["mount", "-t", one.type, "-o", ",".join(one.options), one.source, "TARGET"]))


@snapshot.command()
@_of
@click.argument("name")
@click.argument("key", metavar="SNAPSHOT")
@_engine
def commit(open_engine: _Open, /, snapshotter: str, name: str, key: str) -> None:
    """Make an active snapshot one that never changes, of that name."""
    click.echo(_open(open_engine, snapshotter).commit(name, key).key)
