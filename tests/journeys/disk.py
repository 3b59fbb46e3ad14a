"""Journeys: the disk fills up, and has room again."""

import asyncio
import resource
from pathlib import Path

import orjson
from sqlalchemy import Connection

from tests.journeys.clients import capture
from tests.journeys.crashes import head_of, witness
from tests.journeys.history import History
from tests.journeys.serving import pragma, serving
from tests.journeys.subscribers import ClientSubscriber, PlainSubscriber
from tests.journeys.waiting import all_reach, running
from tests.journeys.wire import Http
from tests.server import Server

LARGE = 120_000


async def fill_the_database(file: Path, history: History) -> None:
    """SQLite's own limit on pages, lowered to what is there and little more, then raised."""
    async with serving(file) as (url, parts), Http(url) as http:
        plain = PlainSubscriber(url, "plain", history, since="earliest")
        client = ClientSubscriber(url, "client", history, since="earliest")
        async with running(plain.run(), client.run()):
            assert await capture(http, "before", history, size=LARGE) == "ok"
            await pragma(parts, f"max_page_count = {int(await pragma(parts, 'page_count')) + 20}")

            together = [capture(http, f"small-{n}", history) for n in range(10)]
            together += [capture(http, f"large-{n}", history, size=LARGE) for n in range(3)]
            assert await asyncio.gather(*together) == ["ok"] * 10 + ["failed"] * 3
            refused = [each for each in history.tries if each.outcome == "failed"]
            assert {(each.status, _problem_type(each.answer)) for each in refused} == {(507, "/problems/storage-full")}

            taken = 0
            while await capture(http, f"more-{taken}", history) == "ok":
                taken += 1
            head = 1 + 10 + taken
            assert await parts.database.read(_is_sound) == (head, head, head, head)
            assert str((await http.get("/skills?limit=100")).json()["position"]).endswith(f"-{head}")
            late = PlainSubscriber(url, "late", history, since="earliest")
            async with running(late.run()):
                await all_reach([plain, client, late], head)

            await pragma(parts, "max_page_count = 1000000")
            again = [capture(http, f"large-{n}", history, size=LARGE) for n in range(3)]
            assert await asyncio.gather(*again) == ["ok"] * 3
            await all_reach([plain, client], head + 3)
            assert await parts.database.read(_is_sound) == (head + 3,) * 4


async def fill_the_disk(server: Server, history: History) -> None:
    """A real process whose files may not grow, as on a full disk, until they may."""
    plain = PlainSubscriber(server.url, "plain", history, since="earliest")
    async with Http(server.url) as http, running(plain.run()):
        for n in range(10):
            assert await capture(http, f"before-{n}", history) == "ok"
        _allow_files(server, _largest_file(server))
        for n in range(10):
            assert await capture(http, f"meanwhile-{n}", history) == "failed"
        assert {each.status for each in history.tries if each.outcome == "failed"} == {507}
        assert (await http.get("/skills")).is_success
        await witness(server, history, 10)
        _allow_files(server, resource.RLIM_INFINITY)
        for n in range(10):
            assert await capture(http, f"meanwhile-{n}", history) == "ok"
        await all_reach([plain], 20)
        assert await head_of(server) == 20


def _is_sound(connection: Connection) -> tuple[int, int, int, int]:
    """Head, events, skills and versions, of a database in which nothing is broken or half there."""
    assert connection.exec_driver_sql("PRAGMA integrity_check").scalar_one() == "ok"
    assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []
    counts = ("head FROM network", "count(*) FROM event", "count(*) FROM skill", "count(*) FROM skill_version")
    query = ", ".join(f"(SELECT {count})" for count in counts)
    head, events, skills, versions = connection.exec_driver_sql(f"SELECT {query}").one()
    return head, events, skills, versions


def _problem_type(answer: str) -> str:
    return str(orjson.loads(answer)["type"])


def _allow_files(server: Server, size: int) -> None:
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def _largest_file(server: Server) -> int:
    return max(file.stat().st_size for file in server.folder.iterdir())
