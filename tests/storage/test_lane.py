"""A lane: what is given up commits nothing, and leaves a connection that the next one can use."""

import time
from collections.abc import Iterator
from concurrent.futures import Future

import pytest
from sqlalchemy import Connection

from app.errors import Unavailable
from app.storage.lane import Job, Lane
from app.storage.postgres import _WRITE, _lane
from app.storage.postgres_connection import engine
from tests.postgres import Postgres
from tests.server import wait_until


@pytest.fixture
def lane(postgres: Postgres) -> Iterator[Lane]:
    """One thread and its connection, which has been used."""
    lane = _lane(engine(postgres.new(), begin=_WRITE), 1, "test")
    run(lane, "CREATE TABLE note (text TEXT)")
    yield lane
    lane.close()


def run(lane: Lane, *statements: str) -> None:
    submit(lane, *statements)[1].result(10)


def submit(lane: Lane, *statements: str) -> tuple[Job, "Future[None]"]:
    def work(job: Job) -> None:
        with lane.transaction(job) as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    return lane.submit(work)


def notes(lane: Lane) -> int:
    def work(job: Job) -> int:
        with lane.transaction(job) as connection:
            return int(connection.exec_driver_sql("SELECT count(*) FROM note").scalar_one())

    return lane.submit(work)[1].result(10)


def test_work_given_up_ends_soon_and_commits_nothing(lane: Lane) -> None:
    started = time.monotonic()
    job, running = submit(lane, "INSERT INTO note VALUES ('one')", "SELECT pg_sleep(3)")
    wait_until(running.running, what="work that has begun")
    job.give_up()
    with pytest.raises(Exception, match=r"closed|took too long"):
        running.result(10)
    assert time.monotonic() - started < 2
    assert notes(lane) == 0


def test_work_given_up_before_its_commit_commits_nothing(lane: Lane) -> None:
    def work(job: Job) -> None:
        with lane.transaction(job) as connection:
            connection.exec_driver_sql("INSERT INTO note VALUES ('one')")
            job.give_up()

    with pytest.raises(Exception, match=r"closed|took too long"):
        lane.submit(work)[1].result(10)
    assert notes(lane) == 0


def test_work_given_up_while_it_began_leaves_no_transaction_open(lane: Lane, monkeypatch: pytest.MonkeyPatch) -> None:
    def work(job: Job) -> None:
        begin = Connection.begin

        def begin_and_give_up(connection: Connection) -> object:
            begun = begin(connection)
            job.give_up()
            return begun

        with monkeypatch.context() as patched:
            patched.setattr(Connection, "begin", begin_and_give_up)
            with lane.transaction(job):
                raise AssertionError("nobody waits for it")

    with pytest.raises(Exception, match=r"closed|took too long"):
        lane.submit(work)[1].result(10)
    assert notes(lane) == 0


def test_closed_lane_takes_no_work(lane: Lane) -> None:
    lane.close()
    with pytest.raises(Unavailable, match="stopping"):
        submit(lane)
