"""The position file: it holds one position, or nothing, or the caller hears of it."""

from pathlib import Path

import pytest

from app.client import CINError
from app.client.position_file import PositionFile


def test_position_file_gives_back_what_was_written_last(tmp_path: Path) -> None:
    file = PositionFile(tmp_path / "position")
    file.write("k3f9-1")
    file.write("k3f9-2")
    assert file.read() == "k3f9-2"
    assert [path.name for path in tmp_path.iterdir()] == ["position"]


@pytest.mark.parametrize("content", [None, "", "\n"])
def test_position_file_missing_or_empty_is_no_position(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "position"
    if content is not None:
        path.write_text(content)
    assert PositionFile(path).read() is None


def test_position_file_with_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "position"
    path.write_text("dear diary")
    with pytest.raises(CINError, match="no position"):
        PositionFile(path).read()


def test_position_file_in_a_missing_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(CINError, match="cannot be written"):
        PositionFile(tmp_path / "missing" / "position").write("k3f9-1")
