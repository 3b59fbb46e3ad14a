"""Where an import reads from: files, folders and standard input; {"skills":[...]}, arrays, NDJSON, or a single skill.

A source is mapped into memory, not read, and can be gone through twice: once to count, once to send.
"""

import hashlib
import mmap
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import msgspec

from app.client import CINError

SUFFIXES = (".json", ".ndjson", ".jsonl")
_BOM = b"\xef\xbb\xbf"

Data = bytes | mmap.mmap
Located = tuple[str, bytes | msgspec.Raw]


@dataclass(frozen=True)
class Source:
    """A named text; `open` may be called again."""

    name: str
    open: Callable[[], Data]

    def entries(self) -> Iterator[Located]:
        """Each entry with where it stands. Raises `CINError` when the whole is no list of entries."""
        data = self.open()
        if _is_ndjson(self.name, data):
            return ((f"{self.name} line {number}", line) for number, line in _lines(data))
        return ((f"{self.name} entry {number}", raw) for number, raw in enumerate(_document(self.name, data), 1))


@dataclass(frozen=True)
class Survey:
    """A first pass over all sources: how many entries, and a digest that names this very content."""

    total: int
    digest: str


def find_sources(paths: Iterable[str]) -> list[Source]:
    """Files as given, folders as the files in them, `-` as standard input."""
    found: list[Source] = []
    for path in paths:
        if path == "-":
            found.append(_copied("standard input", sys.stdin.buffer))
        elif Path(path).is_dir():
            inside = sorted(file for file in Path(path).iterdir() if file.suffix in SUFFIXES and file.is_file())
            found.extend(_file(file) for file in inside)
        else:
            found.append(_file(Path(path)))
    return found


def survey(sources: Iterable[Source]) -> Survey:
    digest, total = hashlib.sha256(), 0
    for source in sources:
        digest.update(hashlib.sha256(source.open()).digest())
        total += sum(1 for _ in source.entries())
    return Survey(total=total, digest=digest.hexdigest())


def _file(path: Path) -> Source:
    if path.exists() and not path.is_file():  # a pipe, such as `<(...)`, can be read once
        with path.open("rb") as pipe:
            return _copied(str(path), pipe)

    def opened() -> Data:
        with path.open("rb") as file:
            return _map(file)

    return Source(str(path), opened)


def _copied(name: str, pipe: IO[bytes]) -> Source:
    with tempfile.TemporaryFile() as copy:
        shutil.copyfileobj(pipe, copy)
        copy.flush()
        data = _map(copy)
    return Source(name, lambda: data)


def _map(file: IO[bytes]) -> Data:
    try:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except ValueError:  # an empty file cannot be mapped
        return b""


class _Document(msgspec.Struct):
    skills: list[msgspec.Raw] | msgspec.UnsetType = msgspec.UNSET


def _document(name: str, data: Data) -> list[msgspec.Raw]:
    text = memoryview(data)[_start(data) :]
    try:
        if _first_byte(data) == b"[":
            return msgspec.json.decode(text, type=list[msgspec.Raw])
        skills = msgspec.json.decode(text, type=_Document).skills
        return [msgspec.json.decode(text, type=msgspec.Raw)] if skills is msgspec.UNSET else skills
    except RecursionError as error:
        raise CINError(f"{name} is nested too deeply.") from error
    except msgspec.ValidationError as error:
        raise CINError(f'{name} is neither a skill, {{"skills":[...]}}, an array nor NDJSON: {error}.') from error
    except msgspec.DecodeError as error:
        raise CINError(f"{name} is not JSON: {error}.") from error


def _is_ndjson(name: str, data: Data) -> bool:
    """By name, else by how it begins; a line that is broken does not make NDJSON something else."""
    if name.endswith((".ndjson", ".jsonl")):
        return True
    lines = (line for _, line in _lines(data))
    first = next(lines, b"")
    if (fields := _object(first)) is not None:
        return "skills" not in fields
    if first[:1] == b"[" or first == b"{" or b'"skills"' in first:
        return False
    return any(_object(line) is not None for line in lines)


def _object(line: bytes) -> dict[str, msgspec.Raw] | None:
    """The object that is the whole line, if it is one."""
    try:
        return msgspec.json.decode(line, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, RecursionError):
        return None


def _lines(data: Data) -> Iterator[tuple[int, bytes]]:
    """Lines that hold something, with their numbers."""
    begin, number = _start(data), 0
    while begin < len(data):
        end = data.find(b"\n", begin)
        end = len(data) if end < 0 else end
        number += 1
        line = data[begin:end].strip()
        if line:
            yield number, line
        begin = end + 1


def _start(data: Data) -> int:
    return len(_BOM) if data[: len(_BOM)] == _BOM else 0


def _first_byte(data: Data) -> bytes:
    return next((line[:1] for _, line in _lines(data)), b"")
