"""The shared server over HTTP, as one client sees it; what depends on the database is asked of a server on each."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import BACKENDS
from tests.server import Server
from tests.streams import Connect, EventStream, SocketStream

ON_EVERY_BACKEND = {
    "test_agents",
    "test_capture",
    "test_capture_batch",
    "test_capture_changes",
    "test_capture_idempotency",
    "test_match",
    "test_match_changes",
    "test_query",
    "test_search",
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "server" in metafunc.fixturenames and Path(str(metafunc.module.__file__)).stem in ON_EVERY_BACKEND:
        metafunc.parametrize("backend", BACKENDS, indirect=True, scope="session")


@pytest.fixture(params=[EventStream, SocketStream], ids=["sse", "socket"])
def connect(request: pytest.FixtureRequest) -> Connect:
    """Either way to open a stream: what streams do, they do on both."""
    opened: Connect = request.param
    return opened


@pytest.fixture(scope="session")
def backend(request: pytest.FixtureRequest) -> str:
    """The database of the shared server."""
    return str(getattr(request, "param", "sqlite"))


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest, backend: str) -> Server:
    """The shared server on that database."""
    running: Server = request.getfixturevalue(f"{backend}_server")
    return running


@pytest.fixture(scope="session")
def api(server: Server) -> Iterator[httpx.Client]:
    """A client of the server that tests share."""
    with httpx.Client(base_url=server.url, timeout=20) as client:
        yield client
