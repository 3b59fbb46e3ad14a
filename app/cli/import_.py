"""`cin import`: skills from files into a network, each once, whatever interrupts it."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from app.cli.edge import DONE, INCOMPLETE, command, note
from app.cli.importer import Importer, failure_line
from app.cli.journal import Failure, Journal, Run
from app.cli.options import Agent, Url, examples
from app.cli.progress import progress
from app.cli.sources import find_sources, survey
from app.client import CINError, Client
from app.skills.plain_text import plain

EXAMPLES = examples(
    "cin import skills.json",
    "cin import folder/ more.ndjson --errors refused.ndjson",
    "cin export --ndjson | cin import --agent importer -",
)
_TRIES = 8  # a server that restarts is back within them


@command
def import_(
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="Files, folders, or `-` for standard input.")],
    errors: Annotated[
        Path | None, typer.Option(help="Write every entry that failed, with its reason, to this file as NDJSON.")
    ] = None,
    agent: Agent = None,
    url: Url = None,
) -> int:
    """Capture the skills of JSON files: {"skills":[...]}, an array, NDJSON, or a single skill.

    Of a folder its .json, .ndjson and .jsonl files are read, in the order of their names.

    Fields of a capture pass as they are; an empty text counts as absent. `captured_by` becomes the agent. `created`,
    `captures` above 1 and, for skills that were used, `usage_count` and `success_rate` are kept in metadata.imported; a
    new skill whose number of successes is known exactly (and that was used at most 1,000 times) also gets them as
    outcomes. success_rate is percent unless success_count stands beside it. id, network, version, position,
    confidence, failure_count and updated_at are made by each server for itself. An entry with any other field fails.

    An import that was interrupted goes on where it was when the same command is given again, within 24 hours, and
    counts nothing twice; its journal is in $XDG_STATE_HOME/cin/imports. One that had ended is a new one.
    """
    sources = find_sources(paths)
    looked = survey(sources)
    with Client(url, agent=agent, tries=_TRIES) as cin:
        _reach(cin.url)
        journal = Journal(looked.digest, cin.url)
        earlier = journal.load()
        run = earlier or Run()
        if earlier:
            note(
                f"an earlier import of the same was interrupted: going on after {run.entries} of {looked.total} entries"
            )
        located = chain.from_iterable(source.entries() for source in sources)
        try:
            with (
                _errors_file(errors, resumed=earlier is not None) as report,
                progress("importing", looked.total) as passed,
            ):
                journal.save(run)
                Importer(cin, journal, run, failed=report, passed=passed).send(located)
        except (CINError, OSError, KeyboardInterrupt):
            note(f"stopped after {run.entries} of {looked.total} entries; the same command goes on from there")
            raise
    _summarise(run, errors)
    return INCOMPLETE if run.failed or not looked.total else DONE


def add_to(app: typer.Typer) -> None:
    app.command("import", short_help="Capture the skills of JSON files.", epilog=EXAMPLES)(import_)


def _reach(url: str) -> None:
    """Say soon that nobody is there; the import itself is patient."""
    with Client(url, tries=2) as cin:
        cin.info()


def _summarise(run: Run, errors: Path | None) -> None:
    typer.echo(f"created {run.created}, known {run.known}, failed {run.failed}")
    if run.outcomes:
        typer.echo(f"outcomes told: {run.outcomes}")
    if run.usage_kept:
        typer.echo(f"usage kept in metadata only, for {run.usage_kept} (known already, not exact, or above 1,000 uses)")
    for failure in run.failures:
        typer.echo(plain(f"  {failure.where}: {failure.reason}"))
    more = run.failed - len(run.failures)
    if more:
        typer.echo(f"  and {more} more" + (f", all in {errors}" if errors else "; --errors FILE lists all"))


class _Report:
    def __init__(self, file: BinaryIO | None) -> None:
        self._file = file

    def __call__(self, failure: Failure) -> None:
        if self._file is not None:
            self._file.write(failure_line(failure))
            self._file.flush()


@contextmanager
def _errors_file(path: Path | None, *, resumed: bool) -> Iterator[_Report]:
    if path is None:
        yield _Report(None)
        return
    with path.open("ab" if resumed else "wb") as file:
        yield _Report(file)
