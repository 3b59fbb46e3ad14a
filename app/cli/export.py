"""`cin export`: all active skills of a network as one file that `cin import` reads."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO

import msgspec
import typer
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

from app.cli.edge import DONE, command, note
from app.cli.options import Url, examples
from app.client import Client, Skill


@command
def export(
    file: Annotated[str, typer.Argument(help="Where to write; `-` is standard output.")] = "-",
    ndjson: Annotated[bool, typer.Option("--ndjson", help='One skill per line instead of {"skills":[...]}.')] = False,
    url: Url = None,
) -> int:
    """Write all active skills, newest first, as JSON that `cin import` reads.

    FILE appears when it is complete; an export that fails leaves an older one as it was.
    """
    with Client(url) as cin, _destination(file) as out:
        count = _write(_counted(cin.list(sort="newest")), out, ndjson)
    note(f"exported {count}")
    return DONE


def add_to(app: typer.Typer) -> None:
    lines = ("cin export skills.json", "cin export --ndjson - | head -n 1")
    told = "Write all active skills to a file that import reads."
    app.command("export", short_help=told, epilog=examples(*lines))(export)


def _write(skills: Iterator[Skill], out: BinaryIO, ndjson: bool) -> int:
    count = 0
    out.write(b"" if ndjson else b'{"skills":[')
    for skill in skills:
        out.write(b"\n" if ndjson and count else b",\n" if count else b"" if ndjson else b"\n")
        out.write(msgspec.json.encode(skill))
        count += 1
    out.write((b"\n" if count else b"") if ndjson else b"\n]}\n")
    return count


@contextmanager
def _destination(file: str) -> Iterator[BinaryIO]:
    if file == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    path = Path(file)
    growing = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with growing.open("wb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        os.replace(growing, path)
    finally:
        growing.unlink(missing_ok=True)


def _counted(skills: Iterator[Skill]) -> Iterator[Skill]:
    """The skills, with a count on a terminal's standard error as they pass."""
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("exporting"), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield from progress.track(skills, total=None)
