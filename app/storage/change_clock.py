"""How often skills have changed on this process: what makes an `ETag` right without asking the database."""

import secrets


class ChangeClock:
    """Goes up with every commit that changes a skill, its counters included. On SQLite one process makes all changes."""

    def __init__(self) -> None:
        # Another process life starts from 0 again, and its tags must not equal ours.
        self._life = secrets.token_hex(3)
        self._changes = 0

    def tick(self) -> None:
        self._changes += 1

    @property
    def now(self) -> str:
        """A short text that differs after every change."""
        return f"{self._life}{self._changes:x}"
