"""A PostgreSQL server with a standby that follows it, as sockets: `url` names both, and leads to the one that writes."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.postgres import POSTGRES_BIN_PATH, Postgres
from tests.server import wait_until

SYNCHRONOUS = "SELECT 1 FROM pg_stat_replication WHERE application_name = 'standby' AND sync_state = 'sync'"


class Standby(Postgres):
    """Copied from a primary, and following it from `start` on."""

    def __init__(self, folder: Path, primary: Postgres) -> None:
        self._data = folder / "data"
        self._user = primary._user
        self._sockets = folder
        self._number = 0
        if os.geteuid() == 0:
            owner = primary._data.stat()
            os.chown(folder, owner.st_uid, owner.st_gid)
        follow = f"host={primary.socket.parent} user=postgres application_name=standby"
        command = [str(POSTGRES_BIN_PATH / "pg_basebackup"), "-D", str(self._data), "-R", "-c", "fast", "-d", follow]
        subprocess.run(
            command, check=True, user=self._user, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        with (self._data / "postgresql.auto.conf").open("a") as settings:
            settings.write("synchronous_standby_names = ''\nwal_receiver_status_interval = 1\n")

    def promote(self) -> None:
        self._control("promote", "-w")


class Pair:
    """A primary and its standby."""

    def __init__(self, folder: Path) -> None:
        for name in ("primary", "standby"):
            (folder / name).mkdir()
        self.primary = Postgres(folder / "primary")
        self.url = self._both(self.primary.new())
        self.standby = Standby(folder / "standby", self.primary)
        self.standby.start()
        wait_until(lambda: self.primary.execute("SELECT 1 FROM pg_stat_replication") == [(1,)], 20, "a standby")

    @property
    def database(self) -> str:
        return self.url.partition("?")[0].rpartition("/")[2]

    def wait_for_commits(self) -> None:
        """Let commits wait for the standby from now on."""
        self.primary.execute("ALTER SYSTEM SET synchronous_standby_names = 'standby'", "SELECT pg_reload_conf()")
        wait_until(lambda: self.primary.execute(SYNCHRONOUS) == [(1,)], 20, "a synchronous standby")

    def wait_until_replayed(self) -> None:
        """Let the standby show all that the primary has."""
        (end,) = self.primary.execute("SELECT pg_current_wal_insert_lsn()::text")[0]
        behind = f"SELECT pg_last_wal_replay_lsn() >= '{end}'"
        wait_until(lambda: self.standby.execute(behind) == [(True,)], 20, "a standby that has all")

    def fail_over(self) -> None:
        """Kill the primary, and promote the standby."""
        self.primary.stop("immediate")
        self.standby.promote()

    def halt_standby(self) -> None:
        """Let it take nothing, without a word."""
        for pid in _family(self.standby.pid):
            os.kill(pid, signal.SIGSTOP)

    def resume_standby(self) -> None:
        for pid in _family(self.standby.pid):
            with suppress(ProcessLookupError):  # the first one to wake ends others
                os.kill(pid, signal.SIGCONT)

    def end(self) -> None:
        for server in (self.primary, self.standby):
            with suppress(subprocess.CalledProcessError, FileNotFoundError):  # one that a test has stopped
                if server is self.standby:
                    self.resume_standby()
                server.stop()

    def _both(self, url: str) -> str:
        return f"{url},{self.primary.socket.parent.parent.parent / 'standby'}"


@contextmanager
def pair_running() -> Iterator[Pair]:
    """A primary with a standby that nobody waits for, until the end of the block."""
    with TemporaryDirectory(prefix="cin-pair-") as folder:  # the name of a socket must be short
        Path(folder).chmod(0o755)
        running = Pair(Path(folder))
        try:
            yield running
        finally:
            running.end()


def _family(pid: int) -> list[int]:
    """The process and its children."""
    return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
