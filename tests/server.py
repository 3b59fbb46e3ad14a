"""A `cin serve` process for tests: started on a free port, waited for, killed, restarted, and always ended."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.forks import Fork, cin

SERVE = [sys.executable, "-m", "app", "serve"]
"""`cin serve` as people start it: it imports everything anew."""

_SERVE_FORKED = partial(cin, "serve")

START_SECONDS = 30.0
STOP_SECONDS = 20.0


def free_port() -> int:
    """A port that nobody listens on now, and that the system gives nobody else for a minute.

    It has a connection in TIME_WAIT: whoever asks for any port gets another, whoever asks for this one gets it.
    """
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = int(found.getsockname()[1])
        with socket.create_connection(("127.0.0.1", port)), found.accept()[0] as ended_first:
            ended_first.close()
        return port


def wait_until(
    condition: Callable[[], bool], seconds: float = 10.0, what: str = "the condition", *, every_seconds: float = 0.01
) -> None:
    """Look again and again until it holds. Raises `TimeoutError`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not hold within {seconds} s")
        time.sleep(every_seconds)


class Server:
    """`settings` are `CIN_*` variables without the prefix, such as `poll_seconds="0.2"`.

    `program` is a command, or a function for a process that is forked.
    """

    def __init__(
        self, folder: Path, *, program: list[str] | Callable[[], object] = _SERVE_FORKED, **settings: str
    ) -> None:
        self.folder = folder
        self.start_seconds = START_SECONDS
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.database = folder / "cin.db"
        self.log = folder / "server.log"
        self._program = program
        self._settings = settings
        self._process: subprocess.Popen[bytes] | Fork | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.kill()  # nobody else will
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def environment(self) -> dict[str, str]:
        given = {f"CIN_{name.upper()}": value for name, value in self._settings.items()}
        clean = {name: value for name, value in os.environ.items() if not name.startswith("CIN_")}
        return {**clean, "CIN_DATABASE_URL": f"sqlite:///{self.database}", "CIN_PORT": str(self.port), **given}

    def start(self, **settings: str) -> None:
        """Start the process and wait until it is ready; `settings` go on top of those it had."""
        self._settings |= settings
        self._process = self._begin()
        wait_until(self._is_ready, self.start_seconds, "readiness")

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(STOP_SECONDS)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
        if self._process is not None:
            self._process.wait(STOP_SECONDS)

    def restart(self) -> None:
        """Kill it, as a power cut would, and start it again on the same database and port."""
        self.kill()
        self.start()

    def wait(self, seconds: float = STOP_SECONDS) -> int:
        """Wait until the process has ended by itself; its exit code."""
        assert self._process is not None
        return self._process.wait(seconds)

    def ask(self, path: str, *, timeout_seconds: float = 5.0) -> tuple[int, str]:
        """Status and text. For what is asked again and again: to make a client of httpx takes 20 times as long."""
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=timeout_seconds)) as connection:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def metric(self, name: str) -> float:
        """The value of a metric, its labels as Prometheus writes them."""
        for line in self.ask("/metrics")[1].splitlines():
            if line.startswith(f"{name} "):
                return float(line.split()[1])
        return 0.0

    def _begin(self) -> subprocess.Popen[bytes] | Fork:
        if callable(self._program):
            return Fork(self._program, self.environment, stdout=self.log, stderr=self.log)
        with self.log.open("ab") as log:
            return subprocess.Popen(self._program, env=self.environment, stdout=log, stderr=log)

    def _is_ready(self) -> bool:
        assert self._process is not None
        code = self._process.poll()
        if code is not None:
            raise RuntimeError(f"the server ended with {code}: {self.log.read_text()[-2000:]}")
        try:
            return self.ask("/readyz", timeout_seconds=1)[0] == 200
        except (OSError, HTTPException):
            return False
