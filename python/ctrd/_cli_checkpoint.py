# SPDX-License-Identifier: Apache-2.0
"""`ctrd checkpoint`, `restore`, `fork` and `checkpoints ...`: each command is a call of the library."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from . import _cli_show as show
from ._container import Container
from ._engine import Engine

_engine = click.pass_obj
_Open = Callable[[], Engine]
# By a container's name, or the beginning of it: the command line's own way to look one up.
_Find = Callable[[Engine, str], Container]


def _place(ref: str | None) -> str | Path | None:
    """What has a slash in it is a directory."""
    return Path(ref) if ref is not None and "/" in ref else ref


def add_to(cli: click.Group, find: _Find) -> None:
    """Add the commands."""

    @cli.command()
    @click.option("--exit", "-x", is_flag=True, help="End it once it is dumped.")
    @click.option("--dry-run", is_flag=True, help="Only say what would fail; the status is 1 if something would.")
    @click.option("--tcp", type=click.Choice(["refuse", "close", "keep"]), default="refuse", show_default=True)
    @click.option("--unix-sockets", is_flag=True, help="It may be connected to datagram sockets outside.")
    @click.option("--terminal", is_flag=True, help="It may have a terminal of the host.")
    @click.option("--no-file-locks", "file_locks", is_flag=True, default=True, flag_value=False, help="Refuse locks.")
    @click.option("--empty-namespace", "empty_namespaces", multiple=True, help='Restored empty: "network".')
    @click.option("--label", "-l", "labels", multiple=True, metavar="KEY=VALUE", help="Of the checkpoint.")
    @click.argument("id", metavar="CONTAINER")
    @click.argument("ref", required=False, metavar="[NAME|DIR/]")
    @_engine
    def checkpoint(
        open_engine: _Open, /, id: str, ref: str | None, dry_run: bool, labels: tuple[str, ...], **options: Any
    ) -> None:
        """Dump a container's memory and files; what has a slash in it is a directory of yours.

        `ctrd checkpoint web warm; ctrd restore warm` is a copy that goes on from there.
        """
        c = find(open_engine(), id)
        if dry_run:
            report = c.checkpoint(_place(ref), dry_run=True, **options)
            click.echo("".join(f"{line}\n" for line in str(report).splitlines()), nl=False)
            sys.exit(0 if report.ok else 1)
        made = c.checkpoint(_place(ref), labels=show.pairs("label", labels), **options)
        click.echo(made.ref or made.path)

    @cli.command()
    @click.option("--name", metavar="ID", help="Its name; one is made up otherwise.")
    @click.option("--hostname", help="[its name]")
    @click.option("--tcp", type=click.Choice(["close", "keep"]), help="[as the checkpoint was told]")
    @click.option("--runtime", help="crun, runc, a path [as was].")
    @click.option("--allow-other-kernel", is_flag=True, help="Try it though another kernel made it.")
    @click.argument("ref", metavar="NAME|DIR/")
    @_engine
    def restore(open_engine: _Open, /, ref: str, name: str | None, **options: Any) -> None:
        """Make a container that goes on from a checkpoint. It stays until `ctrd rm`."""
        made = open_engine().containers.restore(_place(ref) or ref, id=name, lifetime="detached", **options)
        click.echo(made.id)

    @cli.command()
    @click.option("--count", "-c", type=int, default=1, show_default=True, help="How many.")
    @click.option("--name", "names", multiple=True, metavar="ID", help="Of a copy; as often as there are copies.")
    @click.argument("id", metavar="CONTAINER")
    @_engine
    def fork(open_engine: _Open, /, id: str, count: int, names: tuple[str, ...]) -> None:
        """Make copies of a running container, which go on from where it is. They stay until `ctrd rm`."""
        for copy in find(open_engine(), id).fork(count, ids=names or None):
            copy.detach()
            click.echo(copy.id)

    cli.add_command(checkpoints)


@click.group()
def checkpoints() -> None:
    """The stored checkpoints."""


@checkpoints.command()
@click.option("--filter", "-f", "filters", multiple=True, help="labels.a==b; several are 'or'.")
@click.option("--quiet", "-q", is_flag=True, help="Names only.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@_engine
def ls(open_engine: _Open, /, filters: tuple[str, ...], quiet: bool, as_json: bool) -> None:
    """List them."""
    rows = open_engine().checkpoints.list(*filters)
    if quiet:
        click.echo("".join(f"{row.id}\n" for row in rows), nl=False)
    elif as_json:
        show.json_lines(rows)
    else:
        show.checkpoints(rows)


@checkpoints.command()
@click.argument("refs", nargs=-1, required=True, metavar="NAME...")
@_engine
def rm(open_engine: _Open, /, refs: tuple[str, ...]) -> None:
    """Delete some; what was restored from them stays."""
    engine = open_engine()
    for ref in refs:
        engine.checkpoints.delete(ref)
        click.echo(ref)


@checkpoints.command()
@click.argument("ref", metavar="NAME|DIR/")
@click.argument("path", metavar="DIR")
@_engine
def export(open_engine: _Open, /, ref: str, path: str) -> None:
    """Copy one into a directory of yours, which this root will know again."""
    handles, place = open_engine().checkpoints, _place(ref)
    made = handles.load(place) if isinstance(place, Path) else handles.get(ref)
    click.echo(made.export(path))


@checkpoints.command()
@click.argument("path", metavar="DIR")
@click.argument("name")
@_engine
def load(open_engine: _Open, /, path: str, name: str) -> None:
    """Store a copy of what export has made, under a name."""
    click.echo(open_engine().checkpoints.load(path, ref=name).ref)
