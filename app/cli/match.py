"""`cin match`: an error message or a whole build log in, skills that fix it out."""

from typing import Annotated

import msgspec
import typer

from app.cli.blocks import match_block
from app.cli.edge import DONE, INCOMPLETE, command, note
from app.cli.message import read_message
from app.cli.options import Agent, AsJson, Url, examples
from app.client import Client

EXAMPLES = examples(
    "cin match \"ImportError: No module named 'django'\"",
    "cin match --file build.log --limit 1",
    "make test 2>&1 | cin match",
    "make test 2>&1 | tee /dev/stderr | cin match --error-type ImportError --json",
)


@command
def match(
    message: Annotated[
        str | None, typer.Argument(help="The error message; after `--` if it begins with a dash.")
    ] = None,
    file: Annotated[str | None, typer.Option(help="Read the message from this file; `-` is standard input.")] = None,
    error_type: Annotated[str | None, typer.Option(help="The kind of error, where it is known.")] = None,
    limit: Annotated[
        int, typer.Option(min=1, help="The most matches to show; 5 unless given.", show_default=False)
    ] = 5,
    as_json: AsJson = False,
    agent: Agent = None,
    url: Url = None,
) -> int:
    """Find the skills that fix an error: MESSAGE, a file, or what is piped in.

    Of more than 8 MiB the end is matched. Exits with 0 when something was found, 1 when nothing was, 2 in trouble.
    """
    text = read_message(message, file)
    with Client(url, agent=agent) as cin:
        found = cin.match(text, error_type=error_type, limit=limit).matches
    for rank, each in enumerate(found, 1):
        typer.echo(msgspec.json.encode(each) if as_json else match_block(rank, each))
    if not found:
        note("Nothing found. When you have the fix, `cin capture` shares it.")
    return DONE if found else INCOMPLETE


def add_to(app: typer.Typer) -> None:
    app.command("match", short_help="Find the skills that fix an error message or a log.", epilog=EXAMPLES)(match)
