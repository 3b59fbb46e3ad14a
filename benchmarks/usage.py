"""What a server and the processes it has started take, by /proc: processor time and memory."""

from collections.abc import Iterator
from pathlib import Path


def cpu_seconds(pid: int) -> float:
    """Time that they have computed, also those that have ended since."""
    return sum(sum(int(ticks) for ticks in _stat(each)[11:15]) for each in _family(pid)) / 100


def mebibytes(pid: int) -> float:
    """Memory that they hold; what several of them share is counted once."""
    return sum(_proportional_kib(each) for each in _family(pid)) / 1024


def _family(pid: int) -> Iterator[int]:
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            yield from _family(int(child))


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()


def _proportional_kib(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0
