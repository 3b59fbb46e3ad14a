"""The ring and its slices: however frames are cut, a reader gets the same bytes once, in pieces of bounded size."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.skills.filters import EventFilter
from app.stream.frames import Frame, Wire, to_frame
from app.stream.ring import SLICE_BYTES, Ring, slices
from app.stream.wire_socket import SOCKET
from app.stream.wire_sse import SSE
from tests.factories import make_event

ALL = EventFilter()
EPOCH = "k3f9"
wires = st.sampled_from((SSE, SOCKET))
sizes = st.lists(st.integers(1, SLICE_BYTES + 100) | st.integers(1, 50), max_size=30)


def frame(offset: int, size: int = 10, tags: frozenset[str] = frozenset()) -> Frame:
    return to_frame(make_event(offset, data=f'"{offset:x>{size}}"', tags=tags), EPOCH)


def filled(ring: Ring, number: int, *, size: int = 10) -> Ring:
    for _ in range(number):
        ring.append(frame(ring.head + 1, size, frozenset({"odd"} if ring.head % 2 == 0 else ())))
    return ring


def written(frame: Frame, wire: Wire = SSE) -> bytes:
    return b"".join(frame.on(wire))


def read(ring: Ring, after: int, event_filter: EventFilter = ALL, wire: Wire = SSE) -> bytes:
    found = b""
    while after < ring.head:
        piece = ring.after(after, event_filter, wire)
        assert piece is not None
        assert piece.end > after
        found += piece.data
        after = piece.end
    return found


@given(sizes, wires)
def test_slices_together_are_all_frames(sizes: list[int], wire: Wire) -> None:
    frames = [frame(offset, size) for offset, size in enumerate(sizes, 1)]
    pieces = list(slices(frames, 0, len(frames), ALL, wire))
    assert b"".join(piece.data for piece in pieces) == b"".join(written(each, wire) for each in frames)
    assert sum(piece.events for piece in pieces) == len(frames)


@given(sizes, wires)
def test_slice_is_bounded_one_large_frame_aside(sizes: list[int], wire: Wire) -> None:
    for piece in slices((frame(offset, size) for offset, size in enumerate(sizes, 1)), 0, len(sizes), ALL, wire):
        assert len(piece.data) <= SLICE_BYTES or piece.events == 1


@given(sizes, st.integers(0, 30))
def test_slices_end_where_the_next_begins(sizes: list[int], further: int) -> None:
    frames = [frame(offset, size) for offset, size in enumerate(sizes, 1)]
    came_to = 0
    for piece in slices(frames, 0, len(frames) + further, ALL, SSE):
        assert piece.data == b"".join(written(each) for each in frames[came_to : came_to + piece.events])
        came_to += piece.events
        assert piece.end in (came_to, len(frames) + further)
    assert piece.end == len(frames) + further


@given(st.lists(st.booleans(), max_size=20))
def test_filtered_slices_hold_what_matches_and_reach_the_end(matching: list[bool]) -> None:
    frames = [frame(n, tags=frozenset({"a"} if match else ())) for n, match in enumerate(matching, 1)]
    pieces = list(slices(frames, 0, len(frames), EventFilter(tags=frozenset({"a"})), SSE))
    assert b"".join(piece.data for piece in pieces) == b"".join(written(each) for each in frames if each.tags)
    assert pieces[-1].end == len(frames)


@given(sizes, st.integers(0, 30), wires)
def test_ring_read_from_anywhere_gives_the_rest(sizes: list[int], after: int, wire: Wire) -> None:
    ring = Ring(epoch=EPOCH, max_events=100, max_bytes=10**9, head=0)
    for size in sizes:
        ring.append(frame(ring.head + 1, size))
    wanted = b"".join(written(frame(offset, size), wire) for offset, size in enumerate(sizes, 1) if offset > after)
    assert read(ring, after, wire=wire) == wanted


@given(st.lists(st.integers(1, 400), max_size=40), st.integers(1, 10), st.integers(1, 2_000), wires)
def test_ring_is_bounded_in_events_and_bytes(sizes: list[int], max_events: int, max_bytes: int, wire: Wire) -> None:
    ring = Ring(epoch=EPOCH, max_events=max_events, max_bytes=max_bytes, head=0)
    for size in sizes:
        ring.append(frame(ring.head + 1, size))
        kept = read(ring, ring.start, wire=wire)
        assert ring.head - ring.start <= max_events
        assert len(kept) <= max_bytes or ring.head - ring.start == 1


def test_ring_always_keeps_the_newest_frame() -> None:
    ring = Ring(epoch=EPOCH, max_events=5, max_bytes=1, head=0)
    ring.append(frame(1, 1_000))
    assert read(ring, 0) == written(frame(1, 1_000))


def test_ring_says_when_it_does_not_go_back_so_far() -> None:
    ring = filled(Ring(epoch=EPOCH, max_events=3, max_bytes=10**6, head=0), 5)
    assert ring.start == 2
    assert ring.after(1, ALL, SSE) is None
    assert ring.after(2, ALL, SSE) is not None


def test_ring_at_its_head_has_nothing_more() -> None:
    piece = filled(Ring(epoch=EPOCH, max_events=3, max_bytes=10**6, head=7), 2).after(9, ALL, SSE)
    assert piece is not None
    assert (piece.data, piece.end, piece.events) == (b"", 9, 0)


def test_ring_refuses_a_frame_that_would_leave_a_hole() -> None:
    ring = filled(Ring(epoch=EPOCH, max_events=3, max_bytes=10**6, head=0), 2)
    for offset in (2, 4):
        with pytest.raises(ValueError, match="does not come after 2"):
            ring.append(frame(offset))


def test_ring_that_restarts_has_nothing_of_before() -> None:
    ring = filled(Ring(epoch=EPOCH, max_events=3, max_bytes=10**6, head=0), 3)
    ring.after(0, ALL, SSE)
    ring.restart(10)
    assert (ring.start, ring.head, ring.bounds.head) == (10, 10, 10)
    assert ring.after(2, ALL, SSE) is None
    filled(ring, 3)
    assert read(ring, 10) == b"".join(written(frame(n, tags=frozenset())) for n in (11, 12, 13))


def test_ring_shares_one_slice_among_readers_at_one_place() -> None:
    ring = filled(Ring(epoch=EPOCH, max_events=10, max_bytes=10**6, head=0), 3)
    first = ring.after(1, ALL, SSE)
    assert ring.after(1, ALL, SSE) is first
    assert ring.after(1, ALL, SOCKET) is not first
    assert ring.after(1, ALL, SOCKET) is ring.after(1, ALL, SOCKET)
    filled(ring, 1)
    assert ring.after(1, ALL, SSE) != first


def test_ring_filters_what_it_gives() -> None:
    ring = filled(Ring(epoch=EPOCH, max_events=10, max_bytes=10**6, head=0), 4)
    odd = EventFilter(tags=frozenset({"odd"}))
    assert read(ring, 0, odd) == written(frame(1, tags=odd.tags)) + written(frame(3, tags=odd.tags))
