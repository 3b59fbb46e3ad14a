"""Copies of databases: every table, to the byte, in every direction, whatever interrupts them, and into no other data."""

import asyncio
import hashlib
import random
import sqlite3
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from shutil import copyfile

import pytest
from sqlmodel import SQLModel

from app.errors import StartupError
from app.storage.copy.copier import Copier
from app.storage.copy.ends import Target, open_source, open_target
from app.storage.copy.survey import survey
from app.storage.opening import migrate_database, open_database
from app.storage.sqlite import migrate_sqlite, owned
from tests.inside import run
from tests.postgres import Postgres
from tests.storage.copies import checksums, copy, copy_and_die, fill_every_table
from tests.storage.databases import url_of

ROUNDS = 3


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with rows in every table; tests only read it."""
    file = tmp_path_factory.mktemp("full") / "cin.db"
    fill_every_table(file)
    return file


@pytest.fixture
def own(full: Path, tmp_path: Path) -> Path:
    """The same for one test alone."""
    return Path(copyfile(full, tmp_path / "own.db"))


def execute(file: Path, *statements: str) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def counts(file: Path) -> dict[str, int]:
    with closing(sqlite3.connect(file)) as connection:
        return {
            name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        }


def refusal(source: str, target: str) -> str:
    with pytest.raises(StartupError) as caught:
        copy(source, target)
    return caught.value.detail


def opened(url: str) -> None:
    """Open it as a server does."""

    async def once() -> None:
        async with open_database(url):
            await asyncio.sleep(0)

    run(once())


def half_copied(source: Path, url: str) -> None:
    """Begin a copy that ends in the middle."""
    assert copy_and_die(url_of(source), url, 18)


# Everything arrives


def test_every_table_is_copied_there_and_back_to_the_byte(full: Path, tmp_path: Path, postgres: Postgres) -> None:
    there, further, back = postgres.empty(), postgres.empty(), tmp_path / "back.db"
    ends = [url_of(full), there, further, url_of(back), url_of(tmp_path / "again.db")]
    sums = []
    for source, target in pairwise(ends):
        copier, copied, said = copy(source, target)
        assert (copier.whole, copier.moved, said) == (True, False, [])
        sums.append(checksums(copied))
    assert all(each == sums[0] for each in sums)
    assert set(sums[0]) == set(SQLModel.metadata.tables)
    assert min(rows for rows, _ in sums[0].values()) > 0
    assert counts(back) == counts(full)


def test_texts_are_those_of_the_source_to_the_byte(full: Path, tmp_path: Path, postgres: Postgres) -> None:
    url = postgres.empty()
    copy(url_of(full), url)
    copy(url, url_of(tmp_path / "back.db"))
    for name, table in SQLModel.metadata.tables.items():
        query = f"SELECT * FROM {name} ORDER BY {', '.join(table.primary_key.columns.keys())}"
        with closing(sqlite3.connect(full)) as one, closing(sqlite3.connect(tmp_path / "back.db")) as other:
            one.text_factory = other.text_factory = bytes
            assert one.execute(query).fetchall() == other.execute(query).fetchall()


def test_source_is_not_changed_by_a_byte(own: Path, tmp_path: Path) -> None:
    before = hashlib.sha256(own.read_bytes()).hexdigest()
    copy(url_of(own), url_of(tmp_path / "other.db"))
    assert hashlib.sha256(own.read_bytes()).hexdigest() == before
    assert {file.name for file in tmp_path.iterdir()} <= {f"{n}.db{s}" for n in ("own", "other") for s in ("", ".lock")}


def test_source_whose_server_was_killed_is_copied_with_its_newest_rows(own: Path, tmp_path: Path) -> None:
    connection = sqlite3.connect(own)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("UPDATE agent SET last_seen_at = 'newest'")
    connection.commit()
    for suffix in ("", "-wal"):  # as it stands when the process dies
        copyfile(f"{own}{suffix}", f"{tmp_path / 'died.db'}{suffix}")
    connection.close()
    before = (tmp_path / "died.db").read_bytes()
    copy(url_of(tmp_path / "died.db"), url_of(tmp_path / "other.db"))
    with closing(sqlite3.connect(tmp_path / "other.db")) as other:
        assert other.execute("SELECT last_seen_at FROM agent").fetchall() == [("newest",)]
    assert (tmp_path / "died.db").read_bytes() == before


def test_numbers_count_on_after_a_copy(full: Path, postgres: Postgres) -> None:
    url = postgres.empty()
    copy(url_of(full), url)
    name = url.split("/")[3].partition("?")[0]
    columns = "network_id, skill_id, version, agent, success, created_at"
    insert = f"INSERT INTO outcome ({columns}) SELECT {columns} FROM outcome LIMIT 1 RETURNING id"
    assert postgres.execute(insert, database=name) == [(6,)]


# Interruptions


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_copy_that_is_killed_again_and_again_is_whole_in_the_end(
    kind: str, full: Path, tmp_path: Path, postgres: Postgres
) -> None:
    moments = random.Random(kind)
    for number in range(ROUNDS):
        target = url_of(tmp_path / f"{number}.db") if kind == "sqlite" else postgres.empty()
        copy_and_die(url_of(full), target, moments.randrange(5, 60))
        while not is_free(target):
            copy_and_die(url_of(full), target, moments.randrange(5, 80))
        assert state(target) == state(url_of(full))


def is_free(url: str) -> bool:
    """Whether a server may use it."""
    try:
        migrate_database(url)
    except StartupError as error:
        return "unfinished copy" not in error.detail
    return True


def state(url: str) -> str:
    with open_source(url) as source:
        return survey(source.connection).state


def test_copy_goes_on_where_it_was(full: Path, tmp_path: Path) -> None:
    target = tmp_path / "target.db"
    half_copied(full, url_of(target))
    there = {name: rows for name, rows in counts(target).items() if name in SQLModel.metadata.tables}
    whole = counts(full)
    assert 0 < sum(there.values()) < sum(whole[name] for name in there)
    copier, _, said = copy(url_of(full), url_of(target))
    assert (copier.whole, said) == (True, ["an earlier copy was interrupted: going on where it was"])


def test_copy_begins_anew_when_the_source_has_changed(own: Path, tmp_path: Path) -> None:
    target = tmp_path / "target.db"
    half_copied(own, url_of(target))
    execute(own, "UPDATE network SET counts = counts + 1", "UPDATE skill SET captures = captures + 1")
    copier, _, said = copy(url_of(own), url_of(target))
    assert copier.whole
    assert "beginning anew" in said[0]


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_half_copied_database_is_refused_to_servers(kind: str, full: Path, tmp_path: Path, postgres: Postgres) -> None:
    url = url_of(tmp_path / "half.db") if kind == "sqlite" else postgres.empty()
    half_copied(full, url)
    for attempt in (opened, migrate_database):
        with pytest.raises(StartupError, match=rf"unfinished copy of {full}.*same `cin copy`"):
            attempt(url)


def test_half_copied_database_is_no_source(full: Path, tmp_path: Path) -> None:
    half_copied(full, url_of(tmp_path / "half.db"))
    assert "unfinished copy" in refusal(url_of(tmp_path / "half.db"), url_of(tmp_path / "other.db"))


def test_half_copied_database_takes_no_other_source(full: Path, own: Path, tmp_path: Path) -> None:
    half_copied(full, url_of(tmp_path / "half.db"))
    execute(own, "UPDATE network SET epoch = 'other'")
    said = refusal(url_of(own), url_of(tmp_path / "half.db"))
    assert f"unfinished copy of another database, {full}" in said


# What must not be, and what is said of it


def test_difference_is_named_and_the_target_kept_from_use(
    full: Path, tmp_path: Path, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil_before_comparing(monkeypatch, "DELETE FROM skill_tag WHERE tag = '🙂'", "UPDATE agent SET acknowledged = 0")
    url = postgres.empty()
    copier, copied, _ = copy(url_of(full), url)
    assert not copier.whole
    differing = {table.table: table for table in copied if table.differs_at is not None}
    assert set(differing) == {"agent", "skill_tag"}
    assert differing["agent"].differs_at == (1, "agent-a")
    assert differing["skill_tag"].differs_at is not None
    assert differing["skill_tag"].differs_at[:2] == (1, "🙂")
    assert differing["skill_tag"].rows == differing["skill_tag"].rows_there + 1
    with pytest.raises(StartupError, match="unfinished copy"):
        migrate_database(url)

    monkeypatch.undo()
    assert copy(url_of(full), url)[0].whole


def spoil_before_comparing(monkeypatch: pytest.MonkeyPatch, *statements: str) -> None:
    compare = Copier._compare

    def spoiled(self: Copier, *given: object) -> object:
        target: Target = self._target
        with target.engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)
        return compare(self, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(Copier, "_compare", spoiled)


def test_writes_to_the_source_meanwhile_are_noticed(
    full: Path, tmp_path: Path, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = postgres.empty(), url_of(tmp_path / "target.db")
    copy(url_of(full), source)
    insert = Copier._copy

    def written(self: Copier, *given: object) -> None:
        insert(self, *given)  # type: ignore[arg-type]
        name = source.split("/")[3].partition("?")[0]
        postgres.execute("UPDATE network SET head = head + 1", database=name)

    monkeypatch.setattr(Copier, "_copy", written)
    copier, copied, _ = copy(source, target)
    assert (copier.moved, copier.whole) == (True, False)
    assert [table.differs_at for table in copied if table.differs_at] == []  # what was there at the begin is all there
    with pytest.raises(StartupError, match="unfinished copy"):
        migrate_database(target)


@pytest.mark.parametrize(
    ("value", "reason"),
    [("'a' || char(0) || 'b'", "NUL"), ("CAST(x'ff41' AS TEXT)", "not UTF-8")],
)
def test_row_that_cannot_be_held_is_named(own: Path, postgres: Postgres, value: str, reason: str) -> None:
    execute(own, f"UPDATE skill SET context = {value} WHERE rowid = 400")
    with closing(sqlite3.connect(own)) as connection:
        key = connection.execute("SELECT id FROM skill WHERE rowid = 400").fetchone()[0]
    url = postgres.empty()
    said = refusal(url_of(own), url)
    assert f"the row of skill with the key {key}: " in said
    assert reason in said
    execute(own, "UPDATE skill SET context = 'fine' WHERE rowid = 400")
    assert copy(url_of(own), url)[0].whole


def test_server_on_the_source_is_noticed(own: Path, tmp_path: Path, postgres: Postgres) -> None:
    with owned(own):
        assert "Another process has" in refusal(url_of(own), url_of(tmp_path / "other.db"))
    source = postgres.new()

    async def while_open() -> str:
        async with open_database(source) as database:
            await database.read(lambda connection: connection.exec_driver_sql("SELECT 1"))
            return refusal(source, url_of(tmp_path / "other.db"))

    assert "CIN is running on" in run(while_open())


def test_source_of_another_revision_is_refused(own: Path, tmp_path: Path) -> None:
    execute(own, "UPDATE alembic_version SET version_num = '0001'")
    assert "`cin migrate`" in refusal(url_of(own), url_of(tmp_path / "other.db"))
    execute(own, "DROP TABLE alembic_version")
    assert "no database of CIN" in refusal(url_of(own), url_of(tmp_path / "other.db"))


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_other_data_is_named_and_left_as_it_is(kind: str, full: Path, tmp_path: Path, postgres: Postgres) -> None:
    if kind == "sqlite":
        url = url_of(tmp_path / "other.db")
        execute(tmp_path / "other.db", "CREATE TABLE mine (text TEXT)", "INSERT INTO mine VALUES ('kept')")
        before = (tmp_path / "other.db").read_bytes()
    else:
        url = postgres.empty()
        name = url.split("/")[3].partition("?")[0]
        postgres.execute("CREATE TABLE mine (text TEXT)", "INSERT INTO mine VALUES ('kept')", database=name)
    assert "has rows already (mine has 1)" in refusal(url_of(full), url)
    if kind == "sqlite":
        assert (tmp_path / "other.db").read_bytes() == before
    else:
        tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
        assert postgres.execute(tables, database=name) == [("mine",)]


def test_empty_database_of_cin_is_filled(full: Path, tmp_path: Path, postgres: Postgres) -> None:
    migrate_sqlite(url_of(tmp_path / "empty.db"))
    for url in (url_of(tmp_path / "empty.db"), postgres.new()):
        assert copy(url_of(full), url)[0].whole


def test_database_is_not_copied_onto_itself(own: Path, tmp_path: Path, postgres: Postgres) -> None:
    (tmp_path / "link.db").hardlink_to(own)
    url = postgres.new()
    assert "has rows" in refusal(url_of(own), url_of(tmp_path / "link.db"))
    assert "Both ends of the copy are" in refusal(url, url)


def test_two_copies_do_not_share_a_target(full: Path, postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.storage.copy.ends_postgres._LOCK_MILLISECONDS", 50)
    url = postgres.empty()
    with open_target(url):
        assert "Another copy into" in refusal(url_of(full), url)
