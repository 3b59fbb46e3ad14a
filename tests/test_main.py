"""The whole program: it starts as it is told, or says why not, and ends its streams before it ends itself."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.factories import make_skill
from tests.routers.answers import capture
from tests.server import SERVE, Server, wait_until
from tests.streams import EventStream

DRAIN_SECONDS = 3.0
STREAMS = 300
"""At 200 a second they take a second and a half to end."""


def uvicorn(port: int) -> list[str]:
    return [sys.executable, "-m", "uvicorn", "app.main:app", "--port", str(port), "--log-level", "warning"]


class UvicornServer(Server):
    """The program under plain uvicorn, which knows nothing of it."""

    def __init__(self, folder: Path, **settings: str) -> None:
        super().__init__(folder, program=SERVE, **settings)
        self._program = uvicorn(self.port)


@pytest.fixture(params=[partial(Server, program=SERVE), UvicornServer], ids=["cin serve", "uvicorn"])
def draining(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    kind: Callable[..., Server] = request.param
    with kind(tmp_path, drain_seconds=str(DRAIN_SECONDS)) as running:
        yield running


def test_sigterm_ends_every_stream_in_good_order_and_then_the_process(draining: Server) -> None:
    with ExitStack() as stack, httpx.Client(base_url=draining.url) as api:
        streams = [stack.enter_context(EventStream(draining.url)) for _ in range(STREAMS)]
        position = capture(api)["position"]
        started = time.monotonic()
        os.kill(draining.pid, signal.SIGTERM)
        wait_until(lambda: httpx.get(f"{draining.url}/readyz").status_code == 503, DRAIN_SECONDS)
        received = [stream.rest() for stream in streams]
        code = draining.wait(DRAIN_SECONDS + 1)
        seconds = time.monotonic() - started
    for blocks in received:
        assert [block.id for block in blocks if block.event == "skill.captured"] == [position]
        assert set(blocks[-1].fields) == {"retry"}
    assert code in (0, -signal.SIGTERM)  # uvicorn raises the signal again once it is done
    assert seconds < DRAIN_SECONDS + 1
    assert not Path(f"{draining.database}-wal").exists()  # it was closed, and not torn away


def test_request_that_runs_while_the_server_stops_is_answered(fresh_server: Server) -> None:
    skills = [make_skill() for _ in range(1_000)]
    with socket.create_connection(("127.0.0.1", fresh_server.port), timeout=10) as connection:
        body = httpx.Request("POST", "http://cin", json=skills).content
        head = ["POST /skills/batch HTTP/1.1", "Host: cin", "Content-Type: application/json"]
        head += [f"Content-Length: {len(body)}", "", ""]
        connection.sendall("\r\n".join(head).encode() + body[:-10])
        assert httpx.get(f"{fresh_server.url}/healthz").status_code == 200
        os.kill(fresh_server.pid, signal.SIGTERM)
        connection.sendall(body[-10:])
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200 ")
    assert fresh_server.wait() == 0


def test_importing_the_program_opens_nothing(tmp_path: Path) -> None:
    look = "len(os.listdir('/proc/self/fd')), os.listdir()"
    code = f"import os; before = {look}; import app.main; assert before == ({look}), ({look})"
    folder = Path(__file__).parents[1]
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(folder)}, check=True)
