"""Networks: made once, with an epoch that lasts as long as their log."""

from pathlib import Path

from app.eventlog.bounds import Bounds
from app.eventlog.log import EventLog
from app.eventlog.network import Network, begin_new_life, open_network
from app.eventlog.notifier import LocalNotifier
from app.models.position import Position
from app.storage.sqlite import open_sqlite
from tests.factories import make_event
from tests.inside import run


def epochs(file: Path, *names: str) -> list[str]:
    async def read() -> list[str]:
        async with open_sqlite(f"sqlite:///{file}") as database:
            return [(await open_network(database, name)).epoch for name in names]

    return run(read())


def test_network_keeps_its_epoch(tmp_path: Path) -> None:
    assert epochs(tmp_path / "cin.db", "default", "default") == epochs(tmp_path / "cin.db", "default", "default")


def test_epochs_of_two_databases_differ(tmp_path: Path) -> None:
    assert epochs(tmp_path / "one.db", "default") != epochs(tmp_path / "other.db", "default")


def test_epochs_of_two_networks_differ(tmp_path: Path) -> None:
    one, other = epochs(tmp_path / "cin.db", "one", "other")
    assert one != other


def test_epoch_can_stand_in_a_position(tmp_path: Path) -> None:
    (epoch,) = epochs(tmp_path / "cin.db", "default")
    assert Position.parse(f"{epoch}-1") == Position(epoch, 1)


def test_new_life_has_another_epoch_and_goes_on_behind_what_was(tmp_path: Path) -> None:
    async def go() -> tuple[Network, Network, Bounds, list[int]]:
        async with open_sqlite(f"sqlite:///{tmp_path / 'cin.db'}") as database:
            before = await open_network(database)
            log = EventLog(database, LocalNotifier(), poll_seconds=60)
            await database.write(lambda tx: log.append(tx, before.id, [make_event] * 3))
            await database.write(lambda tx: begin_new_life(tx.connection))
            after = await open_network(database)
            bounds = await log.bounds(after.id)
            await database.write(lambda tx: log.append(tx, after.id, [make_event]))
            return before, after, bounds, [event.offset for event in (await log.read(after.id, 3)).events]

    before, after, bounds, offsets = run(go())
    assert (before.id, before.epoch != after.epoch) == (after.id, True)
    assert (bounds.epoch, bounds.head, bounds.trimmed) == (after.epoch, 3, 3)
    assert offsets == [4]
