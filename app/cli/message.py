"""Where the message of a match comes from: an argument, a file or standard input, in whatever bytes a build writes.

Of what is longer than a match takes, the end is kept, where a log tells of the failure, and a note says so.
"""

import os
import sys
from pathlib import Path
from typing import BinaryIO

from app.cli.edge import note, usage
from app.client.calls import MESSAGE_BYTES

_CHUNK_BYTES = 1024 * 1024


def read_message(argument: str | None, file: str | None) -> str:
    """The message, at most 8 MiB of UTF-8. Bytes that are not UTF-8 become U+FFFD. Raises `OSError`."""
    if argument is not None and file is not None:
        usage("Give MESSAGE or --file, not both.")
    if argument is not None:
        return _text(os.fsencode(argument), "The message")
    if file is not None and file != "-":
        with Path(file).open("rb") as stream:
            return _text(_tail(stream), file)
    if sys.stdin is None or (file is None and sys.stdin.isatty()):
        usage("Give a MESSAGE or --file, or pipe a log in: make test 2>&1 | cin match.")
    return _text(_tail(sys.stdin.buffer), "Standard input")


def _tail(stream: BinaryIO) -> bytes:
    """The end of a stream of any length, and one byte too many to tell that there was more."""
    kept = bytearray()
    while chunk := stream.read(_CHUNK_BYTES):
        kept += chunk
        del kept[: -MESSAGE_BYTES - 1]
    return bytes(kept)


def _text(content: bytes, name: str) -> str:
    content = content.decode(errors="replace").encode()  # U+FFFD has three bytes, so this may be longer
    if len(content) <= MESSAGE_BYTES:
        return content.decode()
    note(f"{name} is longer than 8 MiB: only its end is matched, and lines are counted from there.")
    return content[-MESSAGE_BYTES:].decode(errors="ignore")  # the cut may go through a character
