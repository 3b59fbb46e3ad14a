"""`poe check-nginx`: examples/nginx/nginx.conf in a real nginx, in front of two processes on one PostgreSQL.

Ports and the folder for files are replaced in the configuration, and time-outs where a line says so; nothing else is. It
needs `nginx`, which no wheel brings, so it is not among the tests. Exit code 1 with the first thing that does not hold.
"""

import asyncio
import logging
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import httpx
import orjson

from benchmarks.checks.scripted_upstream import NO_ROOM, NOTHING, OK, Upstream, upstream
from tests.journeys import sse
from tests.journeys.clients import CapturingClient, skill
from tests.journeys.history import History
from tests.journeys.judging import judge
from tests.journeys.subscribers import ClientSubscriber, PlainSubscriber, Subscriber
from tests.journeys.waiting import all_reach, capturing, eventually, running
from tests.postgres import Postgres
from tests.server import Server, free_port, wait_until

CONFIGURATION = Path(__file__).parents[2] / "examples/nginx/nginx.conf"
HEARTBEAT_SECONDS = 1.0
KILLS = 6

log = logging.getLogger("nginx")


class Broken(Exception):
    """What does not hold."""


@dataclass(frozen=True)
class Nginx:
    """It has what the helpers of the journeys ask of a server."""

    url: str


@contextmanager
def nginx(folder: Path, ports: tuple[int, int], *, read_seconds: float = 60) -> Iterator[Nginx]:
    """nginx with the configuration in front of two ports; `read_seconds` replaces the time-out of streams."""
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if program is None:
        raise Broken("There is no nginx here. On Debian and Ubuntu: apt install nginx-light")
    port = free_port()
    made = Path(tempfile.mkdtemp(dir=folder))
    for each in (folder, made):
        each.chmod(0o755)  # started by root, nginx works as somebody else
    text = CONFIGURATION.read_text()
    for old, new in (
        ("cin-1:8005", f"127.0.0.1:{ports[0]}"),
        ("cin-2:8005", f"127.0.0.1:{ports[1]}"),
        ("listen 8080", f"listen 127.0.0.1:{port}"),
        ("/tmp/", f"{made}/"),
        ("proxy_read_timeout 60s", f"proxy_read_timeout {round(read_seconds * 1_000)}ms"),
    ):
        if old not in text:
            raise Broken(f"{CONFIGURATION.name} has no {old!r}")
        text = text.replace(old, new)
    (made / "nginx.conf").write_text(text)
    command = [program, "-p", str(made), "-c", str(made / "nginx.conf"), "-g", "daemon off;"]
    with (made / "log").open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out) as process:
        try:
            wait_until(lambda: _listens(port) or process.poll() is not None, what="nginx")
            if process.poll() is not None:
                raise Broken(f"nginx did not start: {(made / 'log').read_text()}")
            yield Nginx(f"http://127.0.0.1:{port}")
        finally:
            process.terminate()


async def check_that_writes_are_sent_once(folder: Path) -> None:
    """What a process that died may have done is not asked of the other one; what changes nothing is."""
    async with _scripted(folder, NOTHING, NOTHING) as (client, both):
        for method, path, times in (
            ("POST", "/skills", 1),
            ("POST", "/skills/batch", 1),
            ("POST", "/skills/019aaf2c/outcomes", 1),
            ("PUT", "/skills/019aaf2c", 1),
            ("GET", "/skills/019aaf2c", 2),
            ("GET", "/skills?q=x", 2),
            ("POST", "/match", 2),
            ("PUT", "/agents/a/position", 2),
            ("DELETE", "/skills/019aaf2c", 2),
        ):
            await _until_nothing_counts_against_them(client, both)
            answer = await client.request(method, path, content=None if method == "GET" else b"{}")
            arrived = sum(len(each.arrivals) for each in both)
            if arrived != times:
                raise Broken(f"{method} {path} arrived {arrived} times, not {times}")
            if answer.status_code != 502 or answer.json()["instance"] == "" or "Retry-After" not in answer.headers:
                raise Broken(f"{method} {path} was answered {answer.status_code} {answer.text}")
        log.info("a process dies over a request: writes arrived once, reads twice; answered 502 as a problem")


async def check_that_a_dead_process_costs_no_write(folder: Path) -> None:
    """A process that cannot be reached is left out, and everything goes to the other one, bodies and all."""
    live, dead = free_port(), free_port()
    with nginx(folder, (dead, live)) as front:
        async with upstream(live, OK) as other, httpx.AsyncClient(base_url=front.url) as client:
            body = b"x" * 200_000
            for path in ("/skills", "/skills/batch", "/match") * 10:
                if (await client.post(path, content=body)).status_code != 200:
                    raise Broken(f"POST {path} did not reach the process that lives")
            if len(other.arrivals) != 30 or any(each.body != body for each in other.arrivals):
                raise Broken("not every POST arrived whole and once")
            revised = [(await client.put("/skills/019aaf2c", content=b"{}")).status_code for _ in range(10)]
    if revised.count(200) < 8:
        raise Broken(f"revisions were answered {revised}")
    log.info("a process cannot be reached: 30 of 30 POSTs went to the other one, %d of 10 PUTs", revised.count(200))


async def check_streams_without_a_process(folder: Path) -> None:
    """A stream goes on from a process that refuses it; where there is none it ends in good order."""
    async with _scripted(folder, NO_ROOM, OK) as (client, both):
        answers = {(await client.get("/stream")).status_code for _ in range(10)}
        if answers != {200} or not both[0].arrivals:
            raise Broken(f"streams that one process refused were answered {answers}")
        upgrade = {"Connection": "Upgrade", "Upgrade": "websocket"}
        for path in ("/ws", "/"):
            await client.get(path, headers=upgrade)
            if _upgrade_of(path, both) != ("upgrade", "websocket"):
                raise Broken(f"{path} arrived with {_upgrade_of(path, both)}")
        await client.get("/info", headers={"Connection": "Upgrade", "Upgrade": "h2c"})
        if _upgrade_of("/info", both) != ("", ""):
            raise Broken(f"/info arrived with {_upgrade_of('/info', both)}")
    with nginx(folder, (free_port(), free_port())) as front:
        async with httpx.AsyncClient(base_url=front.url) as client:
            answer = await client.get("/stream")
            if (answer.status_code, answer.text) != (200, "retry: 5000\n\n"):
                raise Broken(f"/stream without a process: {answer.status_code} {answer.text!r}")
            answer = await client.post("/skills/batch", content=b"x" * (16 * 2**20 + 1))
            if (answer.status_code, answer.json()["type"]) != (413, "/problems/body-too-large"):
                raise Broken(f"a body of more than 16 MiB: {answer.status_code} {answer.text!r}")
    log.info("streams: refused by one process, opened by the other; with none, told to come back; upgrades passed on")


async def check_that_quiet_streams_live(folder: Path, servers: list[Server]) -> None:
    """Heartbeats keep a stream open that nginx would cut, as it does with one that is quiet for too long."""
    ports = (servers[0].port, servers[1].port)
    with nginx(folder, ports, read_seconds=0.4 * HEARTBEAT_SECONDS) as front:
        cut_after = await _listen(front, 20 * HEARTBEAT_SECONDS)
    with nginx(folder, ports, read_seconds=2 * HEARTBEAT_SECONDS) as front:
        lived = await _listen(front, 6 * HEARTBEAT_SECONDS)
    if cut_after > 5 * HEARTBEAT_SECONDS or lived < 6 * HEARTBEAT_SECONDS:
        raise Broken(f"a quiet stream was cut after {cut_after:.1f} s, one with heartbeats ended after {lived:.1f} s")
    log.info(
        "a quiet stream: cut after %.1f s with a time-out of %.1f s; open after %.1f s with one of %.1f s",
        *(cut_after, 0.4 * HEARTBEAT_SECONDS, lived, 2 * HEARTBEAT_SECONDS),
    )


async def check_that_events_come_at_once(front: Nginx, servers: list[Server]) -> None:
    """Captures through nginx are on streams through nginx, whichever process has which."""
    history = History()
    names = [f"at-once-{number}-{uuid4().hex[:6]}" for number in range(50)]
    readers = [PlainSubscriber(front.url, f"reader{number}", history) for number in range(8)]
    waits = []
    async with running(*(reader.run() for reader in readers)), httpx.AsyncClient(base_url=front.url) as client:
        await all_reach(readers, 0)
        spread = [server.metric("cin_streams") for server in servers]
        for name in names:
            started = time.perf_counter()
            captured = (await client.post("/skills", json=skill(name))).raise_for_status().json()
            await all_reach(readers, int(captured["position"].partition("-")[2]))
            waits.append(time.perf_counter() - started)
    waits.sort()
    if spread != [4, 4] or waits[-1] > 0.5:
        raise Broken(f"{spread} streams; the slowest event took {waits[-1]:.3f} s")
    log.info(
        "captured until all of 8 streams (4 and 4) have it: p50 %.0f ms, max %.0f ms",
        *(waits[len(waits) // 2] * 1e3, waits[-1] * 1e3),
    )


async def check_that_a_killed_process_is_survived(front: Nginx, servers: list[Server], folder: Path) -> None:
    """Processes are killed one after the other under load: streams go on where they were, captures go on."""
    history = History()
    clients = [CapturingClient(front.url, f"client{n}", history, rate=25, seed=n) for n in range(4)]
    subscribers: list[Subscriber] = [
        *(PlainSubscriber(front.url, f"plain{n}", history, since="earliest") for n in range(10)),
        ClientSubscriber(front.url, "client", history, since="earliest"),
        ClientSubscriber(front.url, "agent", history, since="earliest", agent="agent"),
    ]
    async with running(*(subscriber.run() for subscriber in subscribers)):
        async with capturing(clients):
            for number in range(KILLS):
                await _progress(clients, 30)
                await asyncio.to_thread(servers[number % 2].kill)
                await _progress(clients, 30)
                await asyncio.to_thread(servers[number % 2].start)
        head = await _head(servers[0])
        await all_reach(subscribers, head, 60)
    reader = PlainSubscriber(front.url, "witness", history, since="earliest")
    async with running(reader.run()):
        await all_reach([reader], head)
    judge(history, folder)
    tries = [each.outcome for each in history.tries]
    log.info(
        "%d processes killed: %d events, %d captures answered, %d tries of unknown outcome; the checker is silent",
        *(KILLS, head, tries.count("ok"), tries.count("unknown")),
    )


@asynccontextmanager
async def _scripted(folder: Path, *answers: bytes) -> AsyncIterator[tuple[httpx.AsyncClient, list[Upstream]]]:
    ports = (free_port(), free_port())
    async with upstream(ports[0], answers[0]) as first, upstream(ports[1], answers[1]) as second:
        with nginx(folder, ports) as front:
            async with httpx.AsyncClient(base_url=front.url) as client:
                yield client, [first, second]


async def _until_nothing_counts_against_them(client: httpx.AsyncClient, both: list[Upstream]) -> None:
    """Have both answer until nginx asks both again: it leaves one out that has failed."""
    before = [each.answer for each in both]
    for each in both:
        each.answer = OK
    for each in both:
        each.arrivals.clear()
    while not all(len(each.arrivals) > 4 for each in both):  # it is nginx that counts the seconds
        await client.get("/info")
        await asyncio.sleep(0.02)
    for each, answer in zip(both, before, strict=True):
        each.answer = answer
        each.arrivals.clear()


async def _listen(front: Nginx, most_seconds: float) -> float:
    """How long a stream was open on which nothing happened, up to `most_seconds`."""
    started = time.monotonic()
    try:
        async with asyncio.timeout(most_seconds), sse.open_stream(front.url, "now", None) as pieces:
            async for _ in pieces:
                pass
    except (TimeoutError, OSError):
        pass
    return time.monotonic() - started


async def _progress(clients: list[CapturingClient], more: int) -> None:
    done = sum(client.captured for client in clients)
    await eventually(lambda: sum(client.captured for client in clients) >= done + more, 60, f"{more} more captures")


async def _head(server: Server) -> int:
    async with httpx.AsyncClient(base_url=server.url) as client:
        return int(orjson.loads((await client.get("/info")).content)["head"].partition("-")[2])


def _upgrade_of(path: str, both: list[Upstream]) -> tuple[str, str]:
    (headers,) = (arrival.headers for each in both for arrival in each.arrivals if arrival.path == path)
    return headers.get("connection", ""), headers.get("upgrade", "")


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def _servers(folder: Path, url: str) -> Iterator[Server]:
    for name in ("cin-1", "cin-2"):
        (folder / name).mkdir()
        yield Server(
            folder / name,
            database_url=url,
            index_folder=str(folder / name / "index"),
            heartbeat_seconds=str(HEARTBEAT_SECONDS),
            retry_milliseconds="100",
        )


async def _check(folder: Path) -> None:
    await check_that_writes_are_sent_once(folder)
    await check_that_a_dead_process_costs_no_write(folder)
    await check_streams_without_a_process(folder)
    (folder / "postgres").mkdir()
    postgres = Postgres(folder / "postgres")
    try:
        first, second = _servers(folder, postgres.new())
        with first, second:
            servers = [first, second]
            await check_that_quiet_streams_live(folder, servers)
            with nginx(folder, (first.port, second.port)) as front:
                await check_that_events_come_at_once(front, servers)
                await check_that_a_killed_process_is_survived(front, servers, folder)
    finally:
        postgres.stop()


def main() -> int:
    logging.basicConfig(format="%(asctime)s  %(message)s", datefmt="%H:%M:%S", level=logging.WARNING, stream=sys.stdout)
    log.setLevel(logging.INFO)
    logging.getLogger("app.client").propagate = False  # that streams are lost is what this is about
    folder = Path(tempfile.mkdtemp(prefix="cin-nginx-"))
    try:
        asyncio.run(_check(folder))
    except (Broken, AssertionError, TimeoutError) as broken:
        log.error("BROKEN: %s; see %s", broken, folder)
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
