"""The rows of a table as values that every database gives alike, in the order of the primary key, in pages.

JSON is its text, byte for byte as it was written. Text is ordered by code points on every database (`by_code_points`), so
that a table that was copied in part holds the first rows of its source, and its last key says where to go on. What a row
says of the server that keeps it is left out.
"""

from collections.abc import Iterator
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy import Connection

Row: TypeAlias = tuple[Any, ...]
Key: TypeAlias = tuple[int | str, ...]

MOST_ROWS = 2_000
_FIRST_ROWS = 250
_PAGE_CHARACTERS = 8_000_000
"""What a page holds, more or less: a row may have some hundred thousand characters, or fifty."""


class Rows:
    """How one table is read."""

    def __init__(self, table: sa.Table) -> None:
        self.table = table
        self.name = table.name
        self._key = list(table.primary_key.columns)
        self._places = [list(table.columns).index(column) for column in self._key]
        self._query = sa.select(*map(_as_copied, table.columns)).order_by(*self._key)

    def key(self, row: Row) -> Key:
        return tuple(row[place] for place in self._places)

    def count(self, connection: Connection) -> int:
        return connection.execute(sa.select(sa.func.count()).select_from(self.table)).scalar_one()

    def last_key(self, connection: Connection) -> Key | None:
        """The greatest key there is."""
        last = sa.select(*self._key).order_by(*(column.desc() for column in self._key)).limit(1)
        found = connection.execute(last).first()
        return None if found is None else tuple(found)

    def pages(self, connection: Connection, after: Key | None = None) -> Iterator[list[Row]]:
        """Every row behind `after`. The connection may be used for other things between pages."""
        size = _FIRST_ROWS
        while True:
            query = self._query if after is None else self._query.where(sa.tuple_(*self._key) > sa.tuple_(*after))
            page: list[Row] = [tuple(row) for row in connection.execute(query.limit(size))]
            if page:
                yield page
            if len(page) < size:
                return
            after = self.key(page[-1])
            size = max(1, min(MOST_ROWS, size * 4, len(page) * _PAGE_CHARACTERS // (1 + _characters(page))))

    def each(self, connection: Connection) -> Iterator[Row]:
        """Every row."""
        for page in self.pages(connection):
            yield from page


def show(key: Key) -> str:
    """The key for people."""
    return ", ".join(map(str, key))


def _as_copied(column: "sa.Column[Any]") -> "sa.ColumnElement[Any]":
    if column.info.get("of_server"):
        return sa.literal(column.default.arg, column.type).label(column.name)  # type: ignore[union-attr]
    return sa.cast(column, sa.Text) if isinstance(column.type, sa.JSON) else column


def _characters(page: list[Row]) -> int:
    return sum(len(value) for row in page for value in row if isinstance(value, str | bytes))
