"""PostgreSQL: many processes share it, it stops and comes back, and the way to it breaks. Nobody waits for ever."""

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection
from sqlmodel import SQLModel

from app.errors import StartupError, Unavailable
from app.storage.database import Transaction
from app.storage.opening import migrate_database, open_database
from app.storage.postgres import migrate_postgres
from app.storage.postgres_connection import PATIENCE_SECONDS, engine, parameters
from tests.factories import make_skill
from tests.inside import Inside, application, run, until, within
from tests.pooler import pooler_to
from tests.postgres import Postgres
from tests.proxy import proxy_to


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    """A server that a test may stop."""
    with TemporaryDirectory(prefix="cin-pg-") as folder:
        running = Postgres(Path(folder))
        try:
            yield running
        finally:
            running.stop()


def name_of(url: str) -> str:
    return str(parameters(url)["dbname"])


async def status_of_capture(cin: Inside, **headers: str) -> int:
    return (await cin.client.post("/skills", json=make_skill(), headers=headers)).status_code


async def until_captured(cin: Inside) -> None:
    async with asyncio.timeout(10):
        while await status_of_capture(cin) != 201:  # noqa: ASYNC110  # only asking tells
            await asyncio.sleep(0.05)


# Opening


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("postgresql://[::1/d", "not a URL that PostgreSQL understands"),
        ("postgresql://h/d?nonsense=1", "not a URL that PostgreSQL understands"),
        ("postgres://127.0.0.1:1/nothing-listens", "cannot be opened.*Connection refused"),
    ],
)
def test_url_that_leads_nowhere_is_refused_in_a_sentence(url: str, sentence: str) -> None:
    async def attempt() -> None:
        async with open_database(url):
            pass

    with pytest.raises(StartupError, match=sentence):
        run(attempt())


def test_database_of_another_encoding_is_refused(postgres: Postgres) -> None:
    async def attempt() -> None:
        async with open_database(postgres.empty("ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")):
            pass

    with pytest.raises(StartupError, match="keeps text as LATIN1"):
        run(attempt())


def test_password_is_not_in_the_sentence() -> None:
    with pytest.raises(StartupError) as refused:
        migrate_postgres("postgresql://me:secret@127.0.0.1:1/d")
    assert "secret" not in refused.value.detail


def test_several_hosts_are_asked_for_the_one_that_writes() -> None:
    assert parameters("postgresql://a:1,b:2/d")["target_session_attrs"] == "read-write"
    assert "target_session_attrs" not in parameters("postgresql://a:1/d")
    assert parameters("postgresql://a,b/d?target_session_attrs=any")["target_session_attrs"] == "any"


def test_first_host_that_answers_is_used(postgres: Postgres) -> None:
    async def look() -> str:
        async with proxy_to(postgres.socket) as proxy:
            hosts = f"127.0.0.1:1,127.0.0.1:{proxy.port}"
            async with open_database(f"postgresql://postgres@{hosts}/{name_of(postgres.new())}") as database:
                return await database.read(lambda c: str(c.exec_driver_sql("SELECT current_database()").scalar_one()))

    assert run(look()).startswith("cin_")


def test_tables_are_made_by_one_of_several_processes_that_start_at_once(postgres: Postgres) -> None:
    url = postgres.empty()
    with ThreadPoolExecutor(4) as starting:
        revisions = list(starting.map(lambda _: migrate_database(url), range(4)))
    assert sorted(before is None for before, _ in revisions) == [False, False, False, True]


def test_migrations_make_what_the_models_describe(postgres: Postgres) -> None:
    opened = engine(postgres.new(), begin="BEGIN")
    with opened.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), SQLModel.metadata) == []
        others = connection.exec_driver_sql(
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"
            " AND data_type = 'character varying' AND collation_name IS DISTINCT FROM 'C'"
            " AND table_name != 'alembic_version'"
        ).all()
    assert others == []


def test_database_of_a_newer_program_is_refused(postgres: Postgres) -> None:
    url = postgres.new()
    postgres.execute("UPDATE alembic_version SET version_num = '9999'", database=name_of(url))
    with pytest.raises(StartupError, match="revision 9999, which this program does not know"):
        migrate_postgres(url)


def test_sqlite_does_not_load_the_driver_of_postgres() -> None:
    code = (
        "import sys, asyncio, tempfile; from app.storage.opening import migrate_database; import app.main;"
        "migrate_database(f'sqlite:///{tempfile.mkdtemp()}/cin.db'); assert 'psycopg' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# Transactions


def test_transaction_leaves_nothing_on_its_connection(postgres: Postgres) -> None:
    names = ("statement_timeout", "idle_in_transaction_session_timeout", "synchronous_commit")

    def look(connection: Connection) -> list[object]:
        return [connection.exec_driver_sql(f"SHOW {name}").scalar_one() for name in names]

    async def go() -> tuple[list[object], list[object], object]:
        async with open_database(postgres.new()) as database:
            for _ in range(12):  # psycopg would prepare what it sends for the sixth time
                inside = await database.write(lambda tx: look(tx.connection))

            def outside() -> tuple[list[object], object]:
                kept = next(iter(database._writer._connections)).connection.dbapi_connection
                shown = [kept.execute(f"SHOW {name}").fetchone()[0] for name in names]  # type: ignore[union-attr]
                return shown, kept.execute("SELECT count(*) FROM pg_prepared_statements").fetchone()[0]  # type: ignore[union-attr]

            after, prepared = await asyncio.to_thread(outside)
            return inside, after, prepared

    inside, after, prepared = run(go())
    assert inside == ["3500ms", "4s", "on"]
    assert (after, prepared) == (["0", "0", "on"], 0)


def test_commits_wait_for_the_disk_though_the_database_says_otherwise(postgres: Postgres) -> None:
    url = postgres.new()
    postgres.execute(f"ALTER DATABASE {name_of(url)} SET synchronous_commit = off")

    async def go() -> object:
        async with open_database(url) as database:
            return await database.write(
                lambda tx: tx.connection.exec_driver_sql("SHOW synchronous_commit").scalar_one()
            )

    assert run(go()) == "on"


@pytest.mark.parametrize("level", ["local", "remote_apply"])
def test_promise_of_the_server_is_left_as_it_is(postgres: Postgres, level: str) -> None:
    url = postgres.new()
    postgres.execute(f"ALTER DATABASE {name_of(url)} SET synchronous_commit = {level}")

    async def go() -> object:
        async with open_database(url) as database:
            return await database.write(
                lambda tx: tx.connection.exec_driver_sql("SHOW synchronous_commit").scalar_one()
            )

    assert run(go()) == level


def test_reader_cannot_write(postgres: Postgres) -> None:
    async def go() -> None:
        async with open_database(postgres.new()) as database:
            await database.read(lambda connection: connection.exec_driver_sql("DELETE FROM event"))

    with pytest.raises(Unavailable, match="25006"):
        run(go())


def test_transaction_that_others_undo_is_run_again(postgres: Postgres) -> None:
    """The other one makes the same row first, and this one waits for it."""
    held, runs = threading.Event(), []

    async def go() -> int:
        url = postgres.new()
        async with open_database(url) as one, open_database(url) as other:
            await one.write(lambda tx: tx.connection.exec_driver_sql("CREATE TABLE note (text TEXT UNIQUE)"))

            def first(tx: Transaction) -> None:
                add(tx)
                assert held.wait(10)

            def add(tx: Transaction) -> None:
                runs.append(tx)
                if not tx.connection.exec_driver_sql("SELECT 1 FROM note").first():
                    tx.connection.exec_driver_sql("INSERT INTO note VALUES ('one')")

            writing = asyncio.create_task(one.write(first))
            await until(lambda: len(runs) == 1)
            waiting = asyncio.create_task(other.write(add))
            await until(lambda: bool(postgres.execute("SELECT 1 FROM pg_locks WHERE NOT granted")))
            held.set()
            await asyncio.gather(writing, waiting)
            return len(runs)

    assert run(go()) == 3


def test_slow_reads_do_not_hold_up_those_who_follow(postgres: Postgres) -> None:
    async def go() -> float:
        async with open_database(postgres.new()) as database:
            slow = [
                asyncio.create_task(database.read(lambda connection: connection.exec_driver_sql("SELECT pg_sleep(1)")))
                for _ in range(8)
            ]
            await asyncio.sleep(0)
            started = time.monotonic()
            await database.follow(lambda connection: connection.exec_driver_sql("SELECT 1").scalar())
            waited = time.monotonic() - started
            await asyncio.gather(*slow)
            return waited

    assert run(go()) < 0.9


def test_pooler_in_transaction_mode_can_stand_in_between(postgres: Postgres, tmp_path: Path) -> None:
    """Each transaction has another connection than the one before, from the migration on."""

    async def go() -> None:
        url = postgres.empty()
        async with pooler_to(postgres.socket, name_of(url)) as pooler:
            pooled = pooler.url(name_of(url))
            for _ in range(2):  # the second one loads its index from rows that are there
                async with application(tmp_path, database_url=pooled, wake_url=url) as cin:
                    body = make_skill(tags=["pooled"])
                    for _ in range(8):  # psycopg would prepare what it sends for the sixth time
                        skill = await cin.capture(body)
                        await cin.capture(make_skill())
                    assert skill["captures"] == 8
                    assert await status_of_capture(cin, **{"Idempotency-Key": f"key-{skill['id']}"}) == 201
                    listed = await cin.client.get("/skills", params={"tag": "pooled", "sort": "usage"})
                    assert skill["id"] in {each["id"] for each in listed.json()["skills"]}
                    outcome = await cin.client.post(f"/skills/{skill['id']}/outcomes", json={"success": True})
                    assert outcome.status_code == 201
                    found = await cin.client.post("/match", json={"message": body["pattern"]})
                    assert found.json()["matches"][0]["skill"]["id"] == skill["id"]
            assert pooler.transactions > 60
            assert pooler.resting.qsize() == 3

    run(go())


# A server that is away


def test_requests_fail_in_time_while_the_way_is_swallowed_and_succeed_after_it(
    postgres: Postgres, tmp_path: Path
) -> None:
    async def go() -> None:
        async with proxy_to(postgres.socket) as proxy:
            url = proxy.url(name_of(postgres.new()))
            async with application(tmp_path, database_url=url, poll_seconds=0.1) as cin:
                skill = await cin.capture(make_skill())
                proxy.swallow()
                asked = {
                    "capture": cin.client.post("/skills", json=make_skill()),
                    "another": cin.client.post("/skills", json=make_skill()),
                    "list": cin.client.get("/skills", params={"sort": "usage"}),
                    "skill": cin.client.get(f"/skills/{skill['id']}/versions"),
                    "agents": cin.client.get("/agents"),
                    "ready": cin.client.get("/readyz"),
                }
                started = time.monotonic()
                tasks = {name: asyncio.create_task(each) for name, each in asked.items()}
                longest = 0.0
                while not all(task.done() for task in tasks.values()):
                    before = time.monotonic()
                    assert (await cin.client.get("/healthz")).status_code == 200
                    longest = max(longest, time.monotonic() - before)
                    await asyncio.sleep(0.02)
                assert {name: task.result().status_code for name, task in tasks.items()} == dict.fromkeys(tasks, 503)
                assert time.monotonic() - started < PATIENCE_SECONDS + 1
                assert longest < 0.05
                late = await within(cin.client.post("/skills", json=make_skill()), 5)
                assert (late.status_code, late.headers["Retry-After"]) == (503, "2")
                proxy.carry()
                await until_captured(cin)
                await within(cin.client.get("/agents"))
                head = (await cin.client.get("/skills", params={"sort": "usage"})).json()["position"]
                offset = int(head.split("-")[1])
                await until(lambda: cin.parts.hub.bounds.head >= offset)

    run(go())


def test_request_that_waited_too_long_in_the_queue_is_not_written_later(postgres: Postgres, tmp_path: Path) -> None:
    async def go() -> list[int]:
        async with proxy_to(postgres.socket) as proxy:
            url = proxy.url(name_of(postgres.new()))
            async with application(tmp_path, database_url=url) as cin:
                await cin.capture(make_skill())
                proxy.swallow()
                first = asyncio.create_task(status_of_capture(cin))
                await until(
                    lambda: cin.parts.recorder._commits._last_size == 1 and not cin.parts.recorder._commits._waiting
                )
                await asyncio.sleep(0.1)
                later = [asyncio.create_task(status_of_capture(cin)) for _ in range(3)]
                statuses = await asyncio.gather(first, *later)
                proxy.carry()
                await until_captured(cin)
                listed = (await cin.client.get("/skills")).json()["skills"]
                assert len(listed) == 2
                return statuses

    assert run(go()) == [503] * 4


def test_commit_whose_answer_is_lost_is_not_done_again(postgres: Postgres, tmp_path: Path) -> None:
    """The caller gets 503, and with the same key learns what became of it."""

    async def go() -> tuple[int, int, str, int]:
        async with proxy_to(postgres.socket) as proxy:
            url = proxy.url(name_of(postgres.new()))
            async with application(tmp_path, database_url=url, poll_seconds=0.05) as cin:
                await cin.capture(make_skill())
                proxy.cut_after(b"INTO idempotency_key", b"; COMMIT\0")
                body = make_skill()
                lost = await cin.client.post("/skills", json=body, headers={"Idempotency-Key": "key"})
                again = await cin.client.post("/skills", json=body, headers={"Idempotency-Key": "key"})
                head = (await cin.client.get("/skills")).json()["position"]
                return lost.status_code, again.status_code, head.split("-")[1], again.json()["captures"]

    lost, again, head, captures = run(go())
    assert (lost, again, captures) == (503, 201, 1)
    assert head == "2"


def test_server_that_was_restarted_is_used_again_without_a_failure(own_postgres: Postgres, tmp_path: Path) -> None:
    async def go() -> list[int]:
        async with application(tmp_path, database_url=own_postgres.new(), poll_seconds=0.1) as cin:
            before = [await status_of_capture(cin) for _ in range(3)]
            await asyncio.to_thread(own_postgres.restart)
            after = [await status_of_capture(cin), (await cin.client.get("/agents")).status_code]
            await until(lambda: cin.parts.hub.bounds.head == 4)
            return before + after

    assert run(go()) == [201, 201, 201, 201, 200]


def test_server_that_is_down_costs_503_until_it_is_back(own_postgres: Postgres, tmp_path: Path) -> None:
    async def go() -> list[int]:
        async with application(tmp_path, database_url=own_postgres.new(), poll_seconds=0.1) as cin:
            await cin.capture(make_skill())
            await asyncio.to_thread(own_postgres.stop)
            down = [await status_of_capture(cin), (await cin.client.get("/agents")).status_code]
            down.append((await cin.client.get("/readyz")).status_code)
            info = (await cin.client.get("/info")).json()["durability"]
            assert "nothing is promised now" in info
            await asyncio.to_thread(own_postgres.start)
            await until_captured(cin)
            return down

    assert run(go()) == [503, 503, 503]


def test_connection_to_a_server_that_only_reads_is_replaced(postgres: Postgres, tmp_path: Path) -> None:
    async def go() -> list[int]:
        url = postgres.new()
        name = name_of(url)
        leave = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        async with application(tmp_path, database_url=url) as cin:
            await cin.capture(make_skill())
            postgres.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on", leave)
            before = await status_of_capture(cin)
            postgres.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = off")
            return [before, await status_of_capture(cin)]

    assert run(go()) == [503, 201]


def test_followers_do_not_notice_that_their_connection_died_in_silence(postgres: Postgres) -> None:
    async def go() -> tuple[int, int]:
        url = postgres.new()
        ask = "SELECT pg_backend_pid()"
        async with open_database(url) as database:
            before = await database.follow(lambda connection: connection.exec_driver_sql(ask).scalar_one())
            postgres.execute(f"SELECT pg_terminate_backend({before})")
            after = await database.follow(lambda connection: connection.exec_driver_sql(ask).scalar_one())
        return int(before), int(after)

    before, after = run(go())
    assert before != after


# Promises


def test_promise_is_what_the_server_is_set_to(own_postgres: Postgres) -> None:
    async def go() -> list[str]:
        async with open_database(own_postgres.new()) as database:
            assert database.storage.startswith("PostgreSQL 18")
            said = [await database.durability()]
            for setting in ("fsync = on", "synchronous_standby_names = 'other'", "synchronous_commit = local"):
                own_postgres.execute(f"ALTER SYSTEM SET {setting}", "SELECT pg_reload_conf()")
                before = said[-1]
                async with asyncio.timeout(10):
                    while (sentence := await database.durability()) == before:  # noqa: ASYNC110  # only asking tells
                        await asyncio.sleep(0.01)
                said.append(sentence)
            return said

    unsafe, alone, waiting, local = run(go())
    assert "fsync=off" in unsafe
    assert alone == local == "Answered captures are flushed by the primary only; a standby may lack the newest ones."
    assert waiting == (
        "Answered captures are flushed by the primary and flushed by synchronous standbys "
        "(other; none is connected, so captures wait)."
    )


def test_text_is_in_the_order_of_its_code_points(postgres: Postgres, tmp_path: Path) -> None:
    names = ["b", "B", "_a", "a-b", "ab", "a.c", "Z9", "1"]

    async def go() -> list[str]:
        async with application(tmp_path, database_url=postgres.new()) as cin:
            for name in names:
                await cin.client.put(f"/agents/{name}", json={})
            return [agent["name"] for agent in (await cin.client.get("/agents")).json()["agents"]]

    assert run(go()) == sorted(names)
