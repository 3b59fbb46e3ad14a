"""The sockets that a server listens on, bound before anything else happens, so that a port in use is noticed first."""

import socket
import sys
from typing import Final

from app.errors import StartupError
from app.settings import Settings

BACKLOG: Final = 4096
_SEND_BUFFER_BYTES = 256 * 1024
"""What the system holds for one reader. Left alone it grows to megabytes, all for readers that do not read."""


def listener(settings: Settings) -> socket.socket:
    """The one socket of one process. Raises `StartupError`."""
    return _bound(settings, settings.port)


def listeners(settings: Settings, seats: int) -> list[socket.socket]:
    """A socket for each seat, all on one port: the system spreads new connections evenly over them. Raises `StartupError`.

    A socket has a queue of its own, and is there as long as somebody holds it: nothing that waits in it is lost when the
    process that listens ends.
    """
    if not sys.platform.startswith("linux"):
        raise StartupError("Several workers need Linux, which spreads connections over them. Use --workers 1 here.")
    with listener(settings) as alone:  # sockets that share a port would share it with another server, too
        port: int = alone.getsockname()[1]
    return [_bound(settings, port, is_shared=True) for _ in range(seats)]


def describe(listener: socket.socket, workers: int = 1) -> str:
    """The line that says where the server is."""
    address, port = listener.getsockname()[:2]
    many = f", {workers} workers" if workers > 1 else ""
    return f"CIN listens on http://{address}:{port} (documentation at /docs, Ctrl-C stops it{many})"


def _bound(settings: Settings, port: int, *, is_shared: bool = False) -> socket.socket:
    try:
        found = socket.getaddrinfo(settings.host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        made = socket.socket(found[0], found[1])
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        if is_shared:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if sys.platform == "linux":
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _dead_after_milliseconds(settings))
        made.bind(found[4])
        made.listen(BACKLOG)
    except OSError as error:
        raise StartupError(
            f"Cannot listen on {settings.host}:{settings.port}: {error.strerror}. "
            "Stop what uses the port, or choose another with --port."
        ) from error
    return made


def _dead_after_milliseconds(settings: Settings) -> int:
    """When the system gives up a peer that takes nothing: later than the hub, which counts those it closes.

    The hub sees readers for which it must wait. This ends those that vanished, and those that stopped reading with less
    to come than the system holds for them, which would else stay for a quarter of an hour or for ever.
    """
    return min(max(3_000, round(2_000 * settings.stall_seconds)), 2**31 - 1)
