"""Fixtures for the command line: `cin` as a process against a real server."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.running import Cin, Serving


@pytest.fixture
def cin(server: Serving, tmp_path: Path) -> Iterator[Cin]:
    """`cin` with the server that tests share."""
    cin = Cin(tmp_path, server.url)
    yield cin
    cin.end()


@pytest.fixture
def fresh_cin(fresh_server: Serving, tmp_path: Path) -> Iterator[Cin]:
    """`cin` with a server of its own."""
    cin = Cin(tmp_path, fresh_server.url)
    yield cin
    cin.end()


@pytest.fixture
def eventually() -> Callable[[Callable[[], object]], None]:
    """Waits until a condition holds, at most 20 s."""

    def wait(condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline, "it did not come about"
            time.sleep(0.01)

    return wait
