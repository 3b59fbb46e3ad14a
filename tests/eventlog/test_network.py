"""Networks: made once, with an epoch that lasts as long as their log."""

from pathlib import Path

from app.eventlog.network import open_network
from app.models.position import Position
from app.storage.sqlite import open_sqlite
from tests.inside import run


def epochs(file: Path, *names: str) -> list[str]:
    async def read() -> list[str]:
        async with open_sqlite(f"sqlite:///{file}") as database:
            return [(await open_network(database, name)).epoch for name in names]

    return run(read())


def test_network_keeps_its_epoch(tmp_path: Path) -> None:
    assert epochs(tmp_path / "cin.db", "default", "default") * 1 == epochs(tmp_path / "cin.db", "default", "default")


def test_epochs_of_two_databases_differ(tmp_path: Path) -> None:
    assert epochs(tmp_path / "one.db", "default") != epochs(tmp_path / "other.db", "default")


def test_epochs_of_two_networks_differ(tmp_path: Path) -> None:
    one, other = epochs(tmp_path / "cin.db", "one", "other")
    assert one != other


def test_epoch_can_stand_in_a_position(tmp_path: Path) -> None:
    (epoch,) = epochs(tmp_path / "cin.db", "default")
    assert Position.parse(f"{epoch}-1") == Position(epoch, 1)
