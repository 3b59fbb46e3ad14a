"""The change clock: another text after every change, and in every life of a process."""

from app.storage.change_clock import ChangeClock


def test_clock_shows_another_text_after_every_change() -> None:
    clock = ChangeClock()
    seen = {clock.now}
    for _ in range(1_000):
        clock.tick()
        seen.add(clock.now)
    assert len(seen) == 1_001


def test_clock_stands_still_without_changes() -> None:
    clock = ChangeClock()
    assert clock.now == clock.now


def test_clocks_of_two_lives_never_show_the_same() -> None:
    one, other = ChangeClock(), ChangeClock()
    times = [set[str](), set[str]()]
    for clock, seen in zip((one, other), times, strict=True):
        for _ in range(100):
            clock.tick()
            seen.add(clock.now)
    assert not times[0] & times[1]
