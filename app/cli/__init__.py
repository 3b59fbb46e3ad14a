"""The command `cin`: one file per sub-command. It speaks to a server over HTTP only, save `serve`, `migrate` and `copy`."""

from typing import Annotated

import typer

from app import __version__
from app.cli import agents, capture, export, import_, match, search, watch
from app.cli.edge import EXIT_CODES, command
from app.cli.options import AsJson, examples

app = typer.Typer(
    name="cin",
    help="Collective Intelligence Network: one agent finds the fix, all of them have it at once.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    rich_markup_mode=None,  # help and errors go to files and CI logs as well
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """The entry point of `cin`."""
    app(prog_name="cin")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"cin {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command(
    epilog=examples("cin serve --port 8005", "CIN_DATABASE_URL=sqlite:///./cin.db cin serve --host 0.0.0.0 --port 8005")
)
@command
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; CIN_HOST, else 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; CIN_PORT, else 8005.", max=65535, min=0)] = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes that serve together; CIN_WORKERS, else 1.", max=256, min=1)
    ] = None,
) -> int:
    """Run the server until SIGTERM or Ctrl-C. Settings are CIN_* environment variables.

    More than one worker needs PostgreSQL. SIGHUP then replaces all of them, one after the other.
    """
    from app.cli.serve import serve as run  # the server's libraries take a second to import; only this needs them

    return run(host, port, workers)


@app.command(
    short_help="Bring the database up to date.",
    epilog=examples("cin migrate", "CIN_DATABASE_URL=sqlite:///./cin.db cin migrate"),
)
@command
def migrate(
    restored: Annotated[
        bool, typer.Option("--restored", help="The database comes from a backup: give its log a new epoch.")
    ] = False,
) -> int:
    """Bring the database of CIN_DATABASE_URL to this program's version, then exit. `cin serve` does so as well."""
    from app.cli.migrate import migrate as run  # as above

    return run(restored=restored)


@app.command(
    short_help="Move everything to another database.",
    epilog=examples(
        "cin copy --from sqlite:///./cin.db --to postgresql://cin:secret@db.example.com/cin",
        "cin copy --from postgresql://cin:secret@db.example.com/cin --to sqlite:///./cin.db",
    ),
)
@command
def copy(
    source: Annotated[str, typer.Option("--from", metavar="URL", help="The database to read. It is not changed.")],
    target: Annotated[str, typer.Option("--to", metavar="URL", help="An empty database, or a file that is not there.")],
    as_json: AsJson = False,
) -> int:
    """Copy a database as it is into another one: SQLite into PostgreSQL, back, or either into its like.

    Skills and their versions, outcomes and votes, the log with its offsets and its epoch, agents with what they have
    acknowledged, and idempotency keys: agents go on from the very position they had. Stop the server first. At the end
    all rows are compared, by number and checksum; a difference is named, and the exit code is 1.

    A copy that was interrupted, by whatever, goes on where it was when the same command is given again; until then no
    server starts on it. If the source has changed meanwhile the copy begins anew.
    """
    from app.cli.copy import copy as run  # as above

    return run(source, target, as_json=as_json)


capture.add_to(app)
match.add_to(app)
search.add_to(app)
watch.add_to(app)
import_.add_to(app)
export.add_to(app)
agents.add_to(app)
