"""The mark of a database that a copy is being made into: as long as it stands, nothing but that copy may use it.

It is a table beside those of the models, made before the first row and dropped in the transaction that ends the copy. So
however a copy ends, nobody works on half of the data.
"""

from dataclasses import asdict, dataclass

import sqlalchemy as sa
from sqlalchemy import Connection

from app.errors import StartupError

_TABLE = sa.Table(
    "unfinished_copy",
    sa.MetaData(),  # its own: what the models' has is copied
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("logs", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Mark:
    """What is being copied: `source` for people, `logs` by their epochs, and a digest of the `state` it began with."""

    source: str
    logs: str
    state: str


def read_mark(connection: Connection) -> Mark | None:
    if not sa.inspect(connection).has_table(_TABLE.name):
        return None
    return Mark(*connection.execute(sa.select(_TABLE)).one())


def write_mark(connection: Connection, mark: Mark) -> None:
    """Set the mark, in the place of one that is there."""
    _TABLE.create(connection, checkfirst=True)
    connection.execute(sa.delete(_TABLE))
    connection.execute(sa.insert(_TABLE), asdict(mark))


def remove_mark(connection: Connection) -> None:
    _TABLE.drop(connection)


def refuse_unfinished(connection: Connection) -> None:
    """Raise `StartupError` if the mark is there."""
    mark = read_mark(connection)
    if mark is not None:
        raise StartupError(
            f"The database holds an unfinished copy of {mark.source}. Give the same `cin copy` again: it goes on where it "
            "stopped. Or name another database."
        )


def refuse_other_data(connection: Connection, name: str) -> None:
    """Raise `StartupError` that names what is there, if any table but Alembic's has a row."""
    quote = connection.dialect.identifier_preparer.quote
    tables = [table for table in sorted(sa.inspect(connection).get_table_names()) if table != "alembic_version"]
    counts = {
        table: connection.exec_driver_sql(f"SELECT count(*) FROM {quote(table)}").scalar_one()  # noqa: S608  # quoted
        for table in tables
    }
    there = [f"{table} has {count:,}" for table, count in counts.items() if count]
    if there:
        raise StartupError(
            f"{name} has rows already ({', '.join(there)}), and a copy is not mixed with other data. Nothing was changed. "
            "Name an empty database, or one that does not exist yet if it is a SQLite file."
        )
