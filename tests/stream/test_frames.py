"""Frames: the bytes of each wire, as the contract prints them."""

import pytest
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from app.eventlog.bounds import Bounds
from app.models.position import Position
from app.stream import frames
from app.stream.wire_socket import SOCKET, text_frame, texts
from app.stream.wire_sse import SSE
from tests.factories import make_event

BOUNDS = Bounds("k3f9", head=42, trimmed=0)


def parsed(data: bytes) -> list[str]:
    """The messages of frames, as another implementation reads them."""
    reader = StreamReader()
    reader.feed_data(data)
    found: list[str] = []
    while reader.buffer:
        parsing = Frame.parse(reader.read_exact, mask=False, max_size=None)
        with pytest.raises(StopIteration) as ended:
            next(parsing)
        frame: Frame = ended.value.value
        assert (frame.opcode, frame.fin, frame.rsv1) == (Opcode.TEXT, True, False)
        found.append(bytes(frame.data).decode())
    return found


def test_hello_is_what_the_contract_prints() -> None:
    assert SSE.hello("default", BOUNDS, Position("k3f9", 41), live=True, retry_milliseconds=2000) == (
        b"retry: 2000\n"
        b"id: k3f9-41\n"
        b"event: hello\n"
        b'data: {"network":"default","epoch":"k3f9","head":"k3f9-42","earliest":"k3f9-1","mode":"live"}\n'
        b"\n"
    )


def test_hello_says_that_a_replay_comes() -> None:
    assert b'"mode":"replay"' in SSE.hello("default", BOUNDS, Position("k3f9", 41), live=False, retry_milliseconds=1)


def test_event_is_what_the_contract_prints() -> None:
    event = make_event(43, data='{"id":"k3f9-43","offset":43}')
    assert b"".join(frames.to_frame(event, "k3f9").on(SSE)) == (
        b'id: k3f9-43\nevent: skill.captured\ndata: {"id":"k3f9-43","offset":43}\n\n'
    )


def test_frame_carries_what_filters_look_at() -> None:
    event = make_event(7, type="skill.retired", error_type="E", error_type_before="D", tags=frozenset({"a"}))
    frame = frames.to_frame(event, "k3f9")
    assert (frame.offset, frame.type, frame.error_types) == (7, "skill.retired", ("E", "D"))
    assert frame.tags == {"a"}


def test_reset_carries_the_head_as_its_id() -> None:
    assert SSE.reset("expired", Bounds("k3f9", head=42, trimmed=7)) == (
        b'id: k3f9-42\nevent: reset\ndata: {"reason":"expired","earliest":"k3f9-8","head":"k3f9-42"}\n\n'
    )


def test_cursor_is_an_id_alone() -> None:
    assert SSE.cursor(Position("k3f9", 42)) == b"id: k3f9-42\n\n"


def test_retry_is_a_block_of_its_own() -> None:
    assert SSE.retry(1500) == b"retry: 1500\n\n"


# The socket's wire


@pytest.mark.parametrize("length", [0, 1, 125, 126, 127, 65_535, 65_536, 200_000])
def test_text_frame_is_read_by_others_and_here(length: int) -> None:
    messages = ["x" * length, "é" * (length // 2)]
    data = b"".join(text_frame(each.encode()) for each in messages)
    assert parsed(data) == list(texts(data)) == messages


@pytest.mark.parametrize("size", [2, 40, 200, 70_000])
def test_event_is_one_message(size: int) -> None:
    event = make_event(43, data=f'"{"x" * (size - 2)}"')
    assert parsed(b"".join(frames.to_frame(event, "k3f9").on(SOCKET))) == [
        f'{{"type":"event","id":"k3f9-43","event":"skill.captured","data":{event.data}}}'
    ]


def test_frame_is_encoded_once_for_a_wire_and_shares_its_data() -> None:
    frame = frames.to_frame(make_event(1), "k3f9")
    assert frame.on(SOCKET) is frame.on(SOCKET)
    assert frame.on(SOCKET)[1] is frame.on(SSE)[1] is frame.data


def test_socket_says_hello_without_a_retry() -> None:
    assert parsed(SOCKET.hello("default", BOUNDS, Position("k3f9", 41), live=True, retry_milliseconds=2000)) == [
        '{"type":"hello","network":"default","epoch":"k3f9","head":"k3f9-42","earliest":"k3f9-1","mode":"live"}'
    ]


def test_socket_moves_the_cursor_after_a_reset() -> None:
    assert parsed(SOCKET.reset("expired", Bounds("k3f9", head=42, trimmed=7))) == [
        '{"type":"event","event":"reset","data":{"reason":"expired","earliest":"k3f9-8","head":"k3f9-42"}}',
        '{"type":"position","id":"k3f9-42"}',
    ]


def test_socket_says_when_to_come_back() -> None:
    assert parsed(SOCKET.retry(1500)) == ['{"type":"retry","milliseconds":1500}']
