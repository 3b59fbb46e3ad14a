"""SQLite as a server's database: one process, one writer, on disk when answered, and a sentence when it cannot be opened."""

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import sqlalchemy as sa

from app.errors import StartupError, StorageFull, Unavailable
from app.storage.database import Transaction
from app.storage.sqlite import file_of, migrate_sqlite, open_sqlite, owned, translate
from tests.inside import database_in, run, within
from tests.storage.databases import notes, refusal_as_nobody, scratch_database, url_of


def pragma(connection: sa.Connection, name: str) -> object:
    return connection.exec_driver_sql(f"PRAGMA {name}").scalar()


async def open_once(url: str) -> None:
    async with open_sqlite(url):
        pass


def refusal(url: str) -> str:
    with pytest.raises(StartupError) as caught:
        run(open_once(url))
    return caught.value.detail


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can reach; pytest's own is closed to all but its owner."""
    with TemporaryDirectory(prefix="cin-test-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


# What holds while it is open


@pytest.mark.parametrize(
    ("name", "value"), [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("busy_timeout", 5000)]
)
def test_writer_waits_for_the_disk(tmp_path: Path, name: str, value: object) -> None:
    async def look() -> object:
        async with scratch_database(database_in(tmp_path)) as database:
            return await database.write(lambda tx: pragma(tx.connection, name))

    assert run(look()) == value


@pytest.mark.parametrize(("name", "value"), [("query_only", 1), ("wal_autocheckpoint", 0), ("journal_mode", "wal")])
def test_readers_neither_write_nor_checkpoint(tmp_path: Path, name: str, value: object) -> None:
    async def look() -> set[object]:
        async with scratch_database(database_in(tmp_path)) as database:
            return set(await asyncio.gather(*(database.read(lambda c: pragma(c, name)) for _ in range(16))))

    assert run(look()) == {value}


def test_write_on_a_reader_fails_and_changes_nothing(tmp_path: Path) -> None:
    async def attempt() -> list[str]:
        async with scratch_database(database_in(tmp_path)) as database:
            with pytest.raises(Unavailable, match="SQLITE_READONLY"):
                await database.read(lambda c: c.exec_driver_sql("INSERT INTO note (text) VALUES ('sneaked in')"))
            return await notes(database)

    assert run(attempt()) == []


def test_answered_write_can_be_read_by_another_process(tmp_path: Path) -> None:
    async def look() -> list[tuple[str]]:
        async with scratch_database(database_in(tmp_path)) as database:
            await database.write(lambda tx: tx.connection.exec_driver_sql("INSERT INTO note (text) VALUES ('kept')"))
            with sqlite3.connect(tmp_path / "cin.db") as other:
                found = other.execute("SELECT text FROM note").fetchall()
            other.close()
            return found

    assert run(look()) == [("kept",)]


def test_full_disk_is_storage_full_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    def fill(tx: Transaction) -> None:
        tx.connection.exec_driver_sql("INSERT INTO note (text) VALUES ('small')")
        tx.connection.exec_driver_sql("INSERT INTO note (text) VALUES (?)", ("x" * 1_000_000,))

    async def attempt() -> list[str]:
        async with scratch_database(database_in(tmp_path)) as database:
            await database.write(lambda tx: tx.connection.exec_driver_sql("PRAGMA max_page_count = 1"))
            with pytest.raises(StorageFull):
                await database.write(fill)
            return await notes(database)

    assert run(attempt()) == []


def test_captures_go_on_when_there_is_room_again(tmp_path: Path) -> None:
    def big(tx: Transaction) -> None:
        tx.connection.exec_driver_sql("INSERT INTO note (text) VALUES (?)", ("x" * 1_000_000,))

    async def attempt() -> int:
        async with scratch_database(database_in(tmp_path)) as database:
            await database.write(lambda tx: tx.connection.exec_driver_sql("PRAGMA max_page_count = 1"))
            with pytest.raises(StorageFull):
                await database.write(big)
            await database.write(lambda tx: tx.connection.exec_driver_sql("PRAGMA max_page_count = 100000"))
            await database.write(big)
            return len(await notes(database))

    assert run(attempt()) == 1


def test_closed_database_leaves_one_file_and_its_lock(tmp_path: Path) -> None:
    async def use() -> None:
        async with scratch_database(database_in(tmp_path)) as database:
            await database.write(lambda tx: tx.connection.exec_driver_sql("INSERT INTO note (text) VALUES ('kept')"))
            await notes(database)

    run(use())
    assert {file.name for file in tmp_path.iterdir()} <= {"cin.db", "cin.db.lock"}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("SQLITE_FULL", StorageFull),
        ("SQLITE_IOERR_WRITE", StorageFull),
        ("SQLITE_BUSY", Unavailable),
        ("SQLITE_IOERR_READ", Unavailable),
        ("SQLITE_CORRUPT", Unavailable),
    ],
)
def test_result_codes_are_translated(name: str, kind: type[Exception]) -> None:
    original = sqlite3.OperationalError("as SQLite says it")
    original.sqlite_errorname = name
    translated = translate(sa.exc.OperationalError("SELECT 1", {}, original))
    assert isinstance(translated, kind)


# Who may open it


def test_second_owner_is_refused_with_a_sentence(tmp_path: Path) -> None:
    async def attempt() -> str:
        async with scratch_database(database_in(tmp_path)):
            with pytest.raises(StartupError) as caught:
                await within(open_once(url_of(tmp_path / "cin.db")))
            return caught.value.detail

    assert "Another process has" in run(attempt())


def test_migration_is_refused_while_a_server_owns_the_file(tmp_path: Path) -> None:
    with owned(tmp_path / "cin.db"), pytest.raises(StartupError, match="Another process has"):
        migrate_sqlite(url_of(tmp_path / "cin.db"))


def test_file_is_free_again_after_its_owner(tmp_path: Path) -> None:
    run(open_once(url_of(tmp_path / "cin.db")))
    run(open_once(url_of(tmp_path / "cin.db")))


def test_file_is_free_again_after_an_owner_that_failed(tmp_path: Path) -> None:
    (tmp_path / "cin.db").write_bytes(b"no database" * 100)
    for _ in range(2):
        assert "is not a SQLite database" in refusal(url_of(tmp_path / "cin.db"))


# What cannot be opened


def test_missing_folder_is_named(tmp_path: Path) -> None:
    assert f"The folder {tmp_path / 'gone'} does not exist" in refusal(url_of(tmp_path / "gone" / "cin.db"))


def test_folder_in_place_of_the_file_is_named(tmp_path: Path) -> None:
    assert "is a folder" in refusal(url_of(tmp_path))


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite:///"])
def test_url_without_a_file_is_refused(url: str) -> None:
    assert "names no file" in refusal(url)


@pytest.mark.parametrize("url", ["", "cin.db", "not a url"])
def test_text_that_is_no_url_is_refused(url: str) -> None:
    assert "is not a database URL" in refusal(url)


@pytest.mark.parametrize(
    "content", [b"hello, I am a text\n" * 300, b"\x00" * 4096, b"SQLite format 3\x00" + b"\xff" * 4080]
)
def test_file_that_is_no_database_is_refused_and_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "cin.db"
    file.write_bytes(content)
    assert str(file) in refusal(url_of(file))
    assert file.read_bytes() == content


def test_damaged_database_is_refused_with_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "cin.db"
    run(open_once(url_of(file)))
    file.write_bytes(file.read_bytes()[:100] + b"\xff" * 20_000)
    assert "cannot be opened" in refusal(url_of(file))


def test_file_that_cannot_be_written_is_refused(open_folder: Path) -> None:
    open_folder.chmod(0o777)
    file = open_folder / "cin.db"
    file.write_bytes(b"")
    file.chmod(0o444)
    assert f"The file {file} cannot be written" in refusal_as_nobody(lambda: file_of(url_of(file)))


def test_folder_that_cannot_be_written_is_refused(open_folder: Path) -> None:
    assert f"The folder {open_folder} cannot be written" in refusal_as_nobody(
        lambda: file_of(url_of(open_folder / "cin.db"))
    )


def test_lock_that_cannot_be_taken_is_said(open_folder: Path) -> None:
    def attempt() -> None:
        with owned(open_folder / "cin.db"):
            pass

    assert "lock file" in refusal_as_nobody(attempt)
