"""Inserting many rows at once, in few statements and few steps."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy import Connection, Dialect

ROWS_AT_ONCE = 128 if sqlite3.sqlite_version_info >= (3, 32) else 32
"""The widest table has 25 columns; SQLite takes 32,766 bound values (999 before 3.32, of 2020). More rows at once take it
longer for each, and fewer wait for the interpreter more often."""


def insert_rows(connection: Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert `rows`, which have a value for every column; what else they hold is passed over.

    Rows go in by 128, 64, 32 … at a time, so that there are eight statements to prepare whatever the number. `executemany`
    would let go of the interpreter for every row, and with a busy event loop beside it wait for it as often: a group of
    64 captures then takes twice as long. SQLAlchemy would work out each row's parameters anew, for 25 µs a row.
    """
    if rows and connection.dialect.name == "postgresql":
        _insert_as_json(connection, table, rows)
        return
    start = 0
    while start < len(rows):
        size = min(ROWS_AT_ONCE, 1 << (len(rows) - start).bit_length() - 1)
        statement, columns = _prepare(table, connection.dialect, size)
        values = [
            row[name] if convert is None else convert(row[name])
            for row in rows[start : start + size]
            for name, convert in columns
        ]
        connection.exec_driver_sql(statement, tuple(values))
        start += size


def _insert_as_json(connection: Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """All rows as one value. psycopg takes a millisecond to find the places of 400 values in a statement."""
    statement, names = _prepare_json(table, connection.dialect)
    values = orjson.dumps([{name: row[name] for name in names} for row in rows], default=_to_bytea)
    connection.exec_driver_sql(statement, (values.decode(),))


@lru_cache
def _prepare_json(table: sa.Table, dialect: Dialect) -> tuple[str, list[str]]:
    quote = dialect.identifier_preparer.quote
    names = ", ".join(quote(column.name) for column in table.columns)
    source = f"json_populate_recordset(NULL::{quote(table.name)}, %s::json)"
    statement = f"INSERT INTO {quote(table.name)} ({names}) SELECT {names} FROM {source}"  # noqa: S608  # own names
    return statement, [f"{column.name}" for column in table.columns]  # orjson takes no kind of str but str itself


def _to_bytea(value: object) -> str:
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    raise TypeError(f"a {type(value).__name__} cannot be kept")


@lru_cache
def _prepare(table: sa.Table, dialect: Dialect, rows: int) -> tuple[str, list[tuple[str, Callable[[Any], Any] | None]]]:
    """The statement for so many rows, and the columns in its order, each with what converts a value for the driver."""
    quote = dialect.identifier_preparer.quote
    names = ", ".join(quote(column.name) for column in table.columns)
    row = f"({', '.join('?' * len(table.columns))})"
    statement = f"INSERT INTO {quote(table.name)} ({names}) VALUES {', '.join([row] * rows)}"  # noqa: S608  # own names
    return statement, [
        (column.name, column.type.dialect_impl(dialect).bind_processor(dialect)) for column in table.columns
    ]
