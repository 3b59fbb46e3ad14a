"""`cin capture`: write one skill down from the command line."""

import sys
from typing import Annotated

import msgspec
import typer

from app.cli.edge import DONE, command, usage
from app.cli.options import Agent, AsJson, Url, examples
from app.client import Captured, Client
from app.skills.plain_text import plain

EXAMPLES = examples(
    "cin capture --error-type ImportError --pattern \"No module named 'django'\" --resolution 'pip install django'",
    "echo 'Stop the other server first.' | cin capture --pattern EADDRINUSE --resolution - --tag node --tag ports",
    "cin capture --description 'CI runs out of disk' --resolution 'docker system prune -f' --json",
)


@command
def capture(
    resolution: Annotated[str, typer.Option(help="What to do; `-` reads it from standard input.")],
    pattern: Annotated[str | None, typer.Option(help="Text that stands in the message when the skill applies.")] = None,
    description: Annotated[str | None, typer.Option(help="What the trouble is, in a sentence.")] = None,
    error_type: Annotated[str | None, typer.Option(help="The kind of error, such as ImportError.")] = None,
    context: Annotated[str | None, typer.Option(help="Where it was learned, when it does not apply.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="A tag; may be given several times.")] = None,
    name: Annotated[str | None, typer.Option(help="A slug; made from the content if left out.")] = None,
    metadata: Annotated[str | None, typer.Option(help="A JSON object.", metavar="JSON")] = None,
    as_json: AsJson = False,
    agent: Agent = None,
    url: Url = None,
) -> int:
    """Write a skill down: when you see --pattern, --description, --error-type, do --resolution.

    One of --pattern and --description is needed. A skill that the network knows already is counted, not doubled.
    """
    extra = _metadata(metadata)
    with Client(url, agent=agent) as cin:
        captured = cin.capture(
            resolution=sys.stdin.read() if resolution == "-" else resolution,
            pattern=pattern,
            description=description,
            error_type=error_type,
            context=context,
            tags=tag or [],
            name=name,
            metadata=extra,
        )
    typer.echo(msgspec.json.encode(captured) if as_json else _line(captured))
    return DONE


def add_to(app: typer.Typer) -> None:
    app.command("capture", short_help="Write one skill down.", epilog=EXAMPLES)(capture)


def _line(captured: Captured) -> str:
    skill = captured.skill
    what = "captured" if captured.created else f"known, captured {skill.captures} times"
    return plain(f"{what}: {skill.name} (id {skill.id}, position {captured.position})")


def _metadata(text: str | None) -> dict[str, object] | None:
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=dict[str, object])
    except msgspec.DecodeError as error:
        usage(f"--metadata must be a JSON object: {error}.")
