"""What agents share, as a plain object: it is there at once, follows the network in a thread, and outlives its server."""

import atexit
import logging
import os
import threading
import time
from concurrent.futures import Future
from types import TracebackType
from typing import Self, TypeVar, Unpack

from app.client.callbacks import Callbacks, OnReset, OnSkill
from app.client.calls import SkillFields
from app.client.client import Client
from app.client.errors import CaptureKept, CINError
from app.client.listener import Listener
from app.client.outbox import Outbox
from app.client.outcomes import Outcomes
from app.client.stream import StreamFilters
from app.client.subscription import Route, Wish
from app.client.values import Captured, MatchResult, Skill
from app.client.wire import Address

log = logging.getLogger("app.client")

S = TypeVar("S", bound=OnSkill)
R = TypeVar("R", bound=OnReset)

MOST_KEPT = 1_000
_LAST_WORD_SECONDS = 3.0


class SharedStateClient:
    """A connection to the network that is always there, whether the server is or not. Any thread may use it.

        shared = SharedStateClient("ws://localhost:8005", agent="builder")
        shared.register_capability("skill_broadcast")

        @shared.on_skill
        def learn(event):
            print(event.skill.name, event.skill.resolution)

        shared.capture_later(pattern="No module named 'yaml'", resolution="pip install pyyaml")

    Making one never waits for the network and never fails because nobody is there. A thread connects, comes back with
    growing, jittered waits when the connection is lost, and goes on at the last position: no event is left out and
    none comes twice. `url` may begin with ws, wss, http or https; what is not given comes from CIN_URL, CIN_AGENT and
    CIN_API_KEY.

    `since` is `now` (default), `earliest`, an offset or a position. With `agent` the server remembers what callbacks
    have seen, and the next start goes on from there; `position_file` keeps the place on this side. Filters: `tags`,
    `error_types`, `events`.

    Callbacks run one after the other on the client's thread. While one runs nothing else is received: long work belongs
    on a thread of its own. Events that come before the first `on_skill` wait for it.

    What is captured, and what is told of outcomes, while the server is away is kept in memory, in order, `most_kept` of
    each at most, and sent once when it is back. After `fork` the child needs a client of its own.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        agent: str | None = None,
        api_key: str | None = None,
        since: str | int | None = None,
        position_file: str | os.PathLike[str] | None = None,
        timeout: float = 10.0,
        most_kept: int = MOST_KEPT,
        **filters: Unpack[StreamFilters],
    ) -> None:
        self._address = Address.resolve(url, agent, api_key)
        self._timeout = timeout
        self._http = Client(self._address.url, agent=agent, api_key=api_key, timeout=timeout, tries=1)
        self._callbacks = Callbacks()
        self._outbox = Outbox(most_kept)
        self._outcomes = Outcomes(self._http, most_kept)
        wish = Wish(since=since, agent=self._address.agent, strict=False, position_file=position_file, filters=filters)
        self._route = Route(wish, self._address.url, timeout, path="/ws")
        self._listener = Listener(
            self._address, self._route, self._outbox, self._callbacks, self._outcomes.flush, timeout
        )
        self._is_closed = False
        self._may_close = threading.Lock()  # it is taken once
        self._process = os.getpid()
        atexit.register(self.close)
        self._listener.start()

    @property
    def url(self) -> str:
        return self._address.url

    @property
    def agent(self) -> str | None:
        return self._address.agent

    @property
    def client(self) -> Client:
        """The same server over HTTP, for all else that a network offers; it asks once and does not wait for the server."""
        return self._http

    @property
    def connected(self) -> bool:
        """Whether the server is there and events come."""
        return self._listener.connected.is_set() and os.getpid() == self._process

    @property
    def position(self) -> str | None:
        """The place in the log, as of the last event that callbacks were given; None before the first connection."""
        return self._route.position

    @property
    def kept(self) -> int:
        """How many captures and outcomes are not answered yet."""
        return len(self._outbox) + len(self._outcomes)

    def wait_connected(self, timeout: float = 10.0) -> bool:
        """Wait until the server is there; False if it was not in time."""
        self._check()
        return self._listener.connected.wait(timeout)

    def is_reachable(self, timeout: float = 1.0) -> bool:
        """Whether the server is there. It waits for one that is being connected to, but not for one that was not there."""
        self._check()
        return self.connected or (not self._outbox.is_away and self._listener.connected.wait(timeout))

    def on_skill(self, callback: S) -> S:
        """Call it with every `Event`, as a function or a decorator: captured, revised and retired skills, our own too."""
        self._check()
        self._callbacks.on_skill(callback)
        self._listener.events_wanted()
        return callback

    def on_reset(self, callback: R) -> R:
        """Call it with every `Reset`: events are lost to us, and what was learned may be out of date."""
        self._check()
        self._callbacks.on_reset(callback)
        return callback

    def remove(self, callback: OnSkill | OnReset) -> None:
        """Call it no more."""
        self._callbacks.remove(callback)

    def register_capability(self, capability: str = "skill_broadcast") -> None:
        """Make it known what this agent does, now or as soon as the server is there, and on every connection."""
        self._check()
        self._listener.register(capability)

    def capture(
        self, *, timeout: float | None = None, idempotency_key: str | None = None, **fields: Unpack[SkillFields]
    ) -> Captured:
        """Write a skill down, and wait until the server has it on disk.

            captured = shared.capture(pattern="EADDRINUSE", resolution="Stop the other server.")

        Raises what the server refuses; `CaptureKept` when no answer came within `timeout` seconds (those of the client
        unless given): then it is sent later and needs no second capture; `OutboxFull`.
        """
        seconds = self._timeout if timeout is None else timeout
        answer = self.capture_later(idempotency_key=idempotency_key, **fields)
        if not self.wait(answer, seconds):
            raise CaptureKept(seconds)
        return answer.result()

    def capture_later(self, *, idempotency_key: str | None = None, **fields: Unpack[SkillFields]) -> Future[Captured]:
        """Write a skill down as soon as the server is there; the future will have its answer. Raises `OutboxFull`."""
        self._check()
        answer = self._outbox.add(fields, idempotency_key)
        self._listener.flush()
        return answer

    def wait(self, answer: Future[Captured], timeout: float) -> bool:
        """Whether it was answered in time. A callback must wait so: `answer.result()` would wait for its own thread."""
        if self._listener.is_current_thread:
            self._listener.receive_until(answer.done, timeout)
            return answer.done()
        try:
            answer.exception(timeout)
        except TimeoutError:
            return answer.done()
        return True

    def outcome(self, skill_id: str, success: bool, detail: str | None = None) -> Skill | None:
        """Tell whether a skill helped: the skill with its new figures, or None when that is kept until the server is back.

        Raises what the server refuses, and `OutboxFull`.
        """
        self._check()
        return self._outcomes.tell(skill_id, success, detail, is_there=self.is_reachable())

    def match(self, message: str, *, error_type: str | None = None, limit: int = 5) -> MatchResult:
        """Ask the server for skills that fix a message, as `Client.match` does; it is asked once."""
        self._check()
        return self._http.match(message, error_type=error_type, limit=limit)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self, timeout: float = _LAST_WORD_SECONDS) -> None:
        """End it, from any thread. If the server is there, it waits `timeout` seconds at most for what is kept to be sent.

        A process that ends without it does the same.
        """
        if os.getpid() != self._process or not self._may_close.acquire(blocking=False):
            return  # a forked child has our socket too: it must not say goodbye on it
        atexit.unregister(self.close)
        deadline = time.monotonic() + timeout
        if not self._listener.is_current_thread:
            self._outbox.wait_empty(timeout)
        if self.connected:
            self._outcomes.flush()
        self._is_closed = True
        if len(self._outcomes):
            log.warning("%d outcomes were not told before the client was closed.", len(self._outcomes))
        self._listener.close(max(0.0, deadline - time.monotonic()))
        self._http.close()

    def _check(self) -> None:
        if self._is_closed:
            raise CINError("This client is closed; make another one.")
        if os.getpid() != self._process:
            raise CINError("This client belongs to the process that made it; after a fork make another one.")
