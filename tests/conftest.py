"""Servers for tests: real processes on free ports and databases of their own, ended when the test is over."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server import Server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that tests share: it has whatever others captured, so ask it only for what is yours."""
    with Server(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
def fresh_server(tmp_path: Path) -> Iterator[Server]:
    """A server of this test's own, with nothing in it."""
    with Server(tmp_path) as running:
        yield running
