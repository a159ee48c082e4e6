# SPDX-License-Identifier: Apache-2.0
"""The command line: each command is a call or two of the library.

Exit status: the process's own; 124 when it ran out of time, 125 for an error of ctrd's, 126 and 127 when the program
cannot be run or is not there, 130 after Ctrl-C.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, NoReturn, TypeVar

import click

from . import _cli_checkpoint, _shim
from . import _cli_show as show
from ._attach import DETACH_KEYS
from ._cli_garbage import explain, gc, lease, prune
from ._cli_snapshot import snapshot
from ._container import Container
from ._core import __version__
from ._engine import Engine
from ._mounts import ImageLike, Rootfs, Snapshot
from ._types import DEVNULL, LOG, PIPE, Status
from ._values import ExitStatus
from .errors import (
    ContainerNotFound,
    Error,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PathNotFound,
    PermissionDenied,
    Timeout,
)

_F = TypeVar("_F", bound=Callable[..., Any])
_PASS = {"allow_interspersed_args": False}  # what follows is the command's own


class _Group(click.Group):
    """Says what went wrong in one line, and ends with a status that tells which kind."""

    def invoke(self, context: click.Context) -> Any:
        """Run a command."""
        try:
            return super().invoke(context)
        except Error as error:
            hint = f"\nhint: {error.hint}" if error.hint else ""
            click.echo(f"ctrd: {error}{hint}", err=True)
            sys.exit(_status_of(error))
        except (TypeError, ValueError) as error:
            click.echo(f"ctrd: {error}", err=True)
            sys.exit(125)
        except KeyboardInterrupt:
            sys.exit(130)


def _status_of(error: Error) -> int:
    if isinstance(error, Timeout):
        return 124
    if isinstance(error, PathNotFound):
        return 127
    return 126 if isinstance(error, PermissionDenied) else 125


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--root", envvar="CTRD_ROOT", help="Where records and layers are [/var/lib/ctrd].")
@click.option("--state", envvar="CTRD_STATE", help="Where what runs is [/run/ctrd/...].")
@click.option("--namespace", "-n", envvar="CTRD_NAMESPACE", default="default", help="Which containers.")
@click.version_option(__version__, prog_name="ctrd")
@click.pass_context
def cli(context: click.Context, root: str | None, state: str | None, namespace: str) -> None:
    """Containers without a daemon."""
    context.obj = lambda: context.with_resource(Engine(root, state=state, namespace=namespace))


def _add(*options: Callable[[_F], _F]) -> Callable[[_F], _F]:
    def decorate(function: _F) -> _F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


_how = _add(
    click.option("--interactive", "-i", is_flag=True, help="Give it this input."),
    click.option("--tty", "-t", is_flag=True, help="Give it a terminal."),
    click.option("--env", "-e", multiple=True, metavar="NAME=VALUE", help="A variable of its environment."),
    click.option("--workdir", "-w", metavar="DIR", help="Where it starts, in the container."),
    click.option("--user", "-u", metavar="USER[:GROUP]", help="Who it is, by name or number."),
    click.option("--timeout", type=float, metavar="SECONDS", help="Kill it after that time."),
)
_leaving = click.option(
    "--detach-keys", default=DETACH_KEYS, show_default=True, help="What to type, with -it, to leave it running."
)
_made_of = _add(
    click.option("--rootfs", metavar="DIR", help="A root directory, in place of an image."),
    click.option("--snapshot", metavar="NAME", help="A snapshot, in place of an image."),
    click.option("--snapshotter", help="overlay or native."),
    click.option("--name", metavar="ID", help="Its name; one is made up otherwise."),
    click.option("--hostname"),
    click.option("--label", "-l", multiple=True, metavar="KEY=VALUE"),
    click.option("--volume", "-v", multiple=True, metavar="SRC:DST[:ro]", help="A directory or file of the host."),
    click.option("--read-only", is_flag=True, help="Its root is not to be written to."),
    click.option("--network", type=click.Choice(["none", "host"]), help="[none]"),
    click.option("--memory", "-m", metavar="SIZE", help="As 512M."),
    click.option("--cpus", type=float),
    click.option("--pids", type=int),
    click.option("--runtime", help="crun, runc, a path."),
)
_command = click.argument("command", nargs=-1, type=click.UNPROCESSED)
_engine = click.pass_obj
_ids = click.argument("ids", nargs=-1, required=True, metavar="CONTAINER...")
_id = click.argument("id", metavar="CONTAINER")


def _given(**options: Any) -> Any:
    """Those that were given."""
    return {name: value for name, value in options.items() if value not in (None, (), False)}


def _process(tty: bool, env: tuple[str, ...], workdir: str | None, user: str | None) -> dict[str, Any]:
    return dict(_given(tty=show.size() if tty else None, env=show.pairs("env", env), cwd=workdir, user=user))


def _container(options: Mapping[str, Any]) -> dict[str, Any]:
    """CreateOptions of those of _made_of and _how."""
    process = _process(options["tty"], options["env"], options["workdir"], options["user"])
    more = _given(
        id=options["name"], labels=show.pairs("label", options["label"]), mounts=options["volume"],
        **{name: options[name] for name in ("hostname", "read_only", "network", "memory", "cpus", "pids", "runtime",
                                                "snapshotter")},
    )  # fmt: skip
    return {**process, **more}


def _image(options: Mapping[str, Any], command: tuple[str, ...]) -> tuple[ImageLike, tuple[str, ...]]:
    rootfs, snapshot = options["rootfs"], options["snapshot"]
    if rootfs is not None and snapshot is not None:
        raise click.UsageError("--rootfs or --snapshot, not both")
    if rootfs is not None:
        return Rootfs(rootfs), command
    if snapshot is not None:
        return Snapshot(snapshot), command
    if not command:
        raise click.UsageError("name an image, or --rootfs DIR, or --snapshot NAME")
    return command[0], command[1:]


def _find(engine: Engine, id: str) -> Container:
    """By its name, or the beginning of it if that is one's alone."""
    try:
        return engine.containers.get(id)
    except (ContainerNotFound, InvalidArgument):
        found = [one for one in engine.containers if one.startswith(id)] if id else []
        if len(found) > 1:
            raise NotFound(
                f"{id!r} begins the names of {len(found)} containers: {', '.join(sorted(found)[:5])}"
            ) from None
        if not found:
            raise
        return engine.containers.get(found[0])


def _keys(options: Mapping[str, Any]) -> str:
    """What ends an attach; "" if nothing does: of input that nobody types every byte is the process's."""
    return options["detach_keys"] if options["interactive"] and options["tty"] and show.typed_at() else ""


def _leave(status: ExitStatus | None, timeout: float | None = None) -> NoReturn:
    if status is None:
        sys.exit(0)
    if status.output_cut:
        click.echo(f"ctrd: {_CUT}", err=True)
    if status.timed_out:
        raise Timeout("it was killed at its limit of time" if timeout is None else f"it was killed after {timeout} s")
    sys.exit(int(status))


_CUT = "the end of its output was cut: it was read too slowly, or something that it left behind still held it open"


@cli.command(context_settings=_PASS)
@_made_of
@_how
@_leaving
@_command
@_engine
def run(open_engine: Callable[[], Engine], /, command: tuple[str, ...], **options: Any) -> None:
    """Run a command in a new container, which is gone afterwards.

    `ctrd run -it --rootfs DIR sh` is a shell.
    """
    image, args = _image(options, command)
    engine = open_engine()
    with engine.containers.create(image, *args, **_container(options)) as c:
        stdin = PIPE if options["interactive"] else DEVNULL
        keys = _keys(options)
        output = LOG if keys else PIPE  # whoever detaches may come back
        task = show.start(c, stdin, options["timeout"], output=output)
        status = show.attach(task, keys, interactive=options["interactive"])
        if status is None:
            c.detach()
            c._made_here = False
            click.echo(c.id, err=True)
    _leave(status, options["timeout"])


@cli.command(context_settings=_PASS)
@_made_of
@_how
@_command
@_engine
def start(open_engine: Callable[[], Engine], /, command: tuple[str, ...], **options: Any) -> None:
    """Start a new container in the background, or one that has ended.

    `ctrd start --rootfs DIR sleep 60` makes one; `ctrd start NAME` starts it again, with -i and --timeout only.
    It stays until `ctrd rm`.
    """
    engine = open_engine()
    stdin = PIPE if options["interactive"] else DEVNULL
    if options["rootfs"] is None and options["snapshot"] is None and len(command) == 1:
        _refuse_for_old_ones(options)
        c = _find(engine, command[0])
        show.start(c, stdin, options["timeout"], again=True)
    else:
        image, args = _image(options, command)
        c = engine.containers.create(image, *args, lifetime="detached", **_container(options))
        try:
            show.start(c, stdin, options["timeout"])
        except BaseException:
            c._end_quietly()
            raise
    click.echo(c.id)


def _refuse_for_old_ones(options: Mapping[str, Any]) -> None:
    given = [name for name in _given(**options) if name not in ("interactive", "timeout")]
    if given:
        names = ", ".join("--" + name.replace("_", "-") for name in given)
        raise click.UsageError(f"{names}: it is made already; `ctrd start NAME` takes only -i and --timeout")


@cli.command()
@click.option("--all", "-a", "everything", is_flag=True, help="Also those that do not run.")
@click.option("--filter", "-f", "filters", multiple=True, help="labels.app==web,id~=^w; several are 'or'.")
@click.option("--quiet", "-q", is_flag=True, help="Names only.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@_engine
def ps(
    open_engine: Callable[[], Engine], /, everything: bool, filters: tuple[str, ...], quiet: bool, as_json: bool
) -> None:
    """List containers."""
    status: tuple[Status, ...] | None = None if everything else ("created", "running", "pausing", "paused")
    rows = open_engine().containers.list(*filters, status=status)
    if quiet:
        click.echo("".join(f"{row.id}\n" for row in rows), nl=False)
    elif as_json:
        show.json_lines(rows)
    else:
        show.containers(rows)


@cli.command("exec", context_settings=_PASS)
@_how
@_leaving
@_id
@_command
@_engine
def exec_(open_engine: Callable[[], Engine], /, id: str, command: tuple[str, ...], **options: Any) -> None:
    """Run a command inside a container.

    `ctrd exec -it NAME sh` is a shell.
    """
    c = _find(open_engine(), id)
    process = _process(options["tty"], options["env"], options["workdir"], options["user"])
    stdin = PIPE if options["interactive"] else DEVNULL
    p = c.exec(*command, text=False, stdin=stdin, **_given(timeout=options["timeout"]), **process)
    try:
        status = show.attach(p, _keys(options), interactive=options["interactive"])
        if status is not None:
            with suppress(NotFound, FailedPrecondition):  # it went with its container
                status = p.delete()  # that knows whether output was cut
    except BaseException:
        p.__exit__()
        raise
    _leave(status, options["timeout"])


@cli.command()
@click.option("--follow", "-f", is_flag=True, help="Go on until it ends.")
@click.option("--tail", type=int, metavar="N", help="Only the last N lines.")
@click.option("--since", type=click.DateTime(["%Y-%m-%dT%H:%M:%S", "%Y-%m-%d"]), help="What came then and later.")
@click.option("--timestamps", "-t", is_flag=True, help="When each line came.")
@_id
@_engine
def logs(
    open_engine: Callable[[], Engine],
    /,
    id: str,
    follow: bool,
    tail: int | None,
    since: datetime | None,
    timestamps: bool,
) -> None:
    """Show what a container printed: its stdout on stdout, its stderr on stderr."""
    when: int | datetime | None = since.astimezone() if since is not None else 0 if follow and tail is None else None
    with _find(open_engine(), id).logs(follow=follow, tail=tail, since=when) as lines:
        for line in lines:
            begin = f"{line.time.isoformat()} " if timestamps else ""
            click.echo(f"{begin}{line.text}", err=line.stream == "stderr", nl=not line.partial)


@cli.command()
@click.option("--detach-keys", default=DETACH_KEYS, show_default=True, help="What to type to leave it running.")
@_id
@_engine
def attach(open_engine: Callable[[], Engine], /, id: str, detach_keys: str) -> None:
    """Connect this terminal to a container's first process."""
    _leave(_find(open_engine(), id).attach(detach_keys=detach_keys))


@cli.command()
@click.option("--grace", "-t", type=float, default=10.0, show_default=True, help="Seconds before it is killed.")
@click.option("--signal", "-s", help="What to ask with [SIGTERM].")
@_ids
@_engine
def stop(open_engine: Callable[[], Engine], /, ids: tuple[str, ...], grace: float, signal: str | None) -> None:
    """Ask containers to end, and kill those that do not."""
    engine = open_engine()
    for id in ids:
        c = _find(engine, id)
        c.stop(grace=grace, signal=signal)
        click.echo(c.id)


@cli.command()
@click.option("--force", "-f", is_flag=True, help="End those that run first.")
@_ids
@_engine
def rm(open_engine: Callable[[], Engine], /, ids: tuple[str, ...], force: bool) -> None:
    """Delete containers with their layers and logs."""
    engine = open_engine()
    for id in ids:
        c = _find(engine, id)
        c.delete(force=force)
        click.echo(c.id)


@cli.command()
@_engine
def doctor(open_engine: Callable[[], Engine], /) -> None:
    """Say what this machine has and lacks."""
    report = open_engine().doctor()
    show.checks(report)
    sys.exit(0 if report.ok else 1)


@cli.command()
@click.option("--repair", is_flag=True, help="Mend what can be mended.")
@click.option("--verify", is_flag=True, help="Read all blobs and checkpoints, for their digests.")
@_engine
def fsck(open_engine: Callable[[], Engine], /, repair: bool, verify: bool) -> None:
    """Compare the records with what is on the disk."""
    report = open_engine().fsck(repair=repair, verify=verify)
    click.echo("".join(f"{problem}\n" for problem in report.problems), nl=False)
    sys.exit(0 if report.ok else 1)


for _one in (snapshot, lease, prune, gc, explain):
    cli.add_command(_one)
_cli_checkpoint.add_to(cli, _find)


@cli.group(cls=_Group)
def shim() -> None:
    """The program that runs a task, under containerd."""


_FOR_CONTAINERD = """\
containerd finds it if {directory} is in its PATH, or is where the program containerd is, and runs tasks with it whose
runtime is io.containerd.ctrd.v2: ctr run --runtime io.containerd.ctrd.v2 ... Without options it uses the OCI runtime
CTRD_RUNTIME of containerd's environment, else runc."""


@shim.command("install")
@click.option("--dir", "directory", required=True, metavar="DIR", help="Where to, as /usr/local/bin.")
def shim_install(directory: str) -> None:
    """Put it where containerd finds it."""
    made = _shim.install(directory)
    click.echo(made)
    click.echo(_FOR_CONTAINERD.format(directory=made.parent), err=True)
