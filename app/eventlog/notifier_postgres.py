"""Wakes between processes by LISTEN and NOTIFY: a channel for each network, no payload, on two connections of their own.

A NOTIFY takes a lock of the whole server when it commits, so it is never part of what it tells of. What is said while one
is under way is said with the next. A connection that is lost, also in silence, is replaced; meanwhile followers poll.
"""

import asyncio
import os
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import psycopg
import structlog

from app.eventlog.notifier import LocalNotifier, Wake, hearing_and_telling
from app.storage.postgres_connection import parameters

log = structlog.get_logger(__name__)

CHECK_SECONDS = 3.0
"""Silence after which a connection that listens is asked whether it is still there."""

_ANSWER_SECONDS = 2.0
_LONGEST_PAUSE_SECONDS = 5.0

Connection = psycopg.AsyncConnection[Any]


@asynccontextmanager
async def open_postgres_notifier(url: str) -> AsyncIterator["PostgresNotifier"]:
    """A notifier that listens and tells until the end of the block. Opens, and without a server goes on trying."""
    notifier = PostgresNotifier(url)
    async with hearing_and_telling(notifier.hear(), notifier.tell()):
        yield notifier


class PostgresNotifier:
    """Wakes the followers of this process at once, and those of the others through the server."""

    def __init__(self, url: str) -> None:
        self._parameters = parameters(url, "CIN_WAKE_URL")
        self._local = LocalNotifier()
        self._networks: set[int] = set()
        self._untold: set[int] = set()
        self._moved = asyncio.Event()
        self._own_process: int | None = None
        self._hearing: asyncio.Timeout | None = None

    def wake(self, network_id: int) -> None:
        self._local.wake(network_id)
        self._untold.add(network_id)
        self._moved.set()

    def listen(self, network_id: int) -> Wake:
        if network_id not in self._networks:
            self._networks.add(network_id)
            if self._hearing is not None:
                self._hearing.reschedule(asyncio.get_running_loop().time())
        return self._local.listen(network_id)

    async def hear(self) -> None:
        """Wake the followers of this process when others say so, until cancelled."""
        await self._connected(self._hear, "wakes_not_heard")

    async def tell(self) -> None:
        """Tell the others, until cancelled."""
        await self._connected(self._tell, "wakes_not_told")

    async def _connected(self, work: Callable[[Connection], Awaitable[None]], trouble: str) -> None:
        """Do `work` on a connection for ever, and on a new one when that is lost."""
        failures = 0
        while True:
            began = asyncio.get_running_loop().time()
            try:
                async with await Connection.connect(
                    **self._parameters, autocommit=True, prepare_threshold=None
                ) as made:
                    await work(made)
            except (psycopg.Error, OSError) as error:
                lasted = asyncio.get_running_loop().time() - began > 2 * _LONGEST_PAUSE_SECONDS
                failures = 1 if lasted else failures + 1
                if failures == 1:
                    log.warning(
                        trouble, error=" ".join(str(error).split()), next="followers look at the log by themselves"
                    )
                pause = min(_LONGEST_PAUSE_SECONDS, 0.1 * 2 ** min(failures, 10))
                await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311  # so that not all come back at once

    async def _hear(self, connection: Connection) -> None:
        heard: set[int] = set()
        while True:
            for network_id in self._networks - heard:
                await _ask(connection, f"LISTEN {_channel(network_id)}")
                self._local.wake_from_elsewhere(network_id)  # what was said before nobody heard
            heard |= self._networks
            with suppress(TimeoutError):
                async with asyncio.timeout(CHECK_SECONDS) as self._hearing:
                    if not self._networks - heard:
                        await self._pass_on(connection)
            await _ask(connection, "SELECT 1")

    async def _pass_on(self, connection: Connection) -> None:
        networks = {_channel(network_id): network_id for network_id in self._networks}
        async for notification in connection.notifies():
            if notification.pid != self._own_process and notification.channel in networks:
                self._local.wake_from_elsewhere(networks[notification.channel])

    async def _tell(self, connection: Connection) -> None:
        self._own_process = connection.info.backend_pid
        while True:
            await self._moved.wait()
            self._moved.clear()
            telling, self._untold = self._untold, set()
            try:
                await _ask(connection, "; ".join(f"NOTIFY {_channel(network_id)}" for network_id in sorted(telling)))
            except psycopg.Error:
                self._untold |= telling
                self._moved.set()
                raise


def _channel(network_id: int) -> str:
    return f"cin_{network_id}"


async def _ask(connection: Connection, statement: str) -> None:
    """Run a statement; one that is not answered in time costs the connection. Raises `psycopg.Error`."""
    asking = asyncio.ensure_future(connection.execute(statement.encode()))
    try:
        await asyncio.wait({asking}, timeout=_ANSWER_SECONDS)
    finally:
        if not asking.done():
            # Not by cancelling it: psycopg would then ask the server, which does not answer, to cancel the statement.
            with socket.socket(fileno=os.dup(connection.fileno())) as handle, suppress(OSError):
                handle.shutdown(socket.SHUT_RDWR)
    await asking
