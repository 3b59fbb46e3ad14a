"""Copies every table of a database into an empty one, and holds what came against what was there, row by row.

It may be interrupted at any moment: each page of rows is a transaction, pages go in the order of the primary key, and what
is there already says where to go on. Until all of it is there and the same, the mark keeps everybody else out.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import zip_longest
from typing import TypeAlias

import sqlalchemy as sa
from sqlmodel import SQLModel

from app.errors import StartupError
from app.storage.copy.ends import RowUnfit, Source, Target, reaching
from app.storage.copy.mark import Mark, read_mark, refuse_other_data, refuse_unfinished, remove_mark, write_mark
from app.storage.copy.rows import Key, Row, Rows, show
from app.storage.copy.survey import Survey, survey
from app.storage.migrations import require_newest

Progress: TypeAlias = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
"""Given what is done and how much of it there is; yields what is told how many more are done."""

TABLES: Sequence[sa.Table] = SQLModel.metadata.sorted_tables
"""All there are, each behind those that it refers to."""


@dataclass(frozen=True, slots=True)
class Copied:
    """A table after the copy, on both sides. A checksum is SHA-256 over all rows in the order of the primary key."""

    table: str
    rows: int
    checksum: str
    rows_there: int
    checksum_there: str
    differs_at: Key | None
    """The first key whose row is not the same on both sides."""


class Copier:
    """One copy, from where an earlier one stopped to its end."""

    def __init__(self, source: Source, target: Target, progress: Progress, say: Callable[[str], None]) -> None:
        self._source = source
        self._target = target
        self._progress = progress
        self._say = say
        self.moved = False
        """Whether somebody wrote to the source meanwhile; what they wrote was not copied."""
        self.whole = False
        """Whether everything is there and the same, and the target free for use."""

    def run(self) -> list[Copied]:
        """What became of each table. Raises `StartupError` with a sentence."""
        found = self._look()
        self._claim(found.mark(self._source.name))
        for table in TABLES:
            self._copy(Rows(table), found.totals[table.name])
        copied = [self._compare(Rows(table), found.totals[table.name]) for table in TABLES]
        with reaching(self._source.name), self._source.now() as connection:
            self.moved = survey(connection).state != found.state
        self._end(found, whole=not self.moved and all(table.differs_at is None for table in copied))
        return copied

    def _look(self) -> Survey:
        if self._source.identity == self._target.identity:
            raise StartupError(f"Both ends of the copy are {self._source.name}.")
        with reaching(self._source.name):
            refuse_unfinished(self._source.connection)
            require_newest(self._source.connection, self._source.name)
            return survey(self._source.connection)

    def _claim(self, mark: Mark) -> None:
        """Set the mark on an empty target; go on with one that has the mark of this source, or begin it anew."""
        with reaching(self._target.name):
            with self._target.engine.begin() as connection:
                earlier = read_mark(connection)
                if earlier is None:
                    refuse_other_data(connection, self._target.name)
                    write_mark(connection, mark)
                elif earlier.logs != mark.logs:
                    raise StartupError(
                        f"{self._target.name} holds an unfinished copy of another database, {earlier.source}. "
                        "Finish that one, or name an empty database."
                    )
            self._target.migrate()
            if earlier is not None:
                self._go_on(earlier, mark)

    def _go_on(self, earlier: Mark, mark: Mark) -> None:
        if earlier.state == mark.state:
            self._say("an earlier copy was interrupted: going on where it was")
        else:
            self._say("the source has changed since an earlier copy was interrupted: beginning anew")
            with self._target.engine.begin() as connection:
                for table in reversed(TABLES):
                    connection.execute(sa.delete(table))
                write_mark(connection, mark)

    def _copy(self, rows: Rows, total: int) -> None:
        with reaching(self._target.name), self._target.engine.begin() as connection:
            there, last = rows.count(connection), rows.last_key(connection)
        with self._progress(f"copying {rows.name}", total) as passed:
            passed(there)
            for page in _named(self._source.name, rows.pages(self._source.connection, last)):
                self._insert(rows, page)
                passed(len(page))

    def _insert(self, rows: Rows, page: list[Row]) -> None:
        try:
            with reaching(self._target.name), self._target.engine.begin() as connection:
                self._target.insert(connection, rows.table, page)
        except RowUnfit as error:
            self._find_unfit(rows, page)
            raise StartupError(f"{self._target.name} cannot hold these rows of {rows.name}: {error}.") from error

    def _find_unfit(self, rows: Rows, page: list[Row]) -> None:
        """Raise `StartupError` that names the first row which cannot be held."""
        for row in page:
            with (
                reaching(self._target.name),
                self._target.engine.connect() as connection,
                connection.begin() as attempt,
            ):
                try:
                    self._target.insert(connection, rows.table, [row])
                except RowUnfit as error:
                    raise StartupError(
                        f"{self._target.name} cannot hold the row of {rows.name} with the key {show(rows.key(row))}: "
                        f"{error}. The copy is unfinished; change that row, and give the same command again."
                    ) from error
                attempt.rollback()

    def _compare(self, rows: Rows, total: int) -> Copied:
        here, there = _Sum(), _Sum()
        differs_at: Key | None = None
        with (
            self._progress(f"checking {rows.name}", total) as passed,
            reaching(self._target.name),
            self._target.engine.begin() as connection,
        ):
            theirs = _named(self._source.name, rows.pages(self._source.connection))
            for ours, came in zip_longest(_flat(theirs, passed), rows.each(connection)):
                if here.add(ours) != there.add(came) and differs_at is None:
                    differs_at = min(rows.key(row) for row in (ours, came) if row is not None)
        return Copied(rows.name, here.rows, here.checksum, there.rows, there.checksum, differs_at)

    def _end(self, found: Survey, *, whole: bool) -> None:
        with reaching(self._target.name), self._target.engine.begin() as connection:
            if whole:
                self._target.settle(connection)
                remove_mark(connection)
            else:  # the next one begins anew
                write_mark(connection, Mark(self._source.name, found.logs, "differs"))
        self.whole = whole


class _Sum:
    """Counts rows and sums them up. A row is summed as Python writes its values, so 1, 1.0 and true are three things."""

    def __init__(self) -> None:
        self.rows = 0
        self._hash = hashlib.sha256()

    @property
    def checksum(self) -> str:
        return self._hash.hexdigest()

    def add(self, row: Row | None) -> bytes:
        """What the row was summed as; nothing for none."""
        if row is None:
            return b""
        text = repr(row).encode() + b"\n"
        self.rows += 1
        self._hash.update(text)
        return text


def _flat(pages: Iterator[list[Row]], passed: Callable[[int], None]) -> Iterator[Row]:
    for page in pages:
        yield from page
        passed(len(page))


def _named(name: str, pages: Iterator[list[Row]]) -> Iterator[list[Row]]:
    """The pages; what goes wrong while they are read is that database's doing."""
    with reaching(name):
        yield from pages
