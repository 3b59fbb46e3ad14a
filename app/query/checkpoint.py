"""The index on disk: kept between starts, so that a start needs to read only what came since.

A checkpoint is the index as of one offset: hard links to Tantivy's files, which are written once, and the rest of the
index in a file of its own. It is a cache: whatever is wrong with one, the index is made from the rows instead. One made
by other rules than this program's, of another log, or not whole, is passed over.
"""

import hashlib
import json
import os
import shutil
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

import msgspec
from filelock import FileLock, Timeout

from app.eventlog.network import Network

Section = tuple[str, Iterable[Any]]
"""A part of an index, by name: entries that go to disk one after another."""

_ENTRIES_AT_ONCE = 5_000
"""Entries encoded at once: a few milliseconds in which nothing else runs."""

_LENGTH = struct.Struct("<I")
_END = "end"
_RULES = ("skills", "query")
_TRIES = 5


class Unusable(Exception):
    """A checkpoint that is not there, not whole, or not of these rules."""


class IndexFolder:
    """A folder that processes share: a checkpoint for each network, and a place for each index in use."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._running = path / "running" / uuid4().hex
        _made(path)
        with self._alone():
            _remove_what_nobody_runs(_made(path / "running"))
            self._lock = FileLock(f"{self._running}.lock", blocking=False)
            self._lock.acquire()
            self._running.mkdir()

    def close(self) -> None:
        """Remove the places of this process."""
        shutil.rmtree(self._running, ignore_errors=True)
        Path(self._lock.lock_file).unlink(missing_ok=True)
        self._lock.release()

    def place(self) -> Path:
        """An empty folder for one index. Whoever asked for it removes it."""
        return _made(self._running / uuid4().hex)

    def begin(self, place: Path) -> Path:
        """Begin a checkpoint with the Tantivy files of an index that is at `place`, as they are now. Raises `OSError`."""
        made = self.place()
        _link_committed(place, _made(made / "words"))
        return made

    def save(self, network: Network, offset: int, made: Path, sections: Iterable[Section]) -> None:
        """Complete it, in place of what was kept of the network. Raises `OSError`."""
        try:
            with (made / "state").open("wb") as file:
                _write(file, sections)
            with self._alone():
                for older in self._checkpoints(network):
                    shutil.rmtree(older, ignore_errors=True)
                made.rename(self._path / f"{_stem(network)}{offset}")
        finally:
            shutil.rmtree(made, ignore_errors=True)

    def load(self, network: Network, place: Path) -> Iterator[tuple[str, list[Any]]]:
        """Put the Tantivy files of the newest checkpoint to `place`; yields its sections, a few entries at a time.

        Raises `Unusable`.
        """
        try:
            with self._open(network, place) as file:
                records = _read(file)
                if next(records, None) != ("rules", [rules()]):
                    raise Unusable("it was made by other rules")
                yield from records
        except (OSError, msgspec.DecodeError, struct.error) as error:
            raise Unusable(str(error)) from error

    def _open(self, network: Network, place: Path) -> BinaryIO:
        """The state in the newest checkpoint, its other files linked: both stay when another process takes its place."""
        with self._alone():
            kept = max(self._checkpoints(network), key=_offset_of, default=None)
            if kept is None:
                raise Unusable("there is none")
            for name in os.listdir(kept / "words"):
                os.link(kept / "words" / name, place / name)
            return (kept / "state").open("rb")

    def _alone(self) -> FileLock:
        return FileLock(self._path / "lock")

    def _checkpoints(self, network: Network) -> list[Path]:
        return list(self._path.glob(f"{_stem(network)}*"))


@cache
def rules() -> str:
    """What tells apart programs that would make another index of the same skills."""
    digest = hashlib.blake2b(version("tantivy").encode(), digest_size=16)
    for folder in _RULES:
        for path in sorted((Path(__file__).parent.parent / folder).glob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _stem(network: Network) -> str:
    return f"{network.epoch}-{network.id}-"


def _offset_of(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _remove_what_nobody_runs(running: Path) -> None:
    for lock_file in running.glob("*.lock"):
        lock = FileLock(lock_file, blocking=False)
        with suppress(Timeout):
            lock.acquire()
            shutil.rmtree(lock_file.with_suffix(""), ignore_errors=True)
            lock_file.unlink(missing_ok=True)
            lock.release()


def _link_committed(place: Path, to: Path) -> None:
    """Link the files of the last commit. Tantivy may merge meanwhile, and take away what was named a moment ago."""
    for _ in range(_TRIES):
        meta = (place / "meta.json").read_bytes()
        segments = [segment["segment_id"].replace("-", "") for segment in json.loads(meta)["segments"]]
        names = [path.name for segment in segments for path in place.glob(f"{segment}.*")]
        try:
            for name in names:
                if not (to / name).exists():
                    os.link(place / name, to / name)
        except FileNotFoundError:
            continue
        (to / "meta.json").write_bytes(meta)
        (to / ".managed.json").write_text(json.dumps([*names, "meta.json"]))  # what Tantivy may remove one day
        return
    raise FileNotFoundError(f"the index at {place} is merged again and again")


def _write(file: Any, sections: Iterable[Section]) -> None:
    for name, entries in (("rules", [rules()]), *sections, (_END, ())):
        remaining = iter(entries)
        chunk = list(islice(remaining, _ENTRIES_AT_ONCE))
        while True:
            record = msgspec.msgpack.encode((name, chunk))
            file.write(_LENGTH.pack(len(record)) + record)
            if not (chunk := list(islice(remaining, _ENTRIES_AT_ONCE))):
                break
    file.flush()
    os.fsync(file.fileno())


def _read(file: Any) -> Iterator[tuple[str, list[Any]]]:
    while True:
        (length,) = _LENGTH.unpack(file.read(_LENGTH.size))
        name, entries = msgspec.msgpack.decode(file.read(length))
        if name == _END:
            return
        yield name, entries
