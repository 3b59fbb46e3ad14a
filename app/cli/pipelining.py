"""Captures that a client sends one behind the other, without waiting for answers: they share commits.

uvicorn begins a connection's next request when the one before is answered, so a pipeline of captures would have a commit
for each. Here they are begun as they come and answered in turn (RFC 9112, 9.3.2). They are written in the order in which
they came: a capture's body is whole before the next one begins, and nothing else is waited for on the way to the group
commit. Any other request waits for its turn, and so does the answer to what is no request: whoever is answered in the place
of another would take it for its own.
"""

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

MOST_BEGUN = 256
"""Captures of one connection that are begun and not answered."""


MOST_HEAD_BYTES = 512 * 1024
"""What stands before a body: the request line and its headers."""


class PipeliningProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 on httptools, with captures in a row begun at once."""

    _turn: RequestResponseCycle | None = None
    """The oldest request that is not answered, whose bytes go to the transport."""

    _refusal: str | None = None
    """What is said when all that was asked before is answered; nothing is read any more."""

    _head_bytes = 0
    _is_in_head = True

    def data_received(self, data: bytes) -> None:
        if self._refusal is not None:
            return
        if self._is_in_head:
            self._head_bytes += len(data)
        if self._head_bytes > MOST_HEAD_BYTES:
            self.send_400_response(f"The headers of a request have at most {MOST_HEAD_BYTES:,} bytes.")
        else:
            super().data_received(data)

    def on_message_begin(self) -> None:
        self._is_in_head = True
        super().on_message_begin()

    def send_400_response(self, msg: str) -> None:
        if self.pipeline and self.pipeline[0][0].more_body:  # the rest of it will never come
            broken, _ = self.pipeline.popleft()
            broken.disconnected = True
            broken.message_event.set()
        if self._owes_answers():
            self._refusal = msg
            self.flow.pause_reading()
        else:
            super().send_400_response(msg)

    def handle_websocket_upgrade(self) -> None:
        if self._owes_answers():
            self.send_400_response("Ask for a WebSocket when the requests before are answered.")
        else:
            super().handle_websocket_upgrade()
            del self.parser  # it knows this object, which would stay until garbage is collected

    def _owes_answers(self) -> bool:
        """Whether requests that came whole are not answered."""
        turn = self._turn
        return bool(self.pipeline) or not (turn is None or turn.response_complete or turn.more_body)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)  # tells the newest request only
        for cycle in (self._turn, *(cycle for cycle, _ in self.pipeline)):
            if cycle is not None and not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()

    def on_headers_complete(self) -> None:
        self._is_in_head, self._head_bytes = False, 0
        before = self.cycle
        super().on_headers_complete()
        if self.cycle is before or not self.pipeline:
            return
        begun = isinstance(before.transport, HeldTransport) or len(self.pipeline) == 1
        if begun and _is_capture(before) and _is_capture(self.cycle) and len(self.pipeline) <= MOST_BEGUN:
            app = self.pipeline[0][1]
            self.cycle.transport = HeldTransport(self.transport)  # type: ignore[assignment]  # as much as a cycle uses
            self.cycle.on_response = _not_yet
            super()._start_asgi_task(self.cycle, app)
            self.flow.resume_reading()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        if cycle is self.cycle and self.pipeline:
            # uvicorn found the newest request answered and began this one, but those answers are still held.
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, app))
        elif isinstance(cycle.transport, HeldTransport):
            self._answer(cycle, cycle.transport)
        else:
            self._turn = cycle
            super()._start_asgi_task(cycle, app)

    def _answer(self, cycle: RequestResponseCycle, held: "HeldTransport") -> None:
        """It is the turn of a request that was begun before."""
        self._turn = cycle
        cycle.transport = self.transport
        cycle.on_response = self.on_response_complete
        held.release()

    def on_response_complete(self) -> None:
        answered: RequestResponseCycle | None = None
        while self._turn is not None and self._turn is not answered and self._turn.response_complete:
            answered = self._turn
            super().on_response_complete()  # gives the next one its turn, which may have been answered before
        if self._refusal is not None and not self._owes_answers() and not self.transport.is_closing():
            super().send_400_response(self._refusal)

    def shutdown(self) -> None:
        if self.pipeline and self.cycle.response_complete:
            self.cycle.transport.close()  # when it has been answered
        else:
            super().shutdown()


class HeldTransport:
    """Stands for the transport while it is not yet a request's turn, and keeps what is written."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._kept: list[bytes] = []
        self._closed = False

    def write(self, data: bytes) -> None:
        self._kept.append(data)

    def close(self) -> None:
        self._closed = True

    def is_closing(self) -> bool:
        return self._closed or bool(self._transport.is_closing())

    def release(self) -> None:
        """Hand on what was kept."""
        self._transport.write(b"".join(self._kept))
        if self._closed:
            self._transport.close()


def _is_capture(cycle: RequestResponseCycle) -> bool:
    return cycle.scope["method"] == "POST" and cycle.scope["path"] == "/skills"


def _not_yet() -> None:
    pass
