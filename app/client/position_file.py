"""A position kept in a file, so that a subscriber that was stopped or killed goes on where it was."""

import os
from pathlib import Path

from app.client.errors import CINError
from app.client.stream import split_position


class PositionFile:
    """One line, the position. It is replaced as a whole: a reader sees the old one or the new one, never half."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._next = self._path.with_name(f".{self._path.name}.{os.getpid()}.tmp")

    def read(self) -> str | None:
        """The position, or None when the file is missing or empty; `CINError` when it holds something else."""
        try:
            text = self._path.read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise CINError(f"The position file {self._path} cannot be read: {error}.") from error
        if text:
            split_position(text)
        return text or None

    def write(self, position: str) -> None:
        try:
            self._next.write_text(position + "\n", encoding="utf-8")
            os.replace(self._next, self._path)
        except OSError as error:
            raise CINError(f"The position file {self._path} cannot be written: {error}.") from error
