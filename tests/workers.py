"""`cin serve --workers N` for tests: the supervisor, its workers by seat, and what can be done to them."""

import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.postgres import Postgres
from tests.server import SERVE, Server, wait_until

_PROCESSES = re.compile(r'"worker": (\d+), "pid": (\d+), "event": "worker_started"')


@contextmanager
def postgres_running() -> Iterator[Postgres]:
    """A PostgreSQL server, until the end of the block."""
    with TemporaryDirectory(prefix="cin-pg-") as folder:  # the name of a socket must be short
        running = Postgres(Path(folder))
        try:
            yield running
        finally:
            running.stop()


class Workers(Server):
    """A server of several processes on a PostgreSQL database."""

    def __init__(self, folder: Path, database_url: str, workers: int, **settings: str) -> None:
        given = {"log_format": "json", "index_folder": str(folder / "index"), **settings}
        super().__init__(folder, program=SERVE, database_url=database_url, workers=str(workers), **given)
        self.workers = workers

    def kill(self) -> None:
        """SIGKILL to the supervisor, and wait until its workers are gone, too."""
        pids = self.started()
        super().kill()
        for pid in pids:
            wait_until(lambda pid=pid: not is_alive(pid), 20, f"the end of worker {pid}")  # type: ignore[misc]

    def started(self) -> list[int]:
        """The processes of all workers there ever were, the first one first."""
        log = self.log.read_text() if self.log.exists() else ""
        return [int(pid) for _, pid in _PROCESSES.findall(log)]

    def processes(self) -> dict[int, int]:
        """The process that was started last in each seat."""
        return {int(seat): int(pid) for seat, pid in _PROCESSES.findall(self.log.read_text())}

    def kill_worker(self, seat: int) -> None:
        os.kill(self.processes()[seat], signal.SIGKILL)

    def wait_until_all_serve(self) -> None:
        """Asked seldom: all of them make a report each time, and those that start have better things to do."""
        wait_until(self.all_serve, 60, f"{self.workers} workers", every_seconds=0.1)

    def all_serve(self) -> bool:
        with suppress(OSError, HTTPException):
            _, up = self.ask("/metrics")
            return all(f'cin_worker_up{{worker="{seat}"}} 1.0' in up for seat in range(self.workers))
        return False

    def roll(self) -> None:
        """SIGHUP."""
        os.kill(self.pid, signal.SIGHUP)

    def said(self, event: str) -> int:
        """How often the supervisor or a worker has logged an event."""
        return self.log.read_text().count(f'"event": "{event}"')


def is_alive(pid: int) -> bool:
    """Whether there is such a process; one that has ended and that nobody has asked for its code is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
