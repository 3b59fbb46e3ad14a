"""Journey: many streams are cut at once and come back; the long form is `poe bench-storm`."""

from pathlib import Path

from benchmarks.storm import Plan, storm
from tests.server import Server


def test_storm_is_caught_up_without_gap_or_repeat_and_shares_its_pages(tmp_path: Path) -> None:
    """Ten clients are far behind the ring, each at a place of its own: 4,000 events of theirs lie on few pages."""
    plan = Plan(log=1_000, ring=200, near=50, retry_seconds=(0, 0.2), quiet_seconds=0.2)
    with Server(tmp_path, ring_events=str(plan.ring)) as server:
        seen = storm(server, 200, plan)
    assert (seen.gaps, seen.repeats, seen.resets, seen.refused) == (0, 0, 0, 0)
    assert 0 < seen.pages < 10
