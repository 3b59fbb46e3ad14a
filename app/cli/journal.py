"""How far an import has come, so that one that was interrupted goes on and counts nothing twice.

Invariant: a batch that the journal counts has been answered, and a batch that was sent but is not counted is sent again
with the same idempotency key, which the server honours for 24 hours.
"""

import hashlib
import os
from pathlib import Path
from uuid import uuid4

import msgspec

from app.client import CINError

SHOWN_FAILURES = 20


class Failure(msgspec.Struct, frozen=True):
    """An entry that was not imported."""

    where: str
    reason: str


class Run(msgspec.Struct):
    """One run of an import, through all its interruptions."""

    id: str = msgspec.field(default_factory=lambda: uuid4().hex)
    batches: int = 0
    entries: int = 0
    created: int = 0
    known: int = 0
    failed: int = 0
    outcomes: int = 0
    usage_kept: int = 0
    failures: list[Failure] = []

    def failure(self, failure: Failure) -> None:
        self.failed += 1
        if len(self.failures) < SHOWN_FAILURES:
            self.failures.append(failure)


class Journal:
    """The file of one run: named by content and server, replaced as a whole after each batch, gone at the end."""

    def __init__(self, digest: str, url: str) -> None:
        state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
        name = hashlib.sha256(f"{digest} {url}".encode()).hexdigest()
        self._path = state / "cin" / "imports" / f"{name}.json"

    def load(self) -> Run | None:
        """The interrupted run, if there is one."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Run)
        except FileNotFoundError:
            return None
        except msgspec.DecodeError as error:
            raise CINError(f"The journal {self._path} cannot be read ({error}); delete it to start over.") from error

    def save(self, run: Run) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        growing = self._path.with_suffix(f".{os.getpid()}.tmp")
        growing.write_bytes(msgspec.json.encode(run))
        os.replace(growing, self._path)

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)
