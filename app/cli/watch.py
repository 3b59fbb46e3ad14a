"""`cin watch`: skills as they are captured, on the terminal or into a program."""

import logging
import shlex
import shutil
import subprocess
from collections.abc import Callable
from typing import Annotated

import msgspec
import typer

from app.cli.edge import DONE, INCOMPLETE, command, complain, usage
from app.cli.options import Agent, Url, examples
from app.client import Client, Event, Reset, Subscription
from app.skills.plain_text import first_line, plain

EXAMPLES = examples(
    "cin watch --since earliest --count 1",
    "cin watch --since earliest --error-type ImportError --json --count 1",
    "cin watch --since earliest --agent builder --count 1 --exec 'tee -a learned.ndjson'",
    "cin watch --since earliest --position-file watch.position --event skill.captured --count 1",
)

Handler = Callable[[Event], bool]


@command
def watch(
    since: Annotated[
        str | None, typer.Option(help="now (default), earliest, an offset or a position.", show_default=False)
    ] = None,
    tag: Annotated[list[str] | None, typer.Option(help="Only skills with this tag; repeat for any of them.")] = None,
    error_type: Annotated[list[str] | None, typer.Option(help="Only this error type; repeat for any of them.")] = None,
    event: Annotated[
        list[str] | None,
        typer.Option(help="Only skill.captured, skill.revised or skill.retired; repeat for any of them."),
    ] = None,
    position_file: Annotated[str | None, typer.Option(help="Keep the place in this file and go on from it.")] = None,
    count: Annotated[int | None, typer.Option(min=1, help="End after this many events.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print each event as a line of JSON.")] = False,
    exec_: Annotated[
        str | None,
        typer.Option("--exec", metavar="CMD", help="Run CMD for each skill, its JSON on standard input; no shell."),
    ] = None,
    exec_stop: Annotated[
        bool, typer.Option("--exec-stop", help="End with 1 when CMD fails; that skill comes again next time.")
    ] = False,
    agent: Agent = None,
    url: Url = None,
) -> int:
    """Print each skill as it is captured, revised or retired, until interrupted.

    With --agent the server remembers what was dealt with, and the next watch goes on from there. A connection that is
    lost is made again, for ever. With --exec the commands run one after the other and an event is acknowledged when
    its command has ended; one that fails is reported with its exit code and passed over (and the exit code will be 1),
    unless --exec-stop is given.
    """
    handle: Handler = _print_json if as_json else _print_line
    if exec_ is not None:
        handle = _runner(exec_)
    _report_losses()
    with Client(url, agent=agent) as cin:
        subscription = cin.subscribe(
            since=since, position_file=position_file, tags=tag or [], error_types=error_type or [], events=event or []
        )
        with subscription:
            return _follow(subscription, handle, count, stop=exec_stop)


def add_to(app: typer.Typer) -> None:
    app.command("watch", short_help="Print skills as they come, or run a command for each.", epilog=EXAMPLES)(watch)


def _follow(subscription: Subscription, handle: Handler, count: int | None, *, stop: bool) -> int:
    code, seen = DONE, 0
    for item in subscription:
        if isinstance(item, Reset):
            complain(f"the place asked for is gone ({item.reason}): events may be missing; going on from {item.head}")
            continue
        if not handle(item):
            code = INCOMPLETE
            if stop:
                return code
        seen += 1
        if seen == count:
            subscription.done()
            return code
    return code


def _print_line(event: Event) -> bool:
    skill = event.skill
    parts = (event.at, str(event.offset), event.type, skill.error_type or "-", skill.name, first_line(skill.resolution))
    typer.echo(plain("  ".join(parts)))
    return True


def _print_json(event: Event) -> bool:
    typer.echo(msgspec.json.encode(event))
    return True


def _runner(line: str) -> Handler:
    """A handler that runs a command per skill; True when it exited with 0."""
    try:
        arguments = shlex.split(line)
    except ValueError as error:
        usage(f"--exec {line!r} cannot be split into words: {error}.")
    if not arguments or shutil.which(arguments[0]) is None:
        usage(f"--exec {line!r}: there is no such program; shell syntax needs `sh -c '...'`.")

    def run(event: Event) -> bool:
        ended = subprocess.run(arguments, input=msgspec.json.encode(event.skill) + b"\n", check=False)  # noqa: S603  # no shell, and the program is the user's choice
        if ended.returncode != 0:
            complain(f"{arguments[0]} ended with {ended.returncode} for {event.skill.name} (offset {event.offset})")
        return ended.returncode == 0

    return run


class _Losses(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        complain(record.getMessage())


def _report_losses() -> None:
    """The client logs each lost connection; a person watching should read of it."""
    logger = logging.getLogger("app.client")
    logger.addHandler(_Losses())
    logger.propagate = False
