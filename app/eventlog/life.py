"""The life of a network's log, as one process serves it: when it has ended, everything made from it is made anew.

A life ends when its epoch has been replaced, when a standby was promoted that may lack the newest events, or when the log
has become shorter than this process knows it.
"""

import asyncio

import structlog
from sqlalchemy import Connection

from app.errors import Unavailable
from app.eventlog.bounds import Bounds
from app.eventlog.events import read_bounds
from app.eventlog.network import Network

log = structlog.get_logger(__name__)


class Life:
    """One network's log, from when this process begins to serve it. `followed` is the newest offset that it knows of,
    and `counted` the newest change of counters.

    Made on the event loop; `end` may be called from any thread.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self.followed = 0
        self.counted = 0
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()

    @property
    def has_ended(self) -> bool:
        return self._ended.is_set()

    @property
    def known(self) -> Bounds:
        """The least that the log must be, whoever opens it next."""
        return Bounds(self.network.epoch, self.followed, 0, self.counted)

    async def ended(self) -> None:
        """Wait for the end."""
        await self._ended.wait()

    def follow(self, offset: int, counted: int = 0) -> None:
        """This process has seen an offset, and a change of counters."""
        self.followed = max(self.followed, offset)
        self.counted = max(self.counted, counted)

    def check(self, bounds: Bounds, followed: int) -> None:
        """Raises `Unavailable`, and ends the life, if these are not its bounds. `followed` is from before they were read."""
        if bounds.epoch != self.network.epoch:
            raise self.end(f"its epoch is {bounds.epoch} now")
        if bounds.head < followed:
            raise self.end(f"its head is {bounds.head}, and was {followed}")

    def end(self, why: str) -> Unavailable:
        """End it; returns what a caller is told."""
        self._loop.call_soon_threadsafe(self._end, why)
        return Unavailable("The log has begun a new life, which this process is taking up. Try again in a moment.")

    def leave(self) -> None:
        """End it because the server stops."""
        self._ended.set()

    def _end(self, why: str) -> None:
        if not self.has_ended:
            log.error("life_ended", epoch=self.network.epoch, why=why, next="the log is opened anew, streams reconnect")
        self._ended.set()


class LeastSight:
    """The least that one read may see, and what it saw: all that this process knew of the log when it was asked for."""

    def __init__(self, life: Life) -> None:
        self._life = life
        self._least = life.known
        self.seen: Bounds | None = None

    def look(self, connection: Connection) -> bool:
        self.seen = read_bounds(connection, self._life.network.id)
        return (
            self.seen.epoch == self._least.epoch
            and self.seen.head >= self._least.head
            and self.seen.counts >= self._least.counts
        )

    def keep(self) -> None:
        if self.seen is not None and self.seen.epoch == self._least.epoch:
            self._life.follow(self.seen.head, self.seen.counts)

    @property
    def lag(self) -> int:
        """How many events were missing in what was seen last."""
        return max(0, self._least.head - self.seen.head) if self.seen is not None else 0
