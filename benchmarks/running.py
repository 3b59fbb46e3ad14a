"""Starting what is measured: CIN and its baselines, as processes on free ports, ended when the block is over."""

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks.usage import cpu_seconds
from tests.server import SERVE, Server, free_port, wait_until

START_SECONDS = 120.0
"""How long a server may take to be ready: it may have a great index to make, on a machine that does other things too."""


@dataclass(frozen=True)
class Running:
    """A server under test."""

    name: str
    port: int
    pid: int

    @property
    def greeting(self) -> bytes:
        """What every stream begins with, once it is subscribed."""
        return b"200 OK" if self.name == "nchan" else b"hello"

    def resident_kib(self) -> int:
        """Memory that the process holds, in KiB."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        raise RuntimeError("no VmRSS")

    def cpu_seconds(self) -> float:
        """Time that it has computed, with what it has started, in seconds."""
        return cpu_seconds(self.pid)


@contextmanager
def cin(**settings: str) -> Iterator[Running]:
    """`cin serve` on a new database."""
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder), program=SERVE, **settings)
        server.start_seconds = START_SECONDS
        with server:
            yield Running("cin", server.port, server.pid)


@contextmanager
def baseline(module: str, ready: str) -> Iterator[Running]:
    """A module of `benchmarks.baselines` under uvicorn; `ready` is a path that answers when it is up."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", f"benchmarks.baselines.{module}:app", "--port", str(port)]
    with subprocess.Popen([*command, "--log-level", "warning"]) as process:
        try:
            wait_for_http(f"http://127.0.0.1:{port}{ready}")
            yield Running(module, port, process.pid)
        finally:
            process.kill()


@contextmanager
def bare() -> Iterator[Running]:
    """`benchmarks.baselines.bare`."""
    port = free_port()
    with subprocess.Popen([sys.executable, "-m", "benchmarks.baselines.bare", str(port)]) as process:
        try:
            wait_until(lambda: _is_open(port), what="the bare server")
            yield Running("bare", port, process.pid)
        finally:
            process.kill()


def _is_open(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


def wait_for_http(url: str) -> None:
    """Wait until something answers there."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            httpx.get(url, timeout=1)
            return
        except httpx.TransportError:
            time.sleep(0.05)
    raise TimeoutError(url)
