"""The shared server over HTTP, as one client sees it."""

from collections.abc import Iterator

import httpx
import pytest

from tests.server import Server


@pytest.fixture(scope="session")
def api(server: Server) -> Iterator[httpx.Client]:
    """A client of the server that tests share."""
    with httpx.Client(base_url=server.url, timeout=20) as client:
        yield client
