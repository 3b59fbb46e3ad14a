"""Lives: what keeps the first one from being served ends the program, unless it may pass."""

from pathlib import Path

import pytest

from app import lives
from app.errors import CINError, StartupError, Unavailable
from app.eventlog.network import Network, open_network
from app.storage.database import Database
from tests.inside import application, run


def fail_once(monkeypatch: pytest.MonkeyPatch, error: CINError) -> None:
    errors = [error]

    async def open_or_fail(database: Database) -> Network:
        if errors:
            raise errors.pop()
        return await open_network(database)

    monkeypatch.setattr(lives, "open_network", open_or_fail)


async def readiness(folder: Path) -> int:
    async with application(folder) as cin:
        return (await cin.client.get("/readyz")).status_code


def test_start_that_finds_the_database_slow_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_once(monkeypatch, Unavailable("The database has not answered for 4 seconds."))
    assert run(readiness(tmp_path)) == 200


def test_start_that_cannot_succeed_is_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_once(monkeypatch, StartupError("This will not pass."))
    with pytest.raises(StartupError, match="will not pass"):
        run(readiness(tmp_path))
