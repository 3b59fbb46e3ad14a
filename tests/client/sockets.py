"""A WebSocket server that says what a test tells it to, for the moments that a real one passes through too fast."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

Talk = Callable[["Peer"], None]
"""What the server does with one connection; it is closed at the end."""

ANSWER_SECONDS = 10.0


class Peer:
    """One connection, from the server's side."""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection
        self.path = connection.request.path if connection.request else ""

    def say(self, **members: Any) -> None:
        self._connection.send(json.dumps(members))

    def hear(self, kind: str) -> dict[str, Any]:
        """The next message of this kind; others are passed over."""
        while True:
            message: dict[str, Any] = json.loads(self._connection.recv(ANSWER_SECONDS))
            if message["type"] == kind:
                return message

    def welcome(self, head: int = 0) -> dict[str, Any]:
        """Take the subscription and begin it at `head`; the subscription as it came."""
        subscription = self.hear("subscribe")
        position = f"k3f9-{head}"
        self.say(type="hello", network="default", epoch="k3f9", head=position, earliest="k3f9-1", mode="live")
        self.say(type="position", id=position)
        return subscription

    def wait_for_listener(self) -> None:
        """Until the client has its callbacks; the tests say so by a capability."""
        self.hear("register_capability")

    def event(self, offset: int) -> None:
        skill = {"id": f"s-{offset}", "name": f"s-{offset}", "resolution": "Do it.", "pattern": f"error no {offset}"}
        data = {"id": f"k3f9-{offset}", "offset": offset, "type": "skill.captured", "at": "", "skill": skill}
        self.say(type="event", id=f"k3f9-{offset}", event="skill.captured", data=data)

    def answer(self, capture: dict[str, Any]) -> None:
        """The answer to a capture."""
        skill = {"id": "s", "name": "s", **capture["skill"]}
        self.say(type="captured", ref=capture["ref"], skill=skill, created=True, position="k3f9-1")

    def refuse(self, message: dict[str, Any], status: int, kind: str = "about:blank") -> None:
        problem = {"type": kind, "title": "No", "status": status, "detail": "No."}
        self.say(type="error", ref=message["ref"], problem=problem)

    def stay(self) -> None:
        """Until the client goes."""
        while True:
            self._connection.recv(ANSWER_SECONDS)


@contextmanager
def talking(*talks: Talk) -> Iterator[str]:
    """A server's URL; the n-th connection is talked to as the n-th function does, and there is no other."""
    left = list(talks)

    def converse(connection: ServerConnection) -> None:
        if left:
            try:
                left.pop(0)(Peer(connection))
            except ConnectionClosed:
                return

    with serve(converse, "127.0.0.1", 0, close_timeout=1) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        finally:
            server.shutdown()
            thread.join()
