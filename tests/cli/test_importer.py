"""The importer: the next batch is ready when the server has answered the one before."""

import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest

from app.cli.importer import BATCH_ENTRIES, Importer
from app.cli.journal import Journal, Run
from app.cli.sources import Located
from app.client import Client

SECONDS = 20


def test_next_batch_is_read_while_the_server_has_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    second_is_read = threading.Event()
    was_read_meanwhile: list[bool] = []

    def entries() -> Iterator[Located]:
        for number in range(2 * BATCH_ENTRIES):
            yield f"line {number}", b'{"pattern": "a pattern", "resolution": "Do it."}'
        second_is_read.set()

    def answer(request: httpx.Request) -> httpx.Response:
        was_read_meanwhile.append(second_is_read.wait(SECONDS))
        results = [{"status": 200, "id": "x", "name": "x", "position": "e-1"} for _ in request.content.splitlines()]
        body = {"created": 0, "known": len(results), "failed": 0, "results": results}
        return httpx.Response(200, content=msgspec.json.encode(body))

    run = Run()
    with Client("http://cin", transport=httpx.MockTransport(answer)) as cin:
        journal = Journal("digest", cin.url)
        Importer(cin, journal, run, failed=lambda _: None, passed=lambda _: None).send(entries())
    assert was_read_meanwhile == [True, True]
    assert (run.batches, run.known) == (2, 2 * BATCH_ENTRIES)
