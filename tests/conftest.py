"""Servers for tests: real processes on free ports and databases of their own, ended when the test is over."""

import gc
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.inside import database_in
from tests.postgres import Postgres
from tests.server import Server
from tests.valkey import Valkey

BACKENDS = ["sqlite", "postgres"]

# Every HTTP client reads the certificates of all authorities, which takes 40 ms; nothing here speaks TLS, so one will do.
_CERTIFICATE = Path(__file__).parent / "certificate.pem"
os.environ["SSL_CERT_FILE"] = str(_CERTIFICATE)
# What is started again and again need not be compiled each time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# A suite that a shell started in the background has SIGINT ignored, and would hand that down to what it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shared_valkey() -> Iterator[Valkey]:
    """A Valkey server that tests share, and leave unharmed."""
    with TemporaryDirectory(prefix="cin-redis-") as folder, Valkey(Path(folder)) as running:
        yield running


@pytest.fixture
def valkey() -> Iterator[Valkey]:
    """A Valkey server of this test's own."""
    with TemporaryDirectory(prefix="cin-redis-") as folder, Valkey(Path(folder)) as running:
        yield running


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse tests of the same id: of those only one would run when files are spread over processes."""
    doubled = [id for id, number in Counter(item.nodeid for item in items).items() if number > 1]
    if doubled:
        raise pytest.UsageError(f"Several tests have one and the same id: {', '.join(doubled)}")


def pytest_collection_finish() -> None:
    """All tests are here now and stay: whoever collects garbage while they run need not look through them each time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server that tests share; each makes databases of its own."""
    with TemporaryDirectory(prefix="cin-pg-") as folder:  # pytest's own would be too long for a socket's name
        running = Postgres(Path(folder))
        try:
            yield running
        finally:
            running.stop()


@pytest.fixture(params=BACKENDS)
def url_in(request: pytest.FixtureRequest) -> Callable[[Path], str]:
    """The URL of the database that belongs to a folder, on every backend there is."""
    if request.param == "sqlite":
        return database_in
    made: dict[Path, str] = {}
    server: Postgres = request.getfixturevalue("postgres")
    return lambda folder: made[folder] if folder in made else made.setdefault(folder, server.new())


@pytest.fixture
def database_url(url_in: Callable[[Path], str], tmp_path: Path) -> str:
    """A new database, on every backend there is."""
    return url_in(tmp_path)


@pytest.fixture(scope="session")
def sqlite_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that tests share, on SQLite."""
    with Server(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres) -> Iterator[Server]:
    """A server that tests share, on PostgreSQL."""
    with Server(tmp_path_factory.mktemp("postgres-server"), database_url=postgres.new()) as running:
        yield running


@pytest.fixture(scope="session")
def server(sqlite_server: Server) -> Server:
    """A server that tests share: it has whatever others captured, so ask it only for what is yours."""
    return sqlite_server


@pytest.fixture
def fresh_server(tmp_path: Path) -> Iterator[Server]:
    """A server of this test's own, with nothing in it."""
    with Server(tmp_path) as running:
        yield running
