"""The shared state at the moments that matter: an answer that never came, an event nobody wanted yet, silence."""

import logging
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from app.client import CaptureKept, Event, InvalidInput, OutboxFull, Reset, SharedStateClient, Unavailable
from app.client import listener as listener_module
from app.client.link import open_link
from app.client.outbox import ON_THEIR_WAY
from app.client.wire import Address
from tests.client.sockets import Peer, talking
from tests.server import wait_until

pytestmark = pytest.mark.usefixtures("soon")


class Seen:
    """What callbacks were given."""

    def __init__(self, shared: SharedStateClient) -> None:
        self.offsets: list[int] = []
        self.resets: list[Reset] = []
        shared.on_reset(self.resets.append)
        shared.on_skill(self._note)
        shared.register_capability("listens")

    def _note(self, event: Event) -> None:
        self.offsets.append(event.offset)

    def wait(self, *offsets: int) -> None:
        wait_until(lambda: self.offsets == list(offsets), what=f"{offsets}, and not {self.offsets},")


def test_capture_without_an_answer_is_sent_again_with_its_key() -> None:
    heard: list[dict[str, Any]] = []

    def die(peer: Peer) -> None:
        peer.welcome()
        heard.append(peer.hear("capture"))

    def live(peer: Peer) -> None:
        peer.welcome()
        heard.append(peer.hear("capture"))
        peer.answer(heard[-1])
        peer.stay()

    with talking(die, live) as url, SharedStateClient(url) as shared:
        assert shared.capture(pattern="EADDRINUSE", resolution="Stop it.").skill.pattern == "EADDRINUSE"
        assert shared.kept == 0
    assert heard[0] == heard[1]
    assert heard[0]["idempotency_key"]


@pytest.mark.parametrize(("status", "kind"), [(503, "about:blank"), (409, "/problems/idempotency-key-in-use")])
def test_capture_that_cannot_be_taken_now_is_sent_again(status: int, kind: str) -> None:
    def talk(peer: Peer) -> None:
        peer.welcome()
        first = peer.hear("capture")
        peer.refuse(first, status, kind)
        assert peer.hear("capture") == first
        peer.answer(first)
        peer.stay()

    with talking(talk) as url, SharedStateClient(url) as shared:
        assert shared.capture(pattern="EADDRINUSE", resolution="Stop it.").created


def test_capture_that_breaks_a_rule_raises_and_is_kept_no_longer() -> None:
    def talk(peer: Peer) -> None:
        peer.welcome()
        peer.refuse(peer.hear("capture"), 422)
        peer.stay()

    with talking(talk) as url, SharedStateClient(url) as shared:
        with pytest.raises(InvalidInput):
            shared.capture(resolution="Stop it.")
        assert shared.kept == 0


def test_captures_are_sent_in_order_and_few_at_a_time() -> None:
    heard: list[str] = []

    def talk(peer: Peer) -> None:
        peer.welcome()
        waiting = [peer.hear("capture") for _ in range(ON_THEIR_WAY)]
        with pytest.raises(TimeoutError):
            peer._connection.recv(0.1)
        while waiting:
            peer.answer(waiting[0])
            heard.append(waiting.pop(0)["skill"]["pattern"])
            if len(heard) + len(waiting) < 20:
                waiting.append(peer.hear("capture"))
        peer.stay()

    with talking(talk) as url, SharedStateClient(url) as shared:
        answers = [shared.capture_later(pattern=f"error {n}", resolution="Stop it.") for n in range(20)]
        assert all(shared.wait(answer, 10) for answer in answers)
    assert heard == [f"error {n}" for n in range(20)]


def test_more_than_may_be_kept_is_refused_with_a_sentence() -> None:
    with SharedStateClient("ws://127.0.0.1:9", most_kept=2) as shared:
        for number in range(2):
            shared.capture_later(pattern=f"error {number}", resolution="Stop it.")
            shared.outcome("s", success=True)
        with pytest.raises(OutboxFull, match="2 captures or outcomes wait for the server"):
            shared.capture_later(pattern="error 3", resolution="Stop it.")
        with pytest.raises(OutboxFull):
            shared.outcome("s", success=True)
        assert shared.kept == 4


def test_capture_with_nobody_there_says_that_it_is_kept() -> None:
    with SharedStateClient("ws://127.0.0.1:9") as shared:
        with pytest.raises(CaptureKept, match=r"within 0\.05 s. It is kept"):
            shared.capture(pattern="EADDRINUSE", resolution="Stop it.", timeout=0.05)
        assert shared.kept == 1


def test_lost_connection_goes_on_at_the_last_position_and_drops_repeats() -> None:
    since: list[Any] = []

    def first(peer: Peer) -> None:
        since.append(peer.welcome().get("since"))
        peer.wait_for_listener()
        peer.event(1)
        peer.event(2)

    def second(peer: Peer) -> None:
        since.append(peer.welcome(2).get("since"))
        peer.event(2)
        peer.event(3)
        peer.stay()

    with talking(first, second) as url, SharedStateClient(url, since="earliest") as shared:
        Seen(shared).wait(1, 2, 3)
    assert since == ["earliest", "k3f9-2"]


def test_events_before_the_first_callback_wait_for_it() -> None:
    told = threading.Event()

    def first(peer: Peer) -> None:
        peer.welcome()
        peer.event(1)
        peer.event(2)
        told.set()
        peer.stay()

    def second(peer: Peer) -> None:
        assert peer.welcome()["since"] == "k3f9-0"
        peer.event(1)
        peer.event(2)
        peer.stay()

    with talking(first, second) as url, SharedStateClient(url) as shared:
        assert told.wait(10)
        wait_until(lambda: shared._listener._left_some)
        assert shared.position == "k3f9-0"
        Seen(shared).wait(1, 2)


def test_capture_inside_a_callback_is_answered_and_events_keep_their_order() -> None:
    def talk(peer: Peer) -> None:
        peer.welcome()
        peer.wait_for_listener()
        peer.event(1)
        capture = peer.hear("capture")
        peer.event(2)
        peer.event(3)
        peer.answer(capture)
        peer.stay()

    with talking(talk) as url, SharedStateClient(url) as shared:
        captured: list[bool] = []

        @shared.on_skill
        def note(event: Event) -> None:
            if event.offset == 1:
                captured.append(shared.capture(pattern="EADDRINUSE", resolution="Stop it.").created)

        Seen(shared).wait(1, 2, 3)
        assert captured == [True]


def test_callback_that_raises_is_logged_and_stops_no_other(caplog: pytest.LogCaptureFixture) -> None:
    def talk(peer: Peer) -> None:
        peer.welcome()
        peer.wait_for_listener()
        peer.event(1)
        peer.event(2)
        peer.stay()

    with talking(talk) as url, SharedStateClient(url) as shared, caplog.at_level(logging.ERROR, "app.client"):
        shared.on_skill(lambda event: 1 // 0)
        Seen(shared).wait(1, 2)
    assert [record.exc_info is not None for record in caplog.records] == [True, True]


def test_what_callbacks_have_seen_is_acknowledged_the_last_when_it_closes() -> None:
    acknowledged: list[str] = []

    def talk(peer: Peer) -> None:
        assert peer.path == "/ws?agent=builder"
        peer.welcome()
        peer.wait_for_listener()
        for offset in range(1, 201):
            peer.event(offset)
        while True:
            said = peer.hear("ack")
            acknowledged.append(said["position"])
            peer.say(type="done", ref=said["ref"])

    with talking(talk) as url, SharedStateClient(url, agent="builder") as shared:
        seen = Seen(shared)
        wait_until(lambda: len(seen.offsets) == 200)
    wait_until(lambda: acknowledged[-1:] == ["k3f9-200"])
    assert len(acknowledged) < 20


def test_position_file_has_what_callbacks_have_seen(tmp_path: Path) -> None:
    file = tmp_path / "position"

    def talk(peer: Peer) -> None:
        peer.welcome()
        peer.wait_for_listener()
        peer.event(1)
        peer.stay()

    with talking(talk) as url, SharedStateClient(url, position_file=file) as shared:
        at: list[str] = []
        shared.on_skill(lambda event: at.append(file.read_text()))
        shared.register_capability("listens")
        wait_until(lambda: file.exists() and file.read_text() == "k3f9-1\n")
        assert at == ["k3f9-0\n"]


def test_silent_connection_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener_module, "SILENCE_SECONDS", 0.1)

    def silent(peer: Peer) -> None:
        peer.welcome()
        peer.stay()

    def live(peer: Peer) -> None:
        peer.welcome()
        peer.event(1)
        peer.stay()

    with talking(silent, live) as url, SharedStateClient(url) as shared:
        Seen(shared).wait(1)


def test_capability_is_said_on_every_connection() -> None:
    said: list[str] = []

    def talk(peer: Peer) -> None:
        peer.welcome()
        said.append(peer.hear("register_capability")["capability"])

    with talking(talk, talk) as url, SharedStateClient(url) as shared:
        shared.register_capability("skill_broadcast")
        wait_until(lambda: said == ["skill_broadcast"] * 2)


def test_connection_without_a_subscription_does_not_count() -> None:
    with talking() as url, SharedStateClient(url.replace("ws://", "http://")) as shared:
        assert not shared.wait_connected(0.2)
        assert not shared.connected


def test_handshake_that_is_refused_raises_the_problem() -> None:
    problem = b'{"type":"/problems/stream-limit-reached","status":503,"detail":"Too many streams."}'
    head = f"HTTP/1.1 503 Busy\r\nRetry-After: 5\r\nContent-Length: {len(problem)}\r\n\r\n".encode()

    def refuse(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(head + problem)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=refuse, args=(listening,))
        thread.start()
        address = Address.resolve(f"ws://127.0.0.1:{listening.getsockname()[1]}/ws", "builder", None)
        with pytest.raises(Unavailable, match="Too many streams") as caught, open_link(address, 5):
            pass
        thread.join()
    assert caught.value.retry_after == 5
