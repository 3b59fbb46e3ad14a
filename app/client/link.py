"""One WebSocket connection to a CIN server: texts out, texts in, and every way in which it can end."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect

from app.client.errors import AnswerNotUnderstood, CINError
from app.client.stream import SILENCE_SECONDS
from app.client.wire import Address, raise_for_problem

LOST = (OSError, WebSocketException, CINError)
"""What a connection that cannot be made, or is no more, raises."""

_MESSAGE_BYTES = 16 * 1024 * 1024  # no message of a server is as large
_CLOSE_SECONDS = 1.0


class Link:
    """An open connection. Any thread may send and close; one at a time may receive."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    def send(self, text: str) -> None:
        self._connection.send(text)

    def receive(self, timeout_seconds: float) -> str | None:
        """The next message, or None when none came in time."""
        try:
            message = self._connection.recv(max(0.0, timeout_seconds))
        except TimeoutError:
            return None
        if isinstance(message, bytes):
            raise CINError("The socket carried a binary message, and CIN sends none.")
        return message

    def close(self) -> None:
        """End it in good order, within a second; whoever receives is woken."""
        self._connection.close()


@contextmanager
def open_link(address: Address, timeout_seconds: float) -> Iterator[Link]:
    """Connect, and close at the end. Raises one of `LOST`; a server that refuses raises its problem."""
    try:
        connecting = connect(
            address.socket_url,
            additional_headers=address.headers(),
            compression=None,  # it would cost more memory than all else of a connection
            open_timeout=timeout_seconds,
            close_timeout=_CLOSE_SECONDS,
            ping_interval=None,  # the server's heartbeats tell as much, and need no thread here
            max_size=_MESSAGE_BYTES,
        )
    except InvalidStatus as error:
        raise _refused(address, error) from error
    with connecting as connection:
        # Nobody is to wait for ever in `send`: a peer that has vanished takes nothing.
        connection.socket.settimeout(SILENCE_SECONDS)
        yield Link(connection)


def ended_well(loss: Exception) -> bool:
    """Whether the server said goodbye: it ends all connections when it is stopped."""
    return isinstance(loss, ConnectionClosed) and loss.rcvd is not None and loss.rcvd.code in (1000, 1001, 1012)


def _refused(address: Address, error: InvalidStatus) -> CINError:
    """The answer to a handshake that is not 101, read as any other answer."""
    refusal = error.response
    answer = httpx.Response(
        refusal.status_code,
        headers=list(refusal.headers.raw_items()),
        content=bytes(refusal.body or b""),
        request=httpx.Request("GET", address.url + "/ws"),
    )
    try:
        raise_for_problem(answer)
    except CINError as problem:
        return problem
    return AnswerNotUnderstood(address.url + "/ws", refusal.status_code)
