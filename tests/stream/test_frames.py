"""Frames: the bytes of the wire, as the contract prints them."""

from app.eventlog.log import Bounds
from app.models.position import Position
from app.stream import frames
from tests.factories import make_event

BOUNDS = Bounds("k3f9", head=42, trimmed=0)


def test_hello_is_what_the_contract_prints() -> None:
    assert frames.hello("default", BOUNDS, live=True, retry_milliseconds=2000) == (
        b"retry: 2000\n"
        b"event: hello\n"
        b'data: {"network":"default","epoch":"k3f9","head":"k3f9-42","earliest":"k3f9-1","mode":"live"}\n'
        b"\n"
    )


def test_hello_says_that_a_replay_comes() -> None:
    assert b'"mode":"replay"' in frames.hello("default", BOUNDS, live=False, retry_milliseconds=1)


def test_event_is_what_the_contract_prints() -> None:
    event = make_event(43, data='{"id":"k3f9-43","offset":43}')
    assert frames.to_frame(event, "k3f9").sse == (
        b'id: k3f9-43\nevent: skill.captured\ndata: {"id":"k3f9-43","offset":43}\n\n'
    )


def test_frame_carries_what_filters_look_at() -> None:
    event = make_event(7, type="skill.retired", error_type="E", tags=frozenset({"a"}))
    frame = frames.to_frame(event, "k3f9")
    assert (frame.offset, frame.type, frame.error_type) == (7, "skill.retired", "E")
    assert frame.tags == {"a"}


def test_reset_carries_the_head_as_its_id() -> None:
    assert frames.reset("expired", Bounds("k3f9", head=42, trimmed=7)) == (
        b'id: k3f9-42\nevent: reset\ndata: {"reason":"expired","earliest":"k3f9-8","head":"k3f9-42"}\n\n'
    )


def test_cursor_is_an_id_alone() -> None:
    assert frames.cursor(Position("k3f9", 42)) == b"id: k3f9-42\n\n"


def test_retry_is_a_block_of_its_own() -> None:
    assert frames.retry(1500) == b"retry: 1500\n\n"
