"""What tests of the client share."""

import pytest

from app.client import subscription
from app.client.stream import Cursor


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lost connections are made again after 25 ms on average, 100 at most, until the server says otherwise."""
    make = Cursor.__init__

    def make_quick(self: Cursor, position: str | None = None) -> None:
        make(self, position)
        self.retry_seconds = 0.05

    monkeypatch.setattr(Cursor, "__init__", make_quick)
    monkeypatch.setattr(subscription, "RECONNECT_CAP_SECONDS", 0.2)
