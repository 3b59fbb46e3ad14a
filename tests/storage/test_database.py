"""Transactions: all or nothing, one snapshot each, and callbacks after the commit or never."""

import asyncio
import threading
from functools import partial

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from app.errors import Unavailable
from app.storage.database import Transaction
from tests.inside import run
from tests.storage.databases import add_note as add
from tests.storage.databases import notes, scratch_database


def count(connection: Connection) -> int:
    return int(connection.exec_driver_sql("SELECT count(*) FROM note").scalar_one())


def test_transaction_that_raises_leaves_nothing(database_url: str) -> None:
    def fail(tx: Transaction) -> None:
        add(tx, "one")
        raise LookupError("in the middle")

    async def attempt() -> list[str]:
        async with scratch_database(database_url) as database:
            with pytest.raises(LookupError, match="in the middle"):
                await database.write(fail)
            await database.write(lambda tx: add(tx, "two"))
            return await notes(database)

    assert run(attempt()) == ["two"]


def test_broken_constraint_is_the_callers_to_judge(database_url: str) -> None:
    async def attempt() -> list[str]:
        async with scratch_database(database_url) as database:
            await database.write(lambda tx: add(tx, "one"))
            with pytest.raises(IntegrityError):
                await database.write(lambda tx: add(tx, "one"))
            return await notes(database)

    assert run(attempt()) == ["one"]


def test_foreign_keys_hold(database_url: str) -> None:
    async def attempt() -> None:
        async with scratch_database(database_url) as database:
            await database.write(
                lambda tx: tx.connection.exec_driver_sql("INSERT INTO vote VALUES (1, 'no skill', 'agent', true)")
            )

    with pytest.raises(IntegrityError, match=r"(?i)foreign key"):
        run(attempt())


def test_callback_runs_once_on_the_loop_after_the_commit(database_url: str) -> None:
    calls: list[tuple[threading.Thread, int]] = []

    async def attempt() -> None:
        async with scratch_database(database_url) as database:

            def note() -> None:
                with database._reader._engine.connect() as connection, connection.begin():
                    calls.append((threading.current_thread(), count(connection)))

            def work(tx: Transaction) -> None:
                tx.after_commit(note)
                add(tx, "one")
                tx.after_commit(note)

            await database.write(work)

    run(attempt())
    assert calls == [(threading.main_thread(), 1)]


def test_callback_is_never_called_on_rollback(database_url: str) -> None:
    calls: list[str] = []

    def work(tx: Transaction) -> None:
        tx.after_commit(lambda: calls.append("called"))
        raise LookupError

    async def attempt() -> None:
        async with scratch_database(database_url) as database:
            with pytest.raises(LookupError):
                await database.write(work)

    run(attempt())
    assert calls == []


def test_read_sees_one_snapshot_while_others_write(database_url: str) -> None:
    began, written = threading.Event(), threading.Event()

    def look_twice(connection: Connection) -> tuple[int, int]:
        before = count(connection)
        began.set()
        assert written.wait(10)
        return before, count(connection)

    async def attempt() -> tuple[tuple[int, int], int]:
        async with scratch_database(database_url) as database:
            reading = asyncio.create_task(database.read(look_twice))
            assert await asyncio.to_thread(began.wait, 10)
            await database.write(lambda tx: add(tx, "one"))
            written.set()
            return await reading, await database.read(count)

    assert run(attempt()) == ((0, 0), 1)


def test_reads_run_beside_each_other_and_beside_a_write(database_url: str) -> None:
    together = threading.Barrier(4)

    def read(connection: Connection) -> int:
        count(connection)
        return together.wait(10)

    def write(tx: Transaction) -> int:
        add(tx, "one")
        return together.wait(10)

    async def attempt() -> list[int]:
        async with scratch_database(database_url) as database:
            return await asyncio.gather(database.write(write), *(database.read(read) for _ in range(3)))

    assert sorted(run(attempt())) == [0, 1, 2, 3]


def test_writes_come_one_after_another_in_order(database_url: str) -> None:
    async def attempt() -> list[str]:
        async with scratch_database(database_url) as database:
            await asyncio.gather(*(database.write(partial(add, text=f"{n:03}")) for n in range(50)))
            return await notes(database)

    assert run(attempt()) == [f"{n:03}" for n in range(50)]


def test_closed_database_is_unavailable(database_url: str) -> None:
    async def attempt() -> None:
        async with scratch_database(database_url) as database:
            pass
        with pytest.raises(Unavailable, match="stopping"):
            await database.write(lambda tx: add(tx, "late"))
        with pytest.raises(Unavailable, match="stopping"):
            await database.read(count)

    run(attempt())
