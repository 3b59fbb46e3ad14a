"""CIN as it is set up for some number of processes, on SQLite or on PostgreSQL, with Redis or without, full of skills.

A database is filled once for each kind and size, and its index made; each setup gets a copy. PostgreSQL syncs
(`fsync = on`), as one does that is relied upon. Redis keeps nothing on disk.
"""

import asyncio
import itertools
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from benchmarks.running import Running, cin
from benchmarks.skills import fill_url
from benchmarks.usage import cpu_seconds, mebibytes
from tests.postgres import Postgres
from tests.server import Server, wait_until
from tests.valkey import Valkey

INDEXED_SECONDS = 120.0


@dataclass(frozen=True)
class Setup:
    """What an operator chooses."""

    processes: int = 1
    postgres: bool = False
    redis: bool = False

    @property
    def name(self) -> str:
        storage = "Postgres" if self.postgres else "SQLite"
        return f"{self.processes} x {storage}{' + Redis' if self.redis else ''}"


@dataclass(frozen=True)
class Fleet:
    """The processes that serve one network, and those that they rely on."""

    setup: Setup
    servers: list[Running]
    relied_upon: list[int]

    @property
    def ports(self) -> list[int]:
        return [server.port for server in self.servers]

    def answers(self) -> dict[str, float]:
        """Answers by the tier they came from, over all processes."""
        counted = {"local": 0.0, "shared": 0.0, "found": 0.0}
        for port in self.ports:
            for line in httpx.get(f"http://127.0.0.1:{port}/metrics").text.splitlines():
                if line.startswith("cin_answers_total{"):
                    counted[line.partition('tier="')[2].partition('"')[0]] += float(line.split()[1])
        return counted

    def durability(self) -> str:
        """What an answered capture has survived, in the server's words."""
        return str(httpx.get(f"http://127.0.0.1:{self.ports[0]}/info").json()["durability"])

    def cpu_seconds(self) -> tuple[float, float]:
        """Processor time of CIN, and of what it relies on."""
        return sum(server.cpu_seconds() for server in self.servers), sum(map(cpu_seconds, self.relied_upon))

    def mebibytes(self) -> tuple[float, float]:
        """Memory of CIN, and of what it relies on."""
        return sum(mebibytes(server.pid) for server in self.servers), sum(map(mebibytes, self.relied_upon))


class Setups:
    """Makes fleets, and what they rely on, until the end of the block."""

    def __enter__(self) -> Self:
        self._stack = ExitStack()
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="cin-bench-")))
        self._numbers = itertools.count(1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @contextmanager
    def serving(self, setup: Setup, skills: int) -> Iterator[Fleet]:
        """A fleet on a database of its own that holds so many skills."""
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cin-bench-")))
            settings = {"database_url": self._copy(setup, skills, folder), "index_folder": str(folder / "index")}
            relied_upon = [self._postgres.pid] if setup.postgres else []
            if setup.redis:
                redis = stack.enter_context(Valkey(folder))
                settings["redis_url"] = redis.url
                relied_upon.append(redis.pid)
            servers = [stack.enter_context(cin(**settings)) for _ in range(setup.processes)]
            yield Fleet(setup, servers, relied_upon)

    @cached_property
    def _postgres(self) -> Postgres:
        folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="cin-pg-"))
        postgres = Postgres(Path(folder), fsync=True)
        self._stack.callback(postgres.stop)
        return postgres

    def _copy(self, setup: Setup, skills: int, folder: Path) -> str:
        """The URL of a new database, its index beside it in `folder`."""
        kept = self._folder / f"{'postgres' if setup.postgres else 'sqlite'}_{skills}"
        if not kept.exists():
            self._fill(kept, skills, self._postgres.empty() if setup.postgres else f"sqlite:///{kept / 'cin.db'}")
        shutil.copytree(kept, folder, dirs_exist_ok=True)
        if not setup.postgres:
            return f"sqlite:///{folder / 'cin.db'}"
        template = (kept / "url").read_text().partition("?")[0].rpartition("/")[2]
        name = f"copy_{next(self._numbers)}"
        self._postgres.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        return self._postgres.url(name)

    def _fill(self, folder: Path, skills: int, url: str) -> None:
        """Write the skills, and let a server make and keep the index of them."""
        print(f"{skills:,} skills are written to {url.partition(':')[0]}", flush=True)
        folder.mkdir()
        (folder / "url").write_text(url)
        asyncio.run(fill_url(url, skills))
        server = Server(folder, database_url=url, index_folder=str(folder / "index"))
        try:
            with suppress(TimeoutError):  # an index of 100,000 skills may take longer than a server's start should
                server.start()
            wait_until(lambda: _is_ready(server.url), INDEXED_SECONDS, "the index")
            server.stop()
        finally:
            server.kill()


def _is_ready(url: str) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(f"{url}/readyz").status_code == 200
    return False
