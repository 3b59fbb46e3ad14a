"""The how-tos work: their commands are run, and what they promise is looked at."""

from app.client import Client, Reset
from tests.docs.following import Reader, read_blocks
from tests.docs.programs import ROOT
from tests.server import Server

BACK_UP, LOOK, *RESTORE = read_blocks(ROOT / "docs/howto/back-up-and-restore.md")


def test_restore_gives_back_what_was_there_and_tells_clients(fresh_server: Server) -> None:
    reader = Reader(fresh_server.folder, fresh_server)
    with Client(fresh_server.url) as cin:
        kept = [_capture(cin, number) for number in range(3)]
        reader.follow([BACK_UP, LOOK])
        lost = [_capture(cin, number) for number in range(3, 5)]

        assert fresh_server.stop() == 0
        reader.follow(RESTORE)
        fresh_server.start()

        assert {skill.id for skill in cin.list()} == set(kept)
        for number in range(5, 10):  # so that the old position is within the log again
            _capture(cin, number)
        with cin.subscribe(since=lost[-1]) as events:
            item = next(events)
    assert isinstance(item, Reset)
    assert item.reason == "epoch"


def _capture(cin: Client, number: int) -> str:
    """The id of a new skill for those that the backup has, and the position of the others."""
    captured = cin.capture(pattern=f"pattern {number}", resolution="Do it.")
    return captured.skill.id if number < 3 else str(captured.position)
