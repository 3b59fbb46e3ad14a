"""The process that keeps workers: it starts them, replaces those that die, and restarts them without losing anybody.

It holds the sockets and answers nothing itself. Each worker has a seat, and each seat a socket on the same port; what
comes in through a seat is taken by its worker, and by the next one while it has none. At a rolling restart all new
workers are ready before one of them listens, and no old one listens any more before the first is drained: a stream that
is cut comes back to a new worker, and is not cut again.
"""

import asyncio
import os
import random
import signal
import socket
import sys
import time

import structlog

from app.cli.channel import Channel
from app.cli.listening import describe, listeners
from app.cli.worker_process import WorkerProcess
from app.errors import StartupError
from app.metrics import WorkerMetrics, merge_reports
from app.settings import Settings
from app.storage.opening import is_postgres

log = structlog.get_logger(__name__)

_PROGRAM = """import os, sys
sys.path[:] = sys.argv.pop(1).split(os.pathsep)
from app.cli.worker import main
main()"""
"""A worker imports from where its supervisor does, whatever lies in the folder that it is started in."""

_SETTLED_SECONDS = 10.0
"""A worker that lives so long did not die of its start."""

_START_SECONDS = 30.0
"""How long those that are ready wait for the others, once the first was."""

_LONGEST_PAUSE_SECONDS = 5.0
_EXIT_SECONDS = 5.0
"""How much longer than `CIN_DRAIN_SECONDS` a worker may take to exit; the index is written in this time."""


def supervise(settings: Settings) -> int:
    """Serve with several workers until SIGTERM or SIGINT. Returns the exit code. Raises `StartupError`."""
    if not is_postgres(settings.database_url):
        raise StartupError(
            "Several workers need PostgreSQL, because a SQLite file belongs to one process. "
            "Set CIN_DATABASE_URL=postgresql://…, or CIN_WORKERS to 1."
        )
    sockets = listeners(settings, settings.workers)
    try:
        return asyncio.run(Supervisor(settings, sockets).run())
    finally:
        for each in sockets:
            each.close()


class Supervisor:
    """Keeps a worker in each seat, until it is told to stop."""

    def __init__(self, settings: Settings, listeners: list[socket.socket]) -> None:
        self._settings = settings
        self._listeners = listeners
        self._metrics = WorkerMetrics()
        self._workers: set[WorkerProcess] = set()
        self._serving: dict[int, WorkerProcess] = {}
        self._replacing: dict[int, asyncio.Task[None]] = {}
        self._failures = [0] * settings.workers
        self._is_open = False
        self._stop = asyncio.Event()
        self._restart = asyncio.Event()

    async def run(self) -> int:
        """Returns the exit code: 2 if the first worker could not start, and has said why."""
        self._heed_signals()
        async with asyncio.TaskGroup() as self._tasks:
            living = self._tasks.create_task(self._live())
            stopping = asyncio.create_task(self._stop.wait())
            await asyncio.wait({living, stopping}, return_when=asyncio.FIRST_COMPLETED)
            self._stop.set()
            stopping.cancel()
            could_not_start = living.done() and not living.cancelled()
            living.cancel()
            await self._end_all()
        log.info("supervisor_stopped")
        return 2 if could_not_start else 0

    async def _live(self) -> None:
        """Until cancelled; returns if the first worker cannot start."""
        if not await self._start_all():
            return
        print(describe(self._listeners[0], self._settings.workers), file=sys.stderr)
        while True:
            await self._restart.wait()
            self._restart.clear()
            await self._roll()

    async def _start_all(self) -> bool:
        """The first one migrates the database and makes the index, of which the others then have the use."""
        first = await self._start(0)
        if first is None:
            return False
        self._serving[0] = first
        for seat in range(1, self._settings.workers):
            self._replace(seat)
        await asyncio.wait(self._replacing.values(), timeout=_START_SECONDS)
        self._is_open = True  # not before, or the first would get all who have waited
        await self._share_out()
        return True

    async def _start(self, seat: int) -> WorkerProcess | None:
        """A new worker, ready, which listens to nothing; None if it has gone before."""
        worker = await self._spawn(seat)
        self._workers.add(worker)
        self._tasks.create_task(self._watch(worker))
        self._metrics.starts.labels(str(seat)).inc()
        log.info("worker_started", worker=seat, pid=worker.pid)
        try:
            return worker if await worker.is_ready() else None
        except asyncio.CancelledError:
            worker.stop()
            raise

    async def _spawn(self, seat: int) -> WorkerProcess:
        ours, theirs = socket.socketpair()
        inherited = [theirs.fileno(), *(listener.fileno() for listener in self._listeners)]
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", _PROGRAM, os.pathsep.join(sys.path), str(seat), *map(str, inherited)),
                pass_fds=inherited,
                stdin=asyncio.subprocess.DEVNULL,
                env={**os.environ, "CIN_WORKERS": str(self._settings.workers)},
                start_new_session=True,  # Ctrl-C is for the supervisor; it tells the workers
            )
        return WorkerProcess(seat, process, await Channel.open(ours))

    async def _watch(self, worker: WorkerProcess) -> None:
        await worker.attend(self._answer)
        self._workers.discard(worker)
        if worker.is_leaving:
            log.info("worker_stopped", worker=worker.seat, pid=worker.pid, code=worker.code)
            return
        log.warning("worker_died", worker=worker.seat, pid=worker.pid, code=worker.code)
        is_settled = time.monotonic() - worker.started_at > _SETTLED_SECONDS
        self._failures[worker.seat] = 0 if is_settled else self._failures[worker.seat] + 1
        if self._serving.get(worker.seat) is worker and not self._stop.is_set():
            del self._serving[worker.seat]
            self._replace(worker.seat)
            await self._share_out()

    def _replace(self, seat: int) -> None:
        self._replacing[seat] = self._tasks.create_task(self._start_until_ready(seat))

    async def _start_until_ready(self, seat: int) -> None:
        worker = None
        while worker is None:
            await asyncio.sleep(_pause(self._failures[seat]))
            worker = await self._start(seat)
        self._serving[seat] = worker
        del self._replacing[seat]
        await self._share_out()

    def _replace_no_more(self) -> None:
        for replacing in self._replacing.values():
            replacing.cancel()
        self._replacing.clear()

    async def _share_out(self) -> None:
        """Tell every worker which seats are its own now: where one is missing, the next one stands in."""
        if not self._is_open:
            return
        seats = self._settings.workers
        shares: dict[WorkerProcess, set[int]] = {worker: set() for worker in self._serving.values()}
        for seat in range(seats):
            nearest = (self._serving.get((seat + step) % seats) for step in range(seats))
            if worker := next((found for found in nearest if found is not None), None):
                shares[worker].add(seat)
        # First those that take more: a seat has two for a moment rather than none.
        await asyncio.gather(*(worker.listen(share) for worker, share in shares.items()))

    async def _roll(self) -> None:
        """Put a new worker into each seat. If one cannot start, all stays as it was."""
        log.info("restart_began", workers=self._settings.workers)
        self._replace_no_more()
        fresh = await self._start_fresh()
        if fresh is None:
            log.error("restart_failed", next="the workers that were there go on")
            for seat in set(range(self._settings.workers)) - self._serving.keys():
                self._replace(seat)
            return
        self._replace_no_more()  # of those that died meanwhile
        old = list(self._serving.values())
        for worker in old:
            worker.is_leaving = True
        self._serving = fresh
        await self._share_out()
        await asyncio.gather(*(worker.listen(()) for worker in old))
        for worker in old:
            await self._end(worker)
        log.info("restart_done")

    async def _start_fresh(self) -> dict[int, WorkerProcess] | None:
        fresh: dict[int, WorkerProcess] = {}
        for seat in range(self._settings.workers):
            worker = await self._start(seat)
            if worker is None:
                break
            fresh[seat] = worker
        if len(fresh) == self._settings.workers and not any(worker.gone.is_set() for worker in fresh.values()):
            return fresh
        for worker in fresh.values():
            worker.stop()
        return None

    # Ending

    async def _end(self, worker: WorkerProcess) -> None:
        """Have it drain and exit, and end it if it does not."""
        worker.stop()
        try:
            async with asyncio.timeout(self._settings.drain_seconds + _EXIT_SECONDS):
                await worker.gone.wait()
        except TimeoutError:
            log.warning("worker_hangs", worker=worker.seat, pid=worker.pid, next="it is killed")
            worker.kill()
            await worker.gone.wait()

    async def _end_all(self) -> None:
        self._replace_no_more()
        for listener in self._listeners:
            listener.close()  # whoever connects from now on is taken or refused by the workers
        await asyncio.gather(*(self._end(worker) for worker in self._workers))

    def _heed_signals(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self._restart.set)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_stop)

    def _on_stop(self) -> None:
        """Drain all workers, then exit; asked a second time, exit now."""
        if self._stop.is_set():
            for worker in self._workers:
                worker.stop(now=True)
        self._stop.set()

    # Metrics

    async def _answer(self, worker: WorkerProcess) -> None:
        worker.answer(await self._report())

    async def _report(self) -> str:
        """The metrics of every worker; one that a new one has taken the place of is told apart until it has gone."""
        asked = [*self._serving.values(), *(worker for worker in self._workers if worker.is_leaving)]
        reports = await asyncio.gather(*(worker.report() for worker in asked))
        named = {
            f"{worker.seat}-leaving" if worker.is_leaving else str(worker.seat): report
            for worker, report in zip(asked, reports, strict=True)
        }
        for seat in map(str, range(self._settings.workers)):
            self._metrics.up.labels(seat).set(named.get(seat) is not None)
        return merge_reports({name: report for name, report in named.items() if report}) + self._metrics.render()


def _pause(failures: int) -> float:
    """Seconds to wait before a worker is started again: none at first, ever more if it dies at once again and again."""
    if failures <= 1:
        return 0.0
    longest: float = min(_LONGEST_PAUSE_SECONDS, 0.1 * 2 ** min(failures, 10))
    return longest * random.uniform(0.5, 1)  # noqa: S311  # so that not all come back at once
