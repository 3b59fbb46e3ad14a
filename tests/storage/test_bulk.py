"""Inserting many rows at once: the same rows as one by one, whatever their number."""

import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from sqlmodel import SQLModel

import app.models  # noqa: F401  # makes every table known
from app.storage.bulk import ROWS_AT_ONCE, insert_rows
from app.storage.postgres_connection import engine
from tests.conftest import BACKENDS

TABLE = sa.Table(
    "thing",
    sa.MetaData(),
    sa.Column("number", sa.Integer),
    sa.Column("offset", sa.JSON),  # a word of SQL, which must be quoted
    sa.Column("flag", sa.Boolean),
    sa.Column("big", sa.BigInteger),
    sa.Column("share", sa.Float),
    sa.Column("text", sa.Text),
    sa.Column("body", sa.LargeBinary),
    sa.Column("none", sa.Text),
)
ROW: dict[str, Any] = {
    "offset": {"z": [1, 2**64 - 1, 1e308, 0.1], "a": "\U0001f600 \u2028 \\ \" '", "": None},
    "big": 2**63 - 1,
    "share": 0.1 + 0.2,
    "text": 'tab\t line\r\n \\x00 {"a": 1} $1 %s ?',
    "body": bytes(range(256)),
    "none": None,
}


@pytest.fixture(params=BACKENDS)
def connection(request: pytest.FixtureRequest) -> Iterator[sa.Connection]:
    on_postgres = request.param == "postgres"
    url = request.getfixturevalue("postgres").empty() if on_postgres else ""
    opened = engine(url, begin="BEGIN") if on_postgres else sa.create_engine("sqlite://")
    with opened.begin() as connection:
        TABLE.create(connection)
        yield connection
    opened.dispose()


@pytest.mark.parametrize("number", [0, 1, 2, 3, 31, 32, 33, 100, 127, 128, 129, 300])
def test_rows_are_inserted_as_they_are_in_order(connection: sa.Connection, number: int) -> None:
    rows = [{**ROW, "number": n, "flag": n % 2 == 0, "more": "passed over"} for n in range(number)]
    insert_rows(connection, TABLE, rows)
    found = connection.execute(sa.select(TABLE)).mappings().all()
    assert [dict(row) for row in found] == [{column.name: row[column.name] for column in TABLE.columns} for row in rows]


def test_widest_table_fits_into_one_statement() -> None:
    widest = max(len(table.columns) for table in SQLModel.metadata.tables.values())
    assert widest * ROWS_AT_ONCE <= (32_766 if sqlite3.sqlite_version_info >= (3, 32) else 999)
