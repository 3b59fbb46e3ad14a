"""A server that is moved to another database by `cin copy` while agents are about, and what those agents saw of it."""

import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from typing import Final

from app.client import Client, Reset
from tests.server import Server

_PAUSE: Final = "pause-of-the-move"
_END: Final = "end-of-the-move"
_WAIT_SECONDS: Final = 120.0


@dataclass(frozen=True)
class Move:
    """Positions in the order in which skills were captured, and in which two agents got them.

    The live agent has one subscription from begin to end. The sleeping one leaves after the first third, and comes back to
    the new server with nothing but its name.
    """

    captured: list[str]
    live: list[str]
    asleep: list[str]
    copied: subprocess.CompletedProcess[str]
    copy_seconds: float
    away_seconds: float

    @property
    def is_seamless(self) -> bool:
        """Nothing missed, nothing twice, nothing out of order, and one epoch."""
        epochs = {position.rpartition("-")[0] for position in self.captured}
        return self.captured == self.live == self.asleep and len(epochs) == 1


def move(server: Server, source: str, target: str, *, captures: int) -> Move:
    """Move a running server from `source` to `target`, with so many captures in each third: early, before and after."""
    with Client(server.url, tries=8) as cin:
        for name in ("live", "asleep"):
            cin.register(name)
        live, early = _Agent(server.url, "live", _END), _Agent(server.url, "asleep", _PAUSE)
        captured = _capture(cin, "early", captures, last=_PAUSE)
        early.join()
        captured += _capture(cin, "before", captures)
        gone_at = time.monotonic()
        assert server.stop() == 0
        copied, copy_seconds = copy(source, target)
        assert copied.returncode == 0, copied.stderr
        server.start(database_url=target)
        away_seconds = time.monotonic() - gone_at
        captured += _capture(cin, "after", captures, last=_END)
        late = _Agent(server.url, "asleep", _END)
        late.join()
        live.join()
    return Move(captured, live.seen, early.seen + late.seen, copied, copy_seconds, away_seconds)


def copy(source: str, target: str) -> tuple[subprocess.CompletedProcess[str], float]:
    """`cin copy`, and how many seconds it took."""
    began_at = time.monotonic()
    ended = subprocess.run(copy_command(source, target), capture_output=True, text=True, env=clean_environment())
    return ended, time.monotonic() - began_at


def copy_command(source: str, target: str) -> list[str]:
    return [sys.executable, "-m", "app.cli", "copy", "--from", source, "--to", target]


def clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("CIN_")}


class _Agent:
    """Subscribes by its name alone until it has seen the skill `last`."""

    def __init__(self, url: str, name: str, last: str) -> None:
        self.seen: list[str] = []
        self._thread = threading.Thread(target=self._follow, args=(url, name, last), daemon=True)
        self._thread.start()

    def join(self) -> None:
        self._thread.join(_WAIT_SECONDS)
        if self._thread.is_alive():
            raise TimeoutError(f"the agent has seen {len(self.seen)} events, and waits for more")

    def _follow(self, url: str, name: str, last: str) -> None:
        with Client(url) as cin, cin.subscribe(agent=name) as events:
            for item in events:
                if isinstance(item, Reset):
                    self.seen.append(f"reset: {item.reason}")
                    continue
                self.seen.append(item.id)
                if item.skill.name == last:
                    events.done()
                    return


def _capture(cin: Client, word: str, count: int, *, last: str | None = None) -> list[str]:
    names = [f"{word}-{number}" for number in range(count - 1)] + [last or f"{word}-last"]
    return [str(cin.capture(name=name, pattern=name, resolution="Do it.").position) for name in names]
