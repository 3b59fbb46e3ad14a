"""The thread of a `SharedStateClient`: one connection after the other, until it is closed.

It alone receives. An item is passed when all who listen have seen it, and only then comes the next: the position from
which a lost stream goes on is always that of the last item passed, so nothing is left out and nothing comes twice.
"""

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from httpx_sse import ServerSentEvent

from app.client import messages
from app.client.acknowledger import Ledger
from app.client.callbacks import Callbacks
from app.client.errors import CINError, ConnectionFailed, ProblemError
from app.client.link import LOST, Link, ended_well, open_link
from app.client.messages import Message
from app.client.outbox import Outbox
from app.client.stream import EVENT_TYPES, RECONNECT_CAP_SECONDS, SILENCE_SECONDS
from app.client.subscription import Route
from app.client.values import Reset
from app.client.wire import Address

log = logging.getLogger("app.client")


_FOR_CALLBACKS = EVENT_TYPES | {"reset"}


class Listener:
    """`chores` is called when the server is there, and every few seconds while it is."""

    def __init__(
        self,
        address: Address,
        route: Route,
        outbox: Outbox,
        callbacks: Callbacks,
        chores: Callable[[], None],
        timeout: float,
    ) -> None:
        self._address = address
        self._route = route
        self._outbox = outbox
        self._callbacks = callbacks
        self._chores = chores
        self._timeout = timeout
        self._ledger = Ledger()
        self._telling: str | None = None
        self._quiet_until = 0.0
        self._capabilities: list[str] = []
        self._inbox: deque[str] = deque()
        self._link: Link | None = None
        self._sending = threading.Lock()
        self._taking = threading.Lock()
        self._left_some = False  # events that nobody wanted yet: they are asked for again when somebody does
        self._at_once = False
        self._closing = threading.Event()
        self.connected = threading.Event()
        self._thread = threading.Thread(target=self._run, name="cin-shared-state", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def is_current_thread(self) -> bool:
        return threading.current_thread() is self._thread

    def register(self, capability: str) -> None:
        """Say it now, and again on every connection."""
        if capability not in self._capabilities:
            self._capabilities.append(capability)
        self._say(messages.register(capability))

    def flush(self) -> None:
        """Send captures that may be sent now."""
        with self._sending:
            while self.connected.is_set() and self._link is not None and (text := self._outbox.next()) is not None:
                try:
                    self._link.send(text)
                except LOST:
                    return  # whoever receives notices it too, and all is sent again

    def events_wanted(self) -> None:
        """Somebody wants events now: what was left until then is asked for again."""
        link = self._link
        if self._left_some and link is not None:
            self._at_once = True
            link.close()

    def receive_until(self, is_done: Callable[[], bool], timeout_seconds: float) -> None:
        """Take answers, for a callback that waits for one on this thread; all else is put aside."""
        deadline = time.monotonic() + timeout_seconds
        while not is_done() and self._link is not None:
            try:
                text = self._link.receive(deadline - time.monotonic())
                if text is None:
                    return
                if not self._is_answer(messages.read(text)):
                    self._inbox.append(text)
                self.flush()
            except LOST:
                return  # the loop meets it again when the callback is through

    def close(self, timeout_seconds: float) -> None:
        """End the connection and the thread, as far as it does so in time; the last position is told."""
        deadline = time.monotonic() + timeout_seconds
        # What callbacks are seeing just now counts as well, unless one of them is who closes.
        is_between = not self.is_current_thread and self._taking.acquire(timeout=timeout_seconds)
        try:
            if self.connected.is_set() and (position := self._ledger.due) is not None:
                self._say(messages.acknowledge(position))
            self._closing.set()
            link = self._link
            if link is not None:
                link.close()
        finally:
            if is_between:
                self._taking.release()
        if not self.is_current_thread:
            self._thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self) -> None:
        try:
            while not self._closing.is_set():
                loss = self._connect()
                if not self._closing.is_set():
                    self._closing.wait(self._wait_seconds(loss))
        finally:
            self._lost()
            self._outbox.give_up()

    def _connect(self) -> Exception | None:
        """One connection, from its beginning to its end; what ended it, None for a goodbye."""
        try:
            with open_link(self._address, self._timeout) as link:
                self._link = link
                self._follow(link)
        except LOST as loss:
            return None if ended_well(loss) else loss
        except Exception as error:
            log.exception("The shared state met an error that nobody foresaw; it connects again.")
            return error
        finally:
            self._lost()
        return None

    def _follow(self, link: Link) -> None:
        self._left_some = False
        self._inbox.clear()
        link.send(messages.subscribe(self._route.params(), self._route.position))
        silent_at = time.monotonic() + SILENCE_SECONDS
        while not self._closing.is_set():
            text = self._inbox.popleft() if self._inbox else link.receive(self._receive_seconds(silent_at))
            if text is not None:
                with self._taking:
                    if self._closing.is_set():
                        return
                    self._take(text)
                silent_at = time.monotonic() + SILENCE_SECONDS
            elif time.monotonic() >= silent_at:
                raise ConnectionFailed(self._address.url, f"nothing came for {SILENCE_SECONDS:g} s", sent=True)
            if self._left_some and self._callbacks.want_events:
                self._at_once = True
                return
            if self.connected.is_set():
                self._acknowledge(link)
                self.flush()
                self._chores()

    def _receive_seconds(self, silent_at: float) -> float:
        """How long there is nothing to do but to listen."""
        waits = [silent_at - time.monotonic()]
        if not self.connected.is_set():
            return waits[0]
        if self._ledger.due is not None and self._telling is None:
            waits.append(self._quiet_until - time.monotonic())
        if (seconds := self._outbox.wait_seconds()) is not None:
            waits.append(seconds)
        return min(waits)

    def _take(self, text: str) -> None:
        message = messages.read(text)
        if self._is_answer(message):
            return
        block = messages.as_block(message, text)
        if block is None:
            return
        if message.type == "hello":
            self._begin()
        if self._is_for_nobody(block):
            self._left_some = True
            return
        item = self._route.feed(block)
        if item is not None:
            self._callbacks.hear(item)
        if block.id or isinstance(item, Reset):
            self._pass()

    def _begin(self) -> None:
        self.connected.set()
        self._outbox.found()
        for capability in self._capabilities:
            self._say(messages.register(capability))

    def _is_for_nobody(self, block: ServerSentEvent) -> bool:
        """Whether an event would go by unseen. From then on all is left, positions too, until it is asked for again."""
        return self._left_some or (block.event in _FOR_CALLBACKS and not self._callbacks.want_events)

    def _pass(self) -> None:
        """All have seen it: keep the position, and tell the server in a moment."""
        try:
            position = self._route.passed()
        except CINError as error:  # the disk: events are worth more than their place
            log.error("%s", error)
            position = self._route.position
        if position is not None and self._address.agent is not None:
            with suppress(ProblemError):  # said when it came
                self._ledger.passed(position)

    def _acknowledge(self, link: Link) -> None:
        position = self._ledger.due
        if position is not None and self._telling is None and time.monotonic() >= self._quiet_until:
            self._telling = position
            link.send(messages.acknowledge(position))

    def _is_answer(self, message: Message) -> bool:
        """Take an answer; False if it is none."""
        if message.type == "captured" and message.ref is not None:
            self._outbox.answered(message.ref, messages.as_captured(message))
        elif message.type == "done" and message.ref == messages.ACKNOWLEDGE:
            self._acknowledged(None)
        elif message.type == "error":
            self._refused(message.ref, messages.as_error(message))
        return message.type in ("captured", "done", "error")

    def _refused(self, ref: str | None, error: ProblemError) -> None:
        if ref == messages.ACKNOWLEDGE:
            self._acknowledged(error)
        elif ref == messages.SUBSCRIBE:
            raise error
        elif ref == messages.REGISTER or ref is None:
            log.warning("The server refused a message: %s", error)
        else:
            self._outbox.refused(ref, error)

    def _acknowledged(self, error: ProblemError | None) -> None:
        position, self._telling = self._telling, None
        if position is None:
            return
        seconds = self._ledger.succeeded(position) if error is None else self._ledger.failed(error)
        self._quiet_until = time.monotonic() + seconds
        if error is not None:
            log.warning("The position %s was not acknowledged: %s", position, error)

    def _say(self, text: str) -> None:
        """Send it if there is a connection; it is said again, or need not be, on the next."""
        link = self._link
        if link is not None and self.connected.is_set():
            try:
                link.send(text)
            except LOST:
                return

    def _lost(self) -> None:
        with self._sending:
            self._link = None
            self._telling = None
            self.connected.clear()
            self._outbox.lost(is_away=not self._at_once)

    def _wait_seconds(self, loss: Exception | None) -> float:
        if self._at_once:
            self._at_once = False
            return 0.0
        try:
            return self._route.wait_seconds(loss)
        except ProblemError as refusal:
            seconds = RECONNECT_CAP_SECONDS * random.uniform(0.5, 1.0)  # noqa: S311  no secret
            log.error("%s refuses this client (%s); next try in %.0f s.", self._address.url, refusal, seconds)
            return seconds
