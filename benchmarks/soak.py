"""The journeys of `tests/journeys` in their long form: crashes, stalls, seams and full disks, under the checker.

`poe soak [--minutes N] [--passes N] [--seed N] [--only NAME]`. `flat` is the long one: nine tenths of the time if that is
less than 30 minutes. It ends by itself, after its passes or when the time is
up. A journey that fails leaves its history and its server's files in a folder that is printed; the same seed makes the
same choices again. Exit code 1 if a journey failed, or could not be run in the time.
"""

import argparse
import asyncio
import logging
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.flat import stay_flat
from benchmarks.syncs import captures_and_syncs
from tests.journeys.connects import connect_at_random
from tests.journeys.crashes import end_at_random, head_of
from tests.journeys.deaths import capture_unheard, capture_while_it_dies, dying
from tests.journeys.disk import fill_the_database, fill_the_disk
from tests.journeys.failover import fail_over_again_and_again
from tests.journeys.history import History
from tests.journeys.judging import judge
from tests.journeys.rolling import roll_under_load
from tests.journeys.stalls import MIB, never_read, read_little, stop_readers
from tests.journeys.trimming import trim_under_readers
from tests.server import SERVE, Server
from tests.workers import Workers, postgres_running

log = logging.getLogger("journeys")

EXPIRED = frozenset({"expired"})
CONNECTS, STOPPED_SECONDS, STOPPED_READERS = 1_000, 20, 40


class Broken(Exception):
    """What a journey has shown that must not be."""


@dataclass(frozen=True)
class Journey:
    """`run` gets a folder, a history to fill and a seed, returns what there is to tell, and raises what is wrong."""

    name: str
    run: Callable[[Path, History, int], Awaitable[str]]
    resets: frozenset[str] = frozenset()


async def ends(folder: Path, history: History, seed: int, *, rounds: int, end: Callable[[Server], object]) -> str:
    with Server(folder, program=SERVE, retry_milliseconds="100") as server:
        await end_at_random(server, history, rounds=rounds, seed=seed, end=end, between=1_500)
        head = await head_of(server)
    unknown = sum(each.outcome == "unknown" for each in history.tries)
    return f"{rounds} times, {head} events, {unknown} tries of unknown outcome"


async def killed_workers(folder: Path, history: History, seed: int) -> str:
    chance = random.Random(seed)

    def kill_one(server: Workers) -> None:
        server.kill_worker(chance.randrange(server.workers))

    with four_workers(folder) as server:
        all_serve = Workers.wait_until_all_serve
        await end_at_random(server, history, rounds=20, seed=seed, end=kill_one, begin=all_serve, between=1_500)
        head = await head_of(server)
    return f"20 of 4 workers' processes, {head} events"


async def rolled_workers(folder: Path, history: History, seed: int) -> str:
    rounds = 5
    with four_workers(folder) as server:
        await roll_under_load(server, history, rounds=rounds, seed=seed)
    ways = {name: len(way) for name, way in history.by_subscriber().items() if name != "witness"}
    if set(ways.values()) != {1 + rounds}:
        raise Broken(f"after {rounds} restarts not every subscriber has connected {1 + rounds} times: {ways}")
    refused = [each.status for each in history.tries if each.status >= 500]
    if refused:
        raise Broken(f"captures were answered {refused}")
    return f"{rounds} times, {len(ways)} streams, each cut once a time; {len(history.tries)} steps of captures"


@contextmanager
def four_workers(folder: Path) -> Iterator[Workers]:
    with (
        postgres_running() as postgres,
        Workers(folder, postgres.new(), 4, retry_milliseconds="100", drain_seconds="3") as server,
    ):
        server.wait_until_all_serve()
        yield server


async def failovers(folder: Path, history: History, seed: int) -> str:
    gaps = await fail_over_again_and_again(folder, history, rounds=20)
    return (
        f"the primary killed and its standby promoted {len(gaps)} times, captures stopped for {max(gaps):.1f} s at most"
    )


async def deaths(folder: Path, history: History, seed: int) -> str:
    with dying(folder) as (server, trigger):
        for _ in range(3):
            await capture_while_it_dies(server, trigger, history, "answer")
            await capture_while_it_dies(server, trigger, history, "wake")
            await capture_unheard(server, trigger, history, restart=True)
            await capture_unheard(server, trigger, history, restart=False)
    return "before the answer, before the fan-out, between them, and with the wake lost, 3 times each"


async def seams(folder: Path, history: History, seed: int) -> str:
    with Server(folder, program=SERVE, ring_events="100") as server:
        started = time.monotonic()
        for part in range(10):
            await connect_at_random(server, history, connects=CONNECTS // 10, seed=seed + part)
            judge(history, folder)
            history.connections.clear()  # they would fill the memory
        head, reads = await head_of(server), server.metric("cin_log_reads_total")
        rate = head / (time.monotonic() - started)
    return f"{CONNECTS} connects during {rate:.0f} captures/s; {reads:.0f} pages were read from the log"


async def stops(folder: Path, history: History, seed: int, *, stall_seconds: int) -> str:
    with Server(folder, program=SERVE, stall_seconds=str(stall_seconds), ring_events="100") as server:
        figures = await stop_readers(
            server,
            history,
            folder,
            stopped_seconds=STOPPED_SECONDS,
            until_closed=stall_seconds < STOPPED_SECONDS,
            seed=seed,
            readers=STOPPED_READERS,
            event_bytes=600,
        )
    if figures.bytes_each > 2 * MIB:
        raise Broken(f"the server grew by {figures.bytes_each / MIB:.1f} MiB for each stopped reader")
    return (
        f"{STOPPED_READERS} readers stopped, {figures.closed} closed; {figures.bytes_each / MIB:.2f} MiB each; "
        f"others' p95 {figures.p95_seconds_before * 1e3:.0f} ms before, {figures.p95_seconds_meanwhile * 1e3:.0f} ms "
        "meanwhile"
    )


async def deaf_readers(folder: Path, history: History, seed: int) -> str:
    with Server(folder, program=SERVE, stall_seconds="5", ring_events="100") as server:
        await never_read(server, readers=100, seed=seed)
        await read_little(server, seed=seed)
    return "100 readers that never read: closed, their memory and sockets released"


async def retention(folder: Path, history: History, seed: int, *, events: int, every_seconds: float) -> str:
    server = Server(
        folder,
        program=SERVE,
        retention_days="0",
        retention_events=str(events),
        retention_interval_seconds=str(every_seconds),
        ring_events="100",
    )
    with server:
        await trim_under_readers(server, history, batches=100, seed=seed, kept=events)
    resets = sum(block.event == "reset" for each in history.connections for block in each.blocks)
    return f"the newest {events} kept; {resets} resets, each said so"


async def full_database(folder: Path, history: History, seed: int) -> str:
    await fill_the_database(folder / "cin.db", history)
    return "refused whole, and gone on without a restart"


async def full_disk(folder: Path, history: History, seed: int) -> str:
    with Server(folder, program=SERVE) as server:
        await fill_the_disk(server, history)
    return "refused whole, and gone on without a restart"


async def syncs(folder: Path, history: History, seed: int) -> str:
    if shutil.which("strace") is None:
        return "not shown: there is no strace here"
    with Server(folder, program=SERVE) as server:
        answered, after_sync = await captures_and_syncs(server, history, folder, captures=50)
    if not answered == after_sync == 50:
        raise Broken(f"of 50 captures {answered} were seen to be answered, {after_sync} of them after a sync")
    return "50 captures, each answered after a sync of its own"


async def flat(folder: Path, history: History, seed: int, *, minutes: float) -> str:
    verdict = await asyncio.to_thread(stay_flat, folder, 60 * minutes, seed)
    if not verdict.holds:
        raise Broken(str(verdict))
    return str(verdict)


JOURNEYS = [
    Journey("killed", partial(ends, rounds=20, end=Server.kill)),
    Journey("stopped-in-order", partial(ends, rounds=5, end=Server.stop)),
    Journey("workers-killed", killed_workers),
    Journey("workers-rolled", rolled_workers),
    Journey("failover", failovers),
    Journey("exact-deaths", deaths),
    Journey("seams", seams),
    Journey("paused", partial(stops, stall_seconds=120)),
    Journey("paused-and-closed", partial(stops, stall_seconds=5)),
    Journey("never-reading", deaf_readers),
    Journey("retention", partial(retention, events=1_000, every_seconds=0.2), EXPIRED),
    Journey("retention-of-nothing", partial(retention, events=0, every_seconds=0.001), EXPIRED),
    Journey("database-full", full_database),
    Journey("disk-full", full_disk),
    Journey("synced", syncs),
]


FLAT, FLAT_MINUTES = "flat", 30.0


def journeys(minutes: float) -> list[Journey]:
    """All of them, for so long a soak."""
    return [*JOURNEYS, Journey(FLAT, partial(flat, minutes=min(FLAT_MINUTES, max(0.1, 0.9 * minutes - 0.3))))]


def run(journey: Journey, seed: int, deadline: float) -> bool:
    """Whether all went well; what is to be looked at is kept otherwise."""
    if time.monotonic() > deadline:
        log.info("%s NOT RUN: the time is up", journey.name)
        return False
    folder = Path(tempfile.mkdtemp(prefix=f"cin-soak-{journey.name}-"))
    history = History()
    log.info("%s begins, seed %d", journey.name, seed)
    try:
        told = asyncio.run(_bounded(journey.run(folder, history, seed), deadline))
        judge(history, folder, resets=journey.resets)
    except Exception:
        history.save(folder / "history.jsonl")
        ending = "CUT SHORT: the time is up" if time.monotonic() > deadline else "FAILED"
        log.exception("%s %s, seed %d; see %s", journey.name, ending, seed, folder)
        return False
    shutil.rmtree(folder)
    log.info("%s: %s", journey.name, told)
    return True


async def _bounded(work: Awaitable[str], deadline: float) -> str:
    async with asyncio.timeout(deadline - time.monotonic()):
        return await work


def main() -> int:
    names = [*(journey.name for journey in JOURNEYS), FLAT]
    parser = argparse.ArgumentParser(prog="poe soak", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=50, help="end after this time, whatever is left (50)")
    parser.add_argument("--passes", type=int, default=1, help="how often to run all journeys (1)")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="for the same choices again")
    parser.add_argument("--only", choices=names, action="append", default=[], metavar="NAME", help=", ".join(names))
    given = parser.parse_args()
    started = time.monotonic()
    deadline = started + 60 * given.minutes
    logging.basicConfig(format="%(asctime)s  %(message)s", datefmt="%H:%M:%S", level=logging.WARNING, stream=sys.stdout)
    log.setLevel(logging.INFO)
    logging.getLogger("app.client").propagate = False  # that streams are lost is what this is about
    chosen = [journey for journey in journeys(given.minutes) if journey.name in (given.only or names)]
    todo = [(journey, given.seed + number) for number in range(given.passes) for journey in chosen]
    log.info("%d journeys, at most %g minutes, seed %d", len(todo), given.minutes, given.seed)
    failed = [f"{journey.name} (seed {seed})" for journey, seed in todo if not run(journey, seed, deadline)]
    log.info("%d of %d went well, in %.0f s", len(todo) - len(failed), len(todo), time.monotonic() - started)
    log.info("not so: %s", ", ".join(failed)) if failed else None
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
