"""The limit on open files, in processes that have one of their own."""

import json
import resource
from functools import partial
from pathlib import Path

from app.cli.descriptors import OTHERS
from tests.forks import cin
from tests.server import Server


def serve_with(soft: int, hard: int) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    cin("serve")


def limit_of(server: Server) -> int:
    """The soft limit on open files that the process has."""
    limits = Path(f"/proc/{server.pid}/limits").read_text()
    return int(limits.partition("Max open files")[2].split()[0])


def said(server: Server, event: str) -> list[dict[str, object]]:
    lines = (json.loads(line) for line in server.log.read_text().splitlines() if line.startswith("{"))
    return [line for line in lines if line["event"] == event]


def test_serve_raises_the_limit_and_says_how_many_streams_fit(tmp_path: Path) -> None:
    program = partial(serve_with, 256, 1_000)
    with Server(tmp_path, program=program, max_streams="5000", log_format="json") as server:
        assert limit_of(server) == 1_000
        (line,) = said(server, "streams_limited")
    assert (line["streams"], line["wanted"]) == (1_000 - OTHERS, 5_000)


def test_serve_says_nothing_when_all_streams_fit(tmp_path: Path) -> None:
    program = partial(serve_with, 256, 1_000)
    with Server(tmp_path, program=program, max_streams="800", log_format="json") as server:
        assert limit_of(server) == 1_000
        assert said(server, "started")
        assert said(server, "streams_limited") == []
