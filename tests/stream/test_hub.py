"""The hub: history then live without a seam, each reader at its own pace, and an end for those that take nothing."""

import asyncio
from pathlib import Path

import pytest

from app.errors import StreamLimitReached, Unavailable
from app.eventlog.notifier import LocalNotifier, Wake
from app.models.position import Position
from app.skills.filters import EventFilter
from app.stream.frames import Wire
from app.stream.hub import STREAMS_AT_ONCE
from app.stream.start import Start
from app.stream.wire_socket import SOCKET
from app.stream.wire_sse import SSE
from tests.inside import run, until, within
from tests.stream.hubs import BrokenDirectReader, BrokenReader, CostlyReader, DirectReader, Reader, streaming

BIG = f'"{"x" * 100_000}"'


class LostWakes(LocalNotifier):
    """A notifier whose wakes never come."""

    def listen(self, network_id: int) -> Wake:
        return Wake()


@pytest.fixture(params=[SSE, SOCKET], ids=["sse", "socket"], autouse=True)
def wire(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Wire:
    """What every reader of a test reads: the hub does not know one wire from the other."""
    monkeypatch.setattr(Reader, "wire", request.param)
    return Reader.wire


def numbers(first: int, last: int) -> list[int]:
    return list(range(first, last + 1))


# History, then live


@pytest.mark.parametrize("kind", [Reader, DirectReader])
def test_live_stream_gets_every_event_in_order(tmp_path: Path, kind: type[Reader]) -> None:
    async def go() -> list[int]:
        async with streaming(tmp_path) as here:
            reader = kind()
            here.connect(reader)
            for number in (1, 3, 1, 600):
                await here.append(number)
            await until(lambda: len(reader.offsets) == 605)
            return reader.offsets

    assert run(go()) == numbers(1, 605)


def test_stream_begins_right_after_where_it_asked(tmp_path: Path) -> None:
    async def go() -> list[list[int]]:
        async with streaming(tmp_path) as here:
            await here.append_and_follow(5)
            readers = [Reader() for _ in range(6)]
            for after, reader in enumerate(readers):
                here.connect(reader, after)
            await here.append_and_follow(1)
            await until(lambda: all(reader.offsets[-1:] == [6] for reader in readers))
            return [reader.offsets for reader in readers]

    assert run(go()) == [numbers(after + 1, 6) for after in range(6)]


def test_stream_from_before_the_ring_is_served_from_the_log(tmp_path: Path) -> None:
    async def go() -> tuple[list[int], float]:
        async with streaming(tmp_path, ring_events=5) as here:
            await here.append_and_follow(1_200)
            reader = Reader()
            here.connect(reader, 0)
            await until(lambda: len(reader.offsets) == 1_200)
            await here.append(2)
            await until(lambda: len(reader.offsets) == 1_202)
            return reader.offsets, here.measured("cin_log_reads_total")

    offsets, reads = run(go())
    assert offsets == numbers(1, 1_202)
    assert reads == 3


def test_replay_and_live_meet_without_gap_or_repeat(tmp_path: Path) -> None:
    async def go() -> list[list[int]]:
        async with streaming(tmp_path, ring_events=20) as here:
            readers: list[Reader] = []
            for n in range(60):  # a stream begins at another place, in the ring or before it, between every two appends
                readers.append(Reader())
                here.connect(readers[-1], here.hub.bounds.head * (n % 4) // 3)
                await here.append(1 + n % 3)
            await until(lambda: all(reader.offsets[-1:] == [120] for reader in readers))
            return [reader.offsets for reader in readers]

    for offsets in run(go()):
        assert offsets == numbers(offsets[0], 120)


def test_hub_that_starts_on_a_long_log_serves_all_of_it(tmp_path: Path) -> None:
    async def go() -> tuple[str, list[int]]:
        async with streaming(tmp_path) as here:
            await here.append(700)
        async with streaming(tmp_path, ring_events=50) as here:
            reader = Reader()
            here.connect(reader, 0)
            await until(lambda: len(reader.offsets) == 700)
            return str(here.hub.bounds.position(here.hub.bounds.head)), reader.offsets

    head, offsets = run(go())
    assert head.endswith("-700")
    assert offsets == numbers(1, 700)


def test_hub_follows_though_every_wake_is_lost(tmp_path: Path) -> None:
    async def go() -> list[int]:
        async with streaming(tmp_path, notifier=LostWakes(), poll_seconds=0.01) as here:
            reader = Reader()
            here.connect(reader)
            for _ in range(5):
                await here.append(2)
            await until(lambda: len(reader.offsets) == 10)
            return reader.offsets

    assert run(go()) == numbers(1, 10)


def test_more_streams_than_are_served_at_once_all_get_it(tmp_path: Path) -> None:
    async def go() -> tuple[list[list[int]], float]:
        async with streaming(tmp_path) as here:
            readers = [DirectReader() for _ in range(STREAMS_AT_ONCE * 2 + 1)]
            for reader in readers:
                here.connect(reader)
            for _ in range(20):
                await here.append(1)
            await until(lambda: all(len(reader.offsets) == 20 for reader in readers))
            return [reader.offsets for reader in readers], here.measured("cin_deliveries_total")

    offsets, delivered = run(go())
    assert all(each == numbers(1, 20) for each in offsets)
    assert delivered == 20 * (STREAMS_AT_ONCE * 2 + 1)


def test_what_is_captured_while_the_hub_rests_goes_out_in_one_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.stream.hub.REST_SECONDS", 1)

    async def go() -> tuple[list[int], int]:
        async with streaming(tmp_path) as here:
            reader = CostlyReader(0.3)
            here.connect(reader)
            await here.append(1)
            await until(lambda: reader.writes == 1)
            for _ in range(4):
                await here.append(1)
            await until(lambda: reader.offsets[-1:] == [5])
            return reader.offsets, reader.writes

    assert run(go()) == (numbers(1, 5), 2)


def test_readers_of_every_kind_side_by_side_get_every_event(tmp_path: Path) -> None:
    async def go() -> list[list[int]]:
        async with streaming(tmp_path) as here:
            await here.append_and_follow(4)
            readers = [kind() for _ in range(4) for kind in (DirectReader, Reader, BrokenDirectReader)]
            for number, reader in enumerate(readers):
                here.connect(reader, 4, EventFilter(tags=frozenset("a")) if number % 2 else None)
            await here.append(3, tags=["a"])
            await until(lambda: all(reader.offsets[-1:] == [7] or reader.aborted for reader in readers))
            return [reader.offsets for reader in readers if not isinstance(reader, BrokenDirectReader)]

    assert run(go()) == [numbers(5, 7)] * 8


# Filters and heartbeats


def test_filtered_stream_gets_what_matches_from_ring_and_log_alike(tmp_path: Path) -> None:
    async def go() -> list[list[int]]:
        async with streaming(tmp_path, ring_events=10) as here:
            for n in range(40):
                await here.append_and_follow(1, tags=["a"] if n % 3 == 0 else ["b"])
            readers = [Reader(), Reader()]
            here.connect(readers[0], 0, EventFilter(tags=frozenset({"a"})))
            here.connect(readers[1], 35, EventFilter(tags=frozenset({"a"})))
            await here.append(1, tags=["a"])
            await until(lambda: all(reader.offsets[-1:] == [41] for reader in readers))
            return [reader.offsets for reader in readers]

    assert run(go()) == [[*range(1, 41, 3), 41], [37, 40, 41]]


def test_filtered_stream_keeps_up_though_nothing_matches(tmp_path: Path) -> None:
    async def go() -> tuple[int, bytes]:
        async with streaming(tmp_path) as here:
            reader = Reader()
            stream = here.connect(reader, 0, EventFilter(tags=frozenset({"a"})))
            await here.append_and_follow(30, tags=["b"])
            await until(lambda: stream.cursor == 30)
            return stream.cursor, reader.received

    assert run(go()) == (30, b"")


def test_silent_stream_is_told_the_head(tmp_path: Path, wire: Wire) -> None:
    async def go() -> tuple[bytes, bytes, float]:
        async with streaming(tmp_path, heartbeat_seconds=0.05) as here:
            reader = Reader()
            here.connect(reader, 0, EventFilter(tags=frozenset({"a"})))
            await here.append_and_follow(30, tags=["b"])
            beat = wire.cursor(Position(here.network.epoch, 30))
            await until(lambda: beat in reader.received)
            return beat, reader.received, here.measured("cin_heartbeats_total")

    beat, received, counted = run(go())
    assert received.endswith(beat)
    assert counted >= 1


def test_heartbeat_never_runs_ahead_of_the_events_before_it(tmp_path: Path) -> None:
    async def go() -> list[list[int]]:
        async with streaming(tmp_path, heartbeat_seconds=0.0001) as here:
            readers = [DirectReader() for _ in range(STREAMS_AT_ONCE * 4)]
            for reader in readers:
                here.connect(reader)
            for _ in range(30):
                await here.append(1)
                await asyncio.sleep(0.001)
            await until(lambda: all(reader.offsets[-1:] == [30] for reader in readers))
            return [[block.offset for block in reader.blocks] for reader in readers]

    for ids in run(go()):
        assert ids == sorted(ids)
        assert [offset for n, offset in enumerate(ids) if offset not in ids[:n] and offset] == numbers(1, 30)


# Readers that are slow, or gone


def test_slow_reader_gets_everything_once_when_it_goes_on(tmp_path: Path) -> None:
    async def go() -> tuple[list[int], list[int]]:
        async with streaming(tmp_path, ring_events=10) as here:
            slow, other = Reader(), Reader()
            here.connect(slow)
            here.connect(other)
            await here.append_and_follow(2)
            slow.stop_taking()
            for _ in range(20):
                await here.append(3)
            await until(lambda: len(other.offsets) == 62)
            before = slow.offsets
            slow.go_on()
            await here.append(1)
            await until(lambda: slow.offsets[-1:] == [63])
            return before, slow.offsets

    before, after = run(go())
    assert before == [1, 2]
    assert after == numbers(1, 63)


def test_reader_that_stops_in_the_middle_of_its_replay_goes_on_there(tmp_path: Path) -> None:
    async def go() -> list[int]:
        async with streaming(tmp_path, ring_events=2) as here:
            await here.append_and_follow(30, data=BIG)
            reader = Reader()
            here.connect(reader, 0)
            await until(lambda: len(reader.offsets) >= 5)
            reader.stop_taking()
            await here.append_and_follow(3)
            reader.go_on()
            await until(lambda: reader.offsets[-1:] == [33])
            return reader.offsets

    assert run(go()) == numbers(1, 33)


def test_stalled_reader_holds_one_slice_and_no_more(tmp_path: Path) -> None:
    async def go() -> int:
        async with streaming(tmp_path, ring_events=2) as here:
            reader = Reader()
            here.connect(reader)
            reader.stop_taking()
            for _ in range(30):
                await here.append_and_follow(1, data=BIG)
            return reader.most_held

    assert run(go()) < 2 * len(BIG)


def test_stalled_reader_is_cut_and_counted(tmp_path: Path) -> None:
    async def go() -> tuple[bool, int, float]:
        async with streaming(tmp_path, stall_seconds=0.1) as here:
            stalled, reading = Reader(), Reader()
            here.connect(stalled)
            here.connect(reading)
            stalled.stop_taking()
            await here.append(1)
            await until(lambda: stalled.aborted)
            return reading.aborted, here.hub.streams, here.measured("cin_evictions_total")

    assert run(go()) == (False, 1, 1)


def test_reader_that_takes_a_little_now_and_then_is_not_cut(tmp_path: Path) -> None:
    async def go() -> bool:
        async with streaming(tmp_path, stall_seconds=0.5) as here:
            reader = Reader()
            here.connect(reader)
            reader.stop_taking()
            await here.append(1, data=BIG)
            await until(lambda: reader.held > 0)
            for _ in range(40):  # 1 s in all, twice as long as is allowed without progress
                reader.held -= 1_000
                await asyncio.sleep(0.025)
            return reader.aborted

    assert run(go()) is False


def test_quiet_reader_is_not_cut(tmp_path: Path) -> None:
    async def go() -> tuple[bool, int]:
        async with streaming(tmp_path, stall_seconds=0.02, heartbeat_seconds=0.02) as here:
            reader = Reader()
            here.connect(reader)
            await here.append(1)
            await until(lambda: len(reader.blocks) > 10)
            return reader.aborted, here.hub.streams

    assert run(go()) == (False, 1)


def test_broken_connection_is_cut_and_harms_no_other(tmp_path: Path) -> None:
    async def go() -> tuple[bool, list[int]]:
        async with streaming(tmp_path) as here:
            broken, reader = BrokenReader(), Reader()
            here.connect(broken)
            here.connect(reader)
            await here.append(2)
            await until(lambda: len(reader.offsets) == 2)
            return broken.aborted, reader.offsets

    assert run(go()) == (True, [1, 2])


def test_reader_that_was_overtaken_by_retention_is_told_and_goes_on_live(tmp_path: Path) -> None:
    async def go() -> list[tuple[str | None, str | None]]:
        async with streaming(tmp_path, ring_events=2) as here:
            reader = Reader()
            here.connect(reader)
            reader.stop_taking()
            await here.append_and_follow(1)
            await here.append_and_follow(9)
            await here.append(1, trim=8)
            assert await here.hub.reached(11, 10)
            reader.go_on()
            await until(lambda: b"reset" in reader.received)
            await here.append_and_follow(1)
            await until(lambda: reader.offsets[-1:] == [12])
            epoch = here.network.epoch
            return [(b.event, (b.id or "").removeprefix(f"{epoch}-")) for b in reader.blocks]

    assert run(go()) == [("skill.captured", "1"), ("reset", "11"), ("skill.captured", "12")]


def test_hub_that_was_overtaken_by_retention_tells_its_streams_and_goes_on(tmp_path: Path) -> None:
    async def go() -> list[tuple[str | None, str | None]]:
        async with streaming(tmp_path, notifier=LostWakes(), poll_seconds=0.02) as here:
            reader = Reader()
            await here.append(10)
            await until(lambda: here.hub.bounds.head == 10)
            here.connect(reader)
            await here.append(10, trim=15)  # in one transaction, so the hub cannot have seen 11 to 15
            await until(lambda: b"reset" in reader.received)
            await here.append(1)
            await until(lambda: reader.offsets[-1:] == [21])
            epoch = here.network.epoch
            return [(b.event, (b.id or "").removeprefix(f"{epoch}-")) for b in reader.blocks]

    blocks = run(go())
    assert blocks[0][0] == "reset"
    rest = [int(id or 0) for event, id in blocks[1:] if event == "skill.captured"]
    assert rest == numbers(int(blocks[0][1] or 0) + 1, 21)


# Coming and going


def test_stream_that_ends_leaves_nothing_behind(tmp_path: Path) -> None:
    async def go() -> tuple[int, int, float]:
        async with streaming(tmp_path) as here:
            reader = Reader()
            here.connect(reader, agent="a")
            counted = here.hub.connected["a"]
            here.close()
            await here.append_and_follow(1)
            assert reader.received == b""
            return counted, here.hub.connected["a"], here.measured("cin_streams")

    assert run(go()) == (1, 0, 0)


def test_stream_over_the_limit_is_refused_until_one_ends(tmp_path: Path) -> None:
    async def go() -> tuple[float, int]:
        async with streaming(tmp_path, max_streams=2) as here:
            here.connect(Reader())
            here.connect(Reader())
            with pytest.raises(StreamLimitReached, match="All 2 streams"):
                here.connect(Reader())
            refused = here.measured("cin_streams_refused_total", reason="limit")
            here.close()
            here.connect(Reader())
            return refused, here.hub.streams

    assert run(go()) == (1, 1)


def test_drain_ends_every_stream_in_good_order(tmp_path: Path, wire: Wire) -> None:
    async def go() -> tuple[list[bytes], list[bool], int]:
        async with streaming(tmp_path) as here:
            readers = [Reader() for _ in range(20)]
            for reader in readers:
                here.connect(reader)
            await within(here.hub.drain(0.01, 2_000))
            return [reader.received for reader in readers], [reader.finished for reader in readers], here.hub.streams

    received, finished, streams = run(go())
    assert all(each == wire.retry(2_000) for each in received)
    assert all(finished)
    assert streams == 0


def test_drain_refuses_new_streams(tmp_path: Path) -> None:
    async def go() -> bool:
        async with streaming(tmp_path) as here:
            await here.hub.drain(0, 2_000)
            with pytest.raises(Unavailable, match="stopping"):
                here.connect(Reader())
            return here.hub.is_ready

    assert run(go()) is False


def test_drain_does_not_wait_for_a_reader_that_takes_nothing(tmp_path: Path) -> None:
    async def go() -> tuple[bool, bool]:
        async with streaming(tmp_path) as here:
            stalled, reading = Reader(), Reader()
            here.connect(stalled)
            here.connect(reading)
            stalled.stop_taking()
            await within(here.hub.drain(0, 2_000), 5)
            return stalled.aborted, reading.finished

    assert run(go()) == (True, True)


def test_drain_spreads_the_ends_over_the_window(tmp_path: Path) -> None:
    async def go() -> list[int]:
        async with streaming(tmp_path) as here:
            readers = [Reader() for _ in range(10)]
            for reader in readers:
                here.connect(reader)
            draining = asyncio.create_task(here.hub.drain(0.5, 2_000))
            left: list[int] = []
            while not draining.done():
                left.append(sum(not reader.finished for reader in readers))
                await asyncio.sleep(0.01)
            return sorted(set(left), reverse=True)

    assert len(run(go())) > 5


# Growing old


def test_streams_come_of_age_one_by_one_and_end_in_good_order(tmp_path: Path) -> None:
    async def go() -> tuple[int, float]:
        async with streaming(tmp_path, max_age_seconds=0.5, heartbeat_seconds=0.1) as here:
            readers = [Reader() for _ in range(20)]
            for reader in readers:
                here.connect(reader)
            await until(lambda: any(reader.finished for reader in readers))
            left = here.hub.streams
            await until(lambda: all(reader.finished for reader in readers))
            assert all(reader.received.endswith(reader.wire.retry(2_000)) for reader in readers)
            return left, here.measured("cin_streams_aged_total")

    left, aged = run(go())
    assert (left > 5, aged) == (True, 20)


def test_drain_goes_on_while_streams_come_of_age(tmp_path: Path) -> None:
    async def go() -> list[bool]:
        async with streaming(tmp_path, max_age_seconds=0.2, heartbeat_seconds=0.05) as here:
            readers = [Reader() for _ in range(20)]
            for reader in readers:
                here.connect(reader)
            await within(here.hub.drain(0.5, 2_000), 5)
            return [reader.received.count(reader.wire.retry(2_000)) == 1 for reader in readers]

    assert run(go()) == [True] * 20


def test_stream_that_is_behind_is_not_ended_by_its_age(tmp_path: Path) -> None:
    async def go() -> tuple[bool, list[int], float]:
        async with streaming(tmp_path, max_age_seconds=0.02, stall_seconds=10) as here:
            reader = Reader()
            reader.stop_taking()
            here.connect(reader)
            await here.append_and_follow(1)
            other = Reader()
            here.connect(other)
            await until(lambda: other.finished)
            await until(lambda: here.measured("cin_streams_behind") == 1)
            ended = reader.finished
            reader.go_on()
            await until(lambda: reader.finished)
            return ended, reader.offsets, here.measured("cin_streams_aged_total")

    assert run(go()) == (False, [1], 2)


# A crowd


def test_streams_far_behind_share_what_is_read_of_the_log(tmp_path: Path) -> None:
    async def go() -> tuple[list[list[int]], float]:
        async with streaming(tmp_path, ring_events=5) as here:
            await here.append_and_follow(1_200)
            readers = [Reader() for _ in range(100)]
            for number, reader in enumerate(readers):
                here.connect(reader, 3 * number)
            last = str(here.hub.bounds.position(1_200)).encode()
            await until(lambda: all(last in reader.received[-1_000:] for reader in readers))
            return [reader.offsets for reader in readers], here.measured("cin_log_reads_total")

    offsets, reads = run(go())
    assert offsets == [numbers(3 * number + 1, 1_200) for number in range(100)]
    assert reads < 12


def test_many_heartbeats_leave_turns_to_others(tmp_path: Path) -> None:
    async def go() -> int:
        async with streaming(tmp_path, heartbeat_seconds=0.2) as here:
            readers = [DirectReader() for _ in range(5 * STREAMS_AT_ONCE)]
            for reader in readers:
                here.connect(reader)
            most = had = 0
            async with asyncio.timeout(10):
                while had < len(readers):
                    await asyncio.sleep(0)
                    beaten = sum(bool(reader.received) for reader in readers)
                    most, had = max(most, beaten - had), beaten
            return most

    assert run(go()) <= STREAMS_AT_ONCE


# Where things stand


@pytest.mark.parametrize(
    ("asked", "start"),
    [("now", Start(5)), ("earliest", Start(0)), (3, Start(3)), (0, Start(0)), (6, Start(5, "ahead"))],
)
def test_place_is_found_in_the_log(tmp_path: Path, asked: int | str, start: Start) -> None:
    async def go() -> Start:
        async with streaming(tmp_path, ring_events=2) as here:
            await here.append_and_follow(5)
            return await here.hub.locate(asked)  # type: ignore[arg-type]  # words as `since` has them

    assert run(go()) == start


def test_place_that_was_trimmed_is_expired_at_once(tmp_path: Path) -> None:
    async def go() -> tuple[Start, Start]:
        async with streaming(tmp_path, ring_events=2) as here:
            await here.append_and_follow(5)
            await here.append(1, trim=3)
            assert await here.hub.reached(6, 10)
            return await here.hub.locate(2), await here.hub.locate("earliest")

    assert run(go()) == (Start(6, "expired"), Start(3))


def test_place_that_the_hub_has_not_come_to_yet_is_waited_for(tmp_path: Path) -> None:
    async def go() -> tuple[Start, int]:
        async with streaming(tmp_path, notifier=LostWakes(), poll_seconds=0.05) as here:
            await here.append(4)
            asked = Position(here.network.epoch, 4)
            return await within(here.hub.locate(asked)), here.hub.bounds.head

    assert run(go()) == (Start(4), 4)
