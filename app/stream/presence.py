"""Presence: which agents have streams open now. It is a courtesy to people who look, and no promise is built on it."""

from collections import Counter
from typing import Protocol

from app.stream.hub import Hub


class Presence(Protocol):
    """Knows who is connected, on this process and on those it can ask."""

    async def connections(self) -> Counter[str]:
        """How many streams each agent has open. Never raises, and never leaves out this process's own."""


class LocalPresence:
    """What this process knows by itself."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def connections(self) -> Counter[str]:
        return self._hub.connected.copy()
