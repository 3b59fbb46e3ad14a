"""`cin copy`: everything from one database into another, compared row by row at the end."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict

import orjson
import typer

from app.cli.edge import DONE, INCOMPLETE, TROUBLE, complain, note
from app.cli.progress import progress
from app.errors import StartupError
from app.storage.copy.copier import Copied, Copier
from app.storage.copy.ends import Source, Target, open_source, open_target, refuse_same_file
from app.storage.copy.rows import show


def copy(source_url: str, target_url: str, *, as_json: bool) -> int:
    """Returns the exit code: 0, 1 if something differs at the end, or 2 when it cannot, said in a sentence."""
    try:
        with ExitStack() as stack:
            with _called("--from"):
                refuse_same_file(source_url, target_url)
                source = stack.enter_context(open_source(source_url))
            with _called("--to"):
                target = stack.enter_context(open_target(target_url))
            return _copy(source, target, as_json=as_json)
    except StartupError as error:
        complain(error.detail)
        return TROUBLE


def _copy(source: Source, target: Target, *, as_json: bool) -> int:
    copier = Copier(source, target, progress, note)
    try:
        copied = copier.run()
    except KeyboardInterrupt:
        note(f"stopped; {target.name} is unfinished, and the same command goes on from there")
        raise
    (_show_json if as_json else _show)(copied)
    if copier.whole:
        note(f"All of {source.name} is in {target.name}, row by row. Next: start CIN with CIN_DATABASE_URL set to it.")
        return DONE
    _complain(copier, copied)
    return INCOMPLETE


def _show(copied: list[Copied]) -> None:
    for table in copied:
        typer.echo(f"{table.table:16} {table.rows:>10,} rows  sha256 {table.checksum}")


def _show_json(copied: list[Copied]) -> None:
    sys.stdout.buffer.write(b"".join(orjson.dumps(asdict(table)) + b"\n" for table in copied))


def _complain(copier: Copier, copied: list[Copied]) -> None:
    for table in copied:
        if table.differs_at is not None:
            complain(
                f"{table.table} differs: {table.rows:,} rows to copy and {table.rows_there:,} there; the first row that is "
                f"not the same has the key {show(table.differs_at)}."
            )
    if copier.moved:
        complain("Somebody wrote to the source meanwhile. Stop every process that uses it.")
    complain("The copy cannot be used. Give the same command again; it begins anew.")


@contextmanager
def _called(option: str) -> Iterator[None]:
    """Sentences about the one database of the server name the option that gave this one."""
    try:
        yield
    except StartupError as error:
        raise StartupError(error.detail.replace("CIN_DATABASE_URL", option)) from error
