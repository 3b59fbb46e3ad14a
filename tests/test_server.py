"""What starts servers for tests leaves none behind."""

import signal
from pathlib import Path

import pytest

from tests.server import Server


def test_server_that_does_not_become_ready_in_time_is_ended(tmp_path: Path) -> None:
    server = Server(tmp_path, program=["sleep", "60"])
    server.start_seconds = 0.1
    with pytest.raises(TimeoutError), server:
        pass
    assert server.wait(10) == -signal.SIGKILL
