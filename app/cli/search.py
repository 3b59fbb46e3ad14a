"""`cin search`: skills by words."""

from typing import Annotated

import msgspec
import typer

from app.cli.blocks import skill_block
from app.cli.edge import DONE, INCOMPLETE, command, note
from app.cli.options import AsJson, Url, examples
from app.client import Client

EXAMPLES = examples(
    "cin search missing module",
    "cin search missing module --error-type ImportError --sort confidence --limit 3",
    "cin search missing module --json",
)


@command
def search(
    words: Annotated[list[str], typer.Argument(help="What to look for, as it comes to mind.", metavar="WORD...")],
    tag: Annotated[str | None, typer.Option(help="Only skills with this tag.")] = None,
    error_type: Annotated[str | None, typer.Option(help="Only skills for this kind of error.")] = None,
    captured_by: Annotated[str | None, typer.Option(help="Only skills that this agent captured.")] = None,
    sort: Annotated[
        str, typer.Option(help="relevance (default), newest, usage or confidence.", show_default=False)
    ] = "relevance",
    limit: Annotated[
        int, typer.Option(min=1, help="The most skills to show; 10 unless given.", show_default=False)
    ] = 10,
    as_json: AsJson = False,
    url: Url = None,
) -> int:
    """Find skills by words, the most relevant first.

    Exits with 0 when something was found, 1 when nothing was, 2 in trouble.
    """
    rank = 0
    with Client(url) as cin:
        found = cin.search(" ".join(words), limit=limit, tag=tag, error_type=error_type, agent=captured_by, sort=sort)
        for rank, skill in enumerate(found, 1):
            typer.echo(msgspec.json.encode(skill) if as_json else skill_block(rank, skill))
    if not rank:
        note("Nothing found; fewer words may find more.")
    return DONE if rank else INCOMPLETE


def add_to(app: typer.Typer) -> None:
    app.command("search", short_help="Find skills by words.", epilog=EXAMPLES)(search)
