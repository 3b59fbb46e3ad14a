"""Checkpoints: an index comes back as it was, goes on from there, and never comes back wrong."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, closing
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.capture.changing import Precondition
from app.eventlog.network import EVENT, NETWORK, Network
from app.query import checkpoint, follower
from app.query.checkpoint import IndexFolder
from app.storage.database import Transaction
from tests.inside import run, until
from tests.query.test_follower import Following, following

PATTERNS = [f"the {word} is jammed since {number}.5s" for number, word in enumerate(["door", "window", "gate"], 2)]


@asynccontextmanager
async def kept(folder: Path) -> AsyncIterator[Following]:
    """A network whose index is kept when the block ends."""
    with closing(IndexFolder(folder / "index")) as index_folder:
        async with following(folder, index_folder=index_folder) as here:
            yield here


async def lived(folder: Path) -> None:
    """One life of a network with three skills, after which there is a checkpoint."""
    async with kept(folder) as here:
        for pattern in PATTERNS:
            await here.capture(pattern, resolution=f"open the {pattern}")
        assert [len(await here.found(pattern)) for pattern in PATTERNS] == [3, 3, 3]


async def is_restored(folder: Path) -> bool:
    """Whether the next life begins with the checkpoint; it finds what it shall in any case."""
    async with kept(folder) as here:
        assert [(await here.found(pattern))[0]["pattern"] for pattern in PATTERNS] == PATTERNS
        assert here.index is not None
        return here.index.kept.offset > 0


async def changed(folder: Path, change: Callable[[Transaction], object]) -> None:
    async with following(folder, is_running=False) as here:
        await here.database.write(change)


def checkpoint_of(folder: Path) -> Path:
    """The one checkpoint there is."""
    (found,) = (path for path in (folder / "index").iterdir() if path.name not in ("lock", "running"))
    return found


def test_index_is_what_it_was_after_a_restart(tmp_path: Path) -> None:
    async def go() -> bool:
        await lived(tmp_path)
        return await is_restored(tmp_path)

    assert run(go())


def test_restored_index_goes_on_with_what_came_since(tmp_path: Path) -> None:
    async def go() -> tuple[list[str], int, int]:
        await lived(tmp_path)
        async with following(tmp_path, is_running=False) as here:
            found = await here.capture(PATTERNS[0], resolution=f"open the {PATTERNS[0]}")
            await here.capture("another trouble altogether")
            await here.report(found)
        async with kept(tmp_path) as here:
            (new,) = [skill["pattern"] for skill in await here.found("it is another trouble altogether")]
            known = (await here.found(PATTERNS[0]))[0]
            assert here.index is not None
            assert here.index.kept.offset == 3
            return [new], known["captures"], known["usage_count"]

    assert run(go()) == (["another trouble altogether"], 2, 1)


def test_skill_retired_since_is_not_found(tmp_path: Path) -> None:
    async def go() -> list[str]:
        await lived(tmp_path)
        async with following(tmp_path, is_running=False) as here:
            known = await here.capture(PATTERNS[0], resolution=f"open the {PATTERNS[0]}")
            await here.recorder.retire(here.network, known, Precondition(None))
        async with kept(tmp_path) as here:
            return sorted(skill["pattern"] for skill in await here.found(PATTERNS[0]))

    assert run(go()) == sorted(PATTERNS[1:])


def test_index_is_kept_while_it_runs_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower, "_KEEP_AT_LEAST", 2)

    async def go() -> None:
        async with kept(tmp_path) as here:
            for pattern in PATTERNS:
                await here.capture(pattern)
            await until(lambda: any(path.name.endswith("-3") for path in (tmp_path / "index").iterdir()))

    run(go())


def _cut_short(folder: Path) -> None:
    state = checkpoint_of(folder) / "state"
    state.write_bytes(state.read_bytes()[:-9])


def _fill_with_zeros(folder: Path) -> None:
    state = checkpoint_of(folder) / "state"
    state.write_bytes(bytes(len(state.read_bytes())))


def _lose_a_segment(folder: Path) -> None:
    next((checkpoint_of(folder) / "words").glob("*.term")).unlink()


def _damage_meta(folder: Path) -> None:
    (checkpoint_of(folder) / "words" / "meta.json").write_text("{")


def _lose_all(folder: Path) -> None:
    shutil.rmtree(folder / "index")


@pytest.mark.parametrize("harm", [_cut_short, _fill_with_zeros, _lose_a_segment, _damage_meta, _lose_all])
def test_checkpoint_that_is_not_whole_is_passed_over(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    async def go() -> tuple[bool, bool]:
        await lived(tmp_path)
        harm(tmp_path)
        return await is_restored(tmp_path), await is_restored(tmp_path)

    assert run(go()) == (False, True)


def test_checkpoint_of_other_rules_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def go() -> bool:
        await lived(tmp_path)
        monkeypatch.setattr(checkpoint, "rules", lambda: "others")
        return await is_restored(tmp_path)

    assert not run(go())


@pytest.mark.parametrize(
    "change",
    [
        sa.update(EVENT).where(EVENT.c.offset == 3).values(at="2020-01-01T00:00:00.000Z"),
        sa.update(NETWORK).values(head=2),
        sa.update(NETWORK).values(trimmed=4, head=9),
        sa.update(NETWORK).values(epoch="another"),
    ],
    ids=["another-event-there", "shorter-log", "trimmed-log", "another-life"],
)
def test_checkpoint_of_another_log_is_passed_over(tmp_path: Path, change: sa.Update) -> None:
    async def go() -> bool:
        await lived(tmp_path)
        await changed(tmp_path, lambda tx: tx.connection.execute(change))
        return await is_restored(tmp_path)

    assert not run(go())


def test_folder_that_cannot_be_written_costs_the_checkpoint_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    async def go() -> None:
        monkeypatch.setattr(IndexFolder, "begin", full)
        async with kept(tmp_path) as here:
            await here.capture(PATTERNS[0])
            assert len(await here.found(PATTERNS[0])) == 1
        assert [path.name for path in (tmp_path / "index").iterdir() if path.name.startswith(here.network.epoch)] == []

    run(go())


def test_index_whose_files_cannot_be_written_goes_on_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.query.words._SETTLE_AT", 2)

    async def go() -> None:
        async with kept(tmp_path) as here:
            await here.found()
            assert here.index is not None
            assert here.index.place is not None
            shutil.rmtree(here.index.place)
            for pattern in PATTERNS:
                await here.capture(pattern)
            await until(lambda: here.index is not None and here.index.place is None)
            assert [(await here.found(pattern))[0]["pattern"] for pattern in PATTERNS] == PATTERNS

    run(go())


def test_places_of_a_process_that_was_killed_are_removed_by_the_next(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from app.query.checkpoint import IndexFolder\n"
        "folder = IndexFolder(Path(sys.argv[1])); (folder.place() / 'file').write_text('x'); print('there', flush=True)\n"
        "sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"there\n"
        with closing(IndexFolder(tmp_path)):
            assert len(list((tmp_path / "running").glob("*/*/file"))) == 1
        os.kill(other.pid, signal.SIGKILL)
    with closing(IndexFolder(tmp_path)):
        assert list((tmp_path / "running").glob("*/*/file")) == []
    assert list((tmp_path / "running").iterdir()) == []


def test_processes_that_keep_and_load_at_once_get_in_nobodys_way(tmp_path: Path) -> None:
    async def network() -> Network:
        async with following(tmp_path, is_running=False) as here:
            return here.network

    def keep_and_load(folder: IndexFolder, offset: int) -> list[object]:
        made, place = folder.place(), folder.place()
        (made / "words").mkdir()
        (made / "words" / "meta.json").write_text("{}")
        folder.save(found, offset, made, [("offset", [offset])])
        return [list(folder.load(found, place)), os.listdir(place)]

    found = run(network())
    with ExitStack() as stack:
        folders = [stack.enter_context(closing(IndexFolder(tmp_path / "index"))) for _ in range(4)]
        threads = stack.enter_context(ThreadPoolExecutor(len(folders)))
        for offset in range(30):
            loaded = list(threads.map(partial(keep_and_load, offset=offset), folders))
            assert loaded == [[[("offset", [offset])], ["meta.json"]]] * len(folders)
