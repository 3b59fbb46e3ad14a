"""What a client of the stream goes through, whoever wrote it, and whether it saw each event once and in order.

A step yields a line that says what was seen, or raises `AssertionError` with what was not.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import httpx

from tests.factories import make_skill
from tests.forks import Fork, cin
from tests.inside import application, run
from tests.server import Server, wait_until
from tests.streams import EventStream

PATIENCE_SECONDS = 30.0
"""How long a client may take to come back and to show something; browsers wait longer each time."""


class Seen(NamedTuple):
    """An event as the client showed it, `hello` among them."""

    event: str
    id: str


Look = Callable[[], list[Seen]]
"""All that the client has shown until now."""

Open = Callable[[str, str], AbstractContextManager[Look]]
"""A client with a stream on a server's URL, from a `since=` on, until the end of the block."""


@dataclass
class Walk:
    """Clients beside a server, and what each of them must have seen."""

    server: Server
    looks: list[Look]
    expected: list[Seen] = field(default_factory=list)

    def capture(self, number: int = 3) -> None:
        self.expected += capture(self.server, number)

    def kill_and_restart(self) -> None:
        """What is captured while nobody can have a stream is there before anybody comes back."""
        self.server.kill()
        self.expected += run(capture_unheard(self.server))
        self.server.start()
        self.capture()

    def say(self, what: str) -> str:
        """Wait until the clients have seen what they must have. Raises `AssertionError`."""
        for look in self.looks:
            with suppress(TimeoutError):
                wait_until(partial(self._has_enough, look), PATIENCE_SECONDS)
            seen = events(look)
            assert seen == self.expected, f"{what}: saw {seen[-8:]}, not {self.expected[-8:]}"
        return f"{what}: {len(self.expected)} events, each once and in order, up to {self.expected[-1].id}"

    def _has_enough(self, look: Look) -> bool:
        return len(events(look)) >= len(self.expected)


def events(look: Look) -> list[Seen]:
    return [seen for seen in look() if seen.event != "hello"]


def capture(server: Server, number: int) -> list[Seen]:
    """New skills, as a client sees them."""
    answer = (
        httpx.post(f"{server.url}/skills/batch", json=[make_skill() for _ in range(number)]).raise_for_status().json()
    )
    return [Seen("skill.captured", result["position"]) for result in answer["results"]]


async def capture_unheard(server: Server) -> list[Seen]:
    """New skills in the database of a server that is down."""
    async with application(server.folder) as inside:
        skills = [await inside.capture(make_skill()) for _ in range(3)]
    return [Seen("skill.captured", skill["position"]) for skill in skills]


def walk_through(server: Server, *clients: Open) -> Iterator[str]:
    """Connect, live, killed and restarted, drained and restarted, `reset`, and killed once more."""
    before = capture(server, 3)
    with ExitStack() as stack:
        walk = Walk(server, [stack.enter_context(client(server.url, "earliest")) for client in clients], before)
        yield walk.say("connected, history")
        walk.capture()
        yield walk.say("live")
        walk.kill_and_restart()
        yield walk.say("server killed and restarted")
        assert server.stop() == 0
        server.start()
        walk.capture()
        yield walk.say("server stopped and restarted")
        walk.expected.append(Seen("reset", begin_another_life(server)))
        yield walk.say("log restored, one reset")
        walk.capture()
        yield walk.say("live after the reset")
        walk.kill_and_restart()
        yield walk.say("killed and restarted after the reset")


def lose_the_server_before_the_first_event(server: Server, *clients: Open) -> Iterator[str]:
    """Clients that have seen nothing yet go on from where they started, not from where the log has come to."""
    capture(server, 1)
    with ExitStack() as stack:
        walk = Walk(server, [stack.enter_context(client(server.url, "now")) for client in clients])
        wait_until(lambda: all(look() for look in walk.looks), PATIENCE_SECONDS, "their streams")
        walk.kill_and_restart()
        yield walk.say("killed and restarted before the first event")


def wait_for_a_place(server: Server, open_client: Open) -> Iterator[str]:
    """A client that is refused because all streams of `server`, which has one, are taken, comes back by itself."""
    before = capture(server, 3)
    with EventStream(server.url) as other:
        other.start()
        with open_client(server.url, "earliest") as look:
            refused = partial(server.metric, 'cin_streams_refused_total{reason="limit"}')
            wait_until(lambda: refused() >= 1, PATIENCE_SECONDS, "a stream that is refused")
            other.close()
            yield Walk(server, [look], before).say("refused over the limit, then taken")


def hear_of_a_restored_log(server: Server, *clients: Open) -> Iterator[str]:
    """The log begins another life while `server`, which is on PostgreSQL, runs: who comes back too early comes again."""
    before = capture(server, 3)
    with ExitStack() as stack:
        walk = Walk(server, [stack.enter_context(client(server.url, "earliest")) for client in clients], before)
        yield walk.say("connected, history")
        epoch = info(server)["epoch"]
        restore(server)
        wait_until(lambda: info(server).get("epoch", epoch) != epoch, PATIENCE_SECONDS, "another epoch")
        walk.expected.append(Seen("reset", info(server)["head"]))
        yield walk.say("log restored under a server that runs, one reset")
        walk.capture()
        yield walk.say("live in the new life")


def begin_another_life(server: Server) -> str:
    """Kill the server, say that its database was restored, and start it again; the head of the new life."""
    server.kill()
    restore(server)
    server.start()
    return info(server)["head"]


def restore(server: Server) -> None:
    """Say that the server's database was restored."""
    said = server.folder / "migrate.log"
    migrate = Fork(partial(cin, "migrate", "--restored"), server.environment, stdout=said, stderr=said)
    assert migrate.wait(PATIENCE_SECONDS) == 0, said.read_text()


def info(server: Server) -> dict[str, str]:
    """What the server says of itself; between two lives of its log a problem."""
    return dict(httpx.get(f"{server.url}/info").json())
