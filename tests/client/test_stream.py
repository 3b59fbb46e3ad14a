"""The cursor over a stream: whatever connections break where, the consumer sees the log once and in order."""

import httpx
import msgspec
import pytest
from httpx_sse import EventSource, ServerSentEvent
from hypothesis import given
from hypothesis import strategies as st

from app.client import CINError, Event, Reset
from app.client.stream import Cursor, split_position, stream_headers, stream_params

SKILL = {"id": "s", "name": "a-skill", "resolution": "Do it."}


def event(offset: int, epoch: str = "k3f9", kind: str = "skill.captured") -> ServerSentEvent:
    data = {"id": f"{epoch}-{offset}", "offset": offset, "type": kind, "at": "2026-11-22T08:00:00Z", "skill": SKILL}
    return ServerSentEvent(event=kind, data=msgspec.json.encode(data).decode(), id=f"{epoch}-{offset}")


def here(offset: int, epoch: str = "k3f9") -> ServerSentEvent:
    """A block with only an id."""
    return ServerSentEvent(id=f"{epoch}-{offset}")


def hello(head: int, epoch: str = "k3f9") -> ServerSentEvent:
    data = {"network": "default", "epoch": epoch, "head": f"{epoch}-{head}", "earliest": f"{epoch}-1", "mode": "live"}
    return ServerSentEvent(event="hello", data=msgspec.json.encode(data).decode(), retry=2000)


def reset(head: int, epoch: str) -> ServerSentEvent:
    data = {"reason": "epoch", "earliest": f"{epoch}-1", "head": f"{epoch}-{head}"}
    return ServerSentEvent(event="reset", data=msgspec.json.encode(data).decode(), id=f"{epoch}-{head}")


connections = st.lists(
    st.tuples(
        st.integers(0, 12), st.integers(0, 6), st.booleans()
    ),  # blocks sent, overlap with before, an id-only block
    max_size=12,
)


@given(events=st.integers(0, 40), breaks=connections)
def test_cursor_over_any_split_sees_each_event_once(events: int, breaks: list[tuple[int, int, bool]]) -> None:
    cursor, seen = Cursor("k3f9-0"), list[int]()
    for length, overlap, quiet in [*breaks, (events, 0, True)]:
        assert cursor.position is not None
        start = split_position(cursor.position)[1]
        blocks = [hello(events), here(start)]
        sent = list(range(max(0, start - overlap) + 1, events + 1))[:length]
        blocks += [event(offset) for offset in sent]
        if quiet and sent:
            blocks.append(here(sent[-1]))
        seen += [item.offset for item in map(cursor.feed, blocks) if isinstance(item, Event)]
    assert seen == list(range(1, events + 1))


def frames(after: int, until: int) -> bytes:
    """What a server writes to a stream that goes on after an offset."""
    blocks = [hello(until), here(after), *(event(offset) for offset in range(after + 1, until + 1))]
    lines = (f"id: {sse.id}\nevent: {sse.event}\ndata: {sse.data}\n\n" for sse in blocks if sse.data)
    return f"retry: 2000\n\nid: k3f9-{after}\n\n{''.join(lines)}".encode()


@given(cuts=st.lists(st.integers(0, 2_000), max_size=8))
def test_cursor_over_streams_cut_at_any_byte_sees_each_event_once(cuts: list[int]) -> None:
    cursor, seen = Cursor("k3f9-0"), list[int]()
    for cut in [*cuts, None]:
        assert cursor.position is not None
        wire = frames(split_position(cursor.position)[1], until=12)[:cut]
        response = httpx.Response(200, headers={"Content-Type": "text/event-stream"}, content=wire)
        seen += [item.offset for item in map(cursor.feed, EventSource(response).iter_sse()) if isinstance(item, Event)]
    assert seen == list(range(1, 13))


@given(st.lists(st.integers(1, 30), max_size=60))
def test_cursor_whatever_arrives_yields_increasing_offsets(offsets: list[int]) -> None:
    cursor = Cursor()
    seen = [item.offset for item in map(cursor.feed, map(event, offsets)) if isinstance(item, Event)]
    assert seen == sorted(set(seen))
    assert cursor.position == (f"k3f9-{max(offsets)}" if offsets else None)


def test_cursor_moves_on_a_block_with_only_an_id() -> None:
    cursor = Cursor("k3f9-4")
    assert cursor.feed(here(9)) is None
    assert cursor.position == "k3f9-9"
    assert stream_headers(cursor.position) == {"Last-Event-ID": "k3f9-9"}


def test_cursor_does_not_move_on_hello() -> None:
    cursor = Cursor()
    assert cursor.feed(hello(42)) is None
    assert cursor.position is None
    assert cursor.hello is not None
    assert cursor.hello.head == "k3f9-42"
    assert cursor.retry_seconds == 2.0


def test_cursor_surfaces_a_reset_and_goes_on_from_its_head() -> None:
    cursor = Cursor("old1-70")
    item = cursor.feed(reset(5, "new2"))
    assert item == Reset(reason="epoch", earliest="new2-1", head="new2-5")
    assert cursor.position == "new2-5"
    assert cursor.feed(event(5, "new2")) is None
    assert isinstance(cursor.feed(event(6, "new2")), Event)


def test_cursor_passes_over_a_type_it_does_not_know() -> None:
    cursor = Cursor("k3f9-1")
    assert cursor.feed(ServerSentEvent(event="skill.praised", data="{}", id="k3f9-2")) is None
    assert cursor.position == "k3f9-2"


def test_cursor_refuses_data_it_cannot_read() -> None:
    with pytest.raises(CINError, match=r"skill\.captured"):
        Cursor().feed(ServerSentEvent(event="skill.captured", data="{", id="k3f9-1"))


def test_cursor_does_not_let_retry_zero_become_a_busy_loop() -> None:
    cursor = Cursor()
    cursor.feed(ServerSentEvent(retry=0))
    assert cursor.retry_seconds >= 0.1


@pytest.mark.parametrize("text", ["", "42", "k3f9", "k3f9-", "-4", "k3f9-x"])
def test_position_of_another_shape_is_refused(text: str) -> None:
    with pytest.raises(CINError, match="no position"):
        split_position(text)


def test_stream_params_repeat_filters_and_leave_out_what_was_not_given() -> None:
    params = stream_params({"tags": ["a", "b"], "events": []}, since=7, agent=None, strict=True)
    assert params == {"since": "7", "strict": "1", "tag": ["a", "b"]}
