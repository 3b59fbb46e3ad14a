"""Options that several commands share, and how their help ends."""

from typing import Annotated

import typer

Url = Annotated[
    str | None,
    typer.Option("--url", envvar="CIN_URL", help="The server; http://127.0.0.1:8005 unless given.", show_default=False),
]
Agent = Annotated[
    str | None, typer.Option("--agent", envvar="CIN_AGENT", help="The agent to act as.", show_default=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, one value per line.")]


def examples(*commands: str) -> str:
    """The end of a command's help: lines that a reader can paste, and that the tests run."""
    return "\b\nExamples:\n" + "\n".join(f"  {command}" for command in commands)
