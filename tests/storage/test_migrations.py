"""Migrations: they make the schema that the models describe, once, and leave alone what they do not know."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlmodel import SQLModel

import app.models  # noqa: F401  # makes every table known
from app.errors import StartupError
from app.storage.sqlite import migrate_sqlite
from tests.storage.databases import url_of


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A database at the newest revision."""
    migrate_sqlite(url_of(tmp_path / "cin.db"))
    return tmp_path / "cin.db"


@pytest.fixture
def migrated(file: Path) -> Iterator[sa.Connection]:
    engine = sa.create_engine(url_of(file))
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def objects(connection: sa.Connection, kind: str) -> dict[str, str]:
    rows = connection.exec_driver_sql(
        "SELECT name, sql FROM sqlite_master WHERE type = ? AND sql IS NOT NULL AND name != 'alembic_version'", (kind,)
    )
    return {name: " ".join(sql.split()) for name, sql in rows}


def execute(file: Path, *statements: str) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def test_fresh_file_is_brought_to_the_newest_revision(tmp_path: Path) -> None:
    before, after = migrate_sqlite(url_of(tmp_path / "cin.db"))
    assert before is None
    assert migrate_sqlite(url_of(tmp_path / "cin.db")) == (after, after)


def test_migration_again_changes_no_byte(file: Path) -> None:
    content = file.read_bytes()
    migrate_sqlite(url_of(file))
    assert file.read_bytes() == content


def test_migrations_make_what_the_models_describe(migrated: sa.Connection) -> None:
    options = {"compare_type": True, "compare_server_default": True}
    assert compare_metadata(MigrationContext.configure(migrated, opts=options), SQLModel.metadata) == []


def test_indexes_are_those_of_the_models_to_the_letter(migrated: sa.Connection) -> None:
    described = sa.create_engine("sqlite://")
    with described.connect() as connection:
        SQLModel.metadata.create_all(connection)
        assert objects(migrated, "index") == objects(connection, "index")
    described.dispose()


def test_every_table_but_the_network_knows_its_network(migrated: sa.Connection) -> None:
    found = sa.inspect(migrated)
    tables = [name for name in found.get_table_names() if name not in ("alembic_version", "network")]
    assert [t for t in tables if "network_id" not in {column["name"] for column in found.get_columns(t)}] == []


def test_database_of_a_newer_program_is_refused_and_left_as_it_is(file: Path) -> None:
    execute(file, "UPDATE alembic_version SET version_num = '9999'")
    content = file.read_bytes()
    with pytest.raises(StartupError, match=r"revision 9999, which this program does not know.*newer CIN"):
        migrate_sqlite(url_of(file))
    assert file.read_bytes() == content


def test_database_of_another_program_is_refused_and_keeps_its_tables(tmp_path: Path) -> None:
    file = tmp_path / "cin.db"
    execute(file, "CREATE TABLE event (mine TEXT)", "INSERT INTO event VALUES ('kept')")
    with pytest.raises(StartupError, match="event already exists"):
        migrate_sqlite(url_of(file))
    with closing(sqlite3.connect(file)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        assert (tables, connection.execute("SELECT * FROM event").fetchall()) == ([("event",)], [("kept",)])


def test_interrupted_migration_leaves_nothing_behind(tmp_path: Path) -> None:
    file = tmp_path / "cin.db"
    execute(file, "CREATE TABLE vote (mine TEXT)")  # the last table the first migration makes
    with pytest.raises(StartupError):
        migrate_sqlite(url_of(file))
    execute(file, "DROP TABLE vote")
    assert migrate_sqlite(url_of(file))[0] is None
