"""`cin serve` that cannot start says why in one sentence, leaves everything as it was, and exits with 2."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.server import SERVE, Server, free_port

SERVE_WITHIN_RIGHTS = [
    sys.executable,
    "-c",
    # Tests may run as root, who may write what is read-only. PR_CAPBSET_DROP is 24, CAP_DAC_OVERRIDE is 1.
    f"import ctypes, os; os.geteuid() or ctypes.CDLL(None).prctl(24, 1); os.execv({SERVE[0]!r}, {SERVE!r})",
]
NO_DATABASE = b"These are notes, and no database.\n" * 100


class Refusal(NamedTuple):
    """How a start ended."""

    code: int
    sentence: str


class Attempts:
    """Starts all programs that will be refused at once, because each takes seconds to import what it needs."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self._stack = stack
        self._started: dict[str, subprocess.Popen[str]] = {}

    def start(self, name: str, database: Path, *, program: list[str] = SERVE, port: int | None = None) -> None:
        clean = {key: value for key, value in os.environ.items() if not key.startswith("CIN_")}
        settings = {"CIN_DATABASE_URL": f"sqlite:///{database}", "CIN_PORT": str(port or free_port())}
        self._started[name] = process = subprocess.Popen(
            program, env=clean | settings, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self._stack.enter_context(process)
        self._stack.callback(process.kill)

    def __getitem__(self, name: str) -> Refusal:
        process = self._started[name]
        out, err = process.communicate(timeout=30)
        assert out == ""
        return Refusal(process.returncode, err)


@pytest.fixture(scope="module")
def refused(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attempts]:
    folder = tmp_path_factory.mktemp("refused")
    with ExitStack() as stack:
        attempts = Attempts(folder, stack)
        attempts.start("second", server.database)
        attempts.start("no folder", folder / "nowhere" / "cin.db")
        attempts.start("read-only", make_read_only(folder / "read-only.db"), program=SERVE_WITHIN_RIGHTS)
        attempts.start("newer", make_newer(folder / "newer.db"))
        attempts.start("no database", make_no_database(folder / "notes.txt"))
        attempts.start("port", folder / "cin.db", port=server.port)
        yield attempts


def test_a_second_server_on_the_same_file_is_refused(server: Server, refused: Attempts) -> None:
    assert_refused(refused["second"], f"Another process has {server.database} open.")


def test_a_missing_folder_is_refused_and_not_made(refused: Attempts) -> None:
    assert_refused(refused["no folder"], f"The folder {refused.folder / 'nowhere'} does not exist.")
    assert not (refused.folder / "nowhere").exists()


def test_a_read_only_file_is_refused(refused: Attempts) -> None:
    assert_refused(refused["read-only"], f"The file {refused.folder / 'read-only.db'} cannot be written.")


def test_a_database_of_a_newer_program_is_refused(refused: Attempts) -> None:
    assert_refused(refused["newer"], "The database is at revision 9999_later, which this program does not know")


def test_a_file_that_is_no_database_is_refused_and_left_as_it_was(refused: Attempts) -> None:
    assert_refused(refused["no database"], f"{refused.folder / 'notes.txt'} is not a SQLite database.")
    assert (refused.folder / "notes.txt").read_bytes() == NO_DATABASE


def test_a_port_in_use_is_refused_and_no_database_made(server: Server, refused: Attempts) -> None:
    assert_refused(refused["port"], f"Cannot listen on 127.0.0.1:{server.port}: Address already in use.")
    assert not (refused.folder / "cin.db").exists()


def assert_refused(refusal: Refusal, sentence: str) -> None:
    assert refusal.code == 2
    assert refusal.sentence.startswith(f"cin: {sentence}")
    assert refusal.sentence.count("\n") == 1


def make_read_only(file: Path) -> Path:
    file.touch()
    file.chmod(0o444)
    return file


def make_newer(file: Path) -> Path:
    database = sqlite3.connect(file)
    database.executescript(
        "CREATE TABLE alembic_version (version_num); INSERT INTO alembic_version VALUES ('9999_later');"
    )
    database.close()
    return file


def make_no_database(file: Path) -> Path:
    file.write_bytes(NO_DATABASE)
    return file
