"""`cin agents`: who listens to the network, and how far each of them has come."""

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.cli.edge import DONE, INCOMPLETE, command, note
from app.cli.options import AsJson, Url, examples
from app.client import AgentStatus, Client
from app.skills.plain_text import plain

_WIDE = 1_000  # a pipe has no width to fold to


@command
def agents(as_json: AsJson = False, url: Url = None) -> int:
    """List the network's agents: capabilities, open connections, acknowledged position, lag in events, last seen.

    Exits with 1 when there are none.
    """
    with Client(url) as cin:
        known = cin.agents()
    if as_json:
        for agent in known:
            typer.echo(msgspec.json.encode(agent))
    elif known:
        console = Console(width=None if Console().is_terminal else _WIDE, highlight=False)
        console.print(_table(known))
    else:
        note("No agent has registered yet; one does so with `cin watch --agent NAME`.")
    return DONE if known else INCOMPLETE


def add_to(app: typer.Typer) -> None:
    app.command(
        "agents",
        short_help="List the agents and how far they have come.",
        epilog=examples("cin agents", "cin agents --json"),
    )(agents)


def _table(known: tuple[AgentStatus, ...]) -> Table:
    table = Table("agent", "capabilities", "connections", "acknowledged", "lag", "last seen", box=None, pad_edge=False)
    for agent in known:
        row = (
            agent.name,
            ", ".join(agent.capabilities),
            str(agent.connections),
            agent.acknowledged or "-",
            "-" if agent.lag is None else str(agent.lag),
            agent.last_seen_at or "-",
        )
        table.add_row(*(Text(plain(cell)) for cell in row))
    return table
