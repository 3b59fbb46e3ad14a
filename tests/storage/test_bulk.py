"""Inserting many rows at once: the same rows as one by one, whatever their number."""

import pytest
import sqlalchemy as sa
from sqlmodel import SQLModel

import app.models  # noqa: F401  # makes every table known
from app.storage.bulk import ROWS_AT_ONCE, insert_rows

TABLE = sa.Table(
    "thing",
    sa.MetaData(),
    sa.Column("number", sa.Integer),
    sa.Column("offset", sa.JSON),  # a word of SQL, which must be quoted
    sa.Column("flag", sa.Boolean),
)


@pytest.mark.parametrize("number", [0, 1, 2, 3, 31, 32, 33, 63, 64, 100])
def test_rows_are_inserted_as_they_are_in_order(number: int) -> None:
    rows = [{"number": n, "offset": {"n": [n]}, "flag": n % 2 == 0, "more": "passed over"} for n in range(number)]
    engine = sa.create_engine("sqlite://")
    with engine.begin() as connection:
        TABLE.create(connection)
        insert_rows(connection, TABLE, rows)
        found = connection.execute(sa.select(TABLE)).mappings().all()
    engine.dispose()
    assert [dict(row) for row in found] == [{name: row[name] for name in ("number", "offset", "flag")} for row in rows]


def test_widest_table_fits_into_one_statement() -> None:
    widest = max(len(table.columns) for table in SQLModel.metadata.tables.values())
    assert widest * ROWS_AT_ONCE <= 999
