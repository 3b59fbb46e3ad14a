"""The message of a match: any bytes, any length, and never a cut that nobody is told of."""

from pathlib import Path

import pytest
import typer

from app.cli.message import read_message
from app.client.calls import MESSAGE_BYTES


def test_message_of_broken_bytes_is_mended(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"a\xff\xc3\xa9\xe2\x82")
    assert read_message(None, str(tmp_path / "log")) == "a\ufffdé\ufffd"
    assert read_message("a\udcff", None) == "a\ufffd"


def test_message_that_fits_is_kept_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "log").write_bytes(b"x" * MESSAGE_BYTES)
    assert len(read_message(None, str(tmp_path / "log"))) == MESSAGE_BYTES
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("begin", [b"x", b"\xff", b"\xe2\x82\xac\n" * 3_000_000])
def test_message_that_is_too_long_loses_its_beginning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], begin: bytes
) -> None:
    file = tmp_path / "log"
    file.write_bytes(begin + "€".encode() * (MESSAGE_BYTES // 3) + b"the end")
    message = read_message(None, str(file))
    assert MESSAGE_BYTES - 3 < len(message.encode()) <= MESSAGE_BYTES
    assert message.startswith("€")
    assert message.endswith("€the end")
    assert capsys.readouterr().err == (
        f"{file} is longer than 8 MiB: only its end is matched, and lines are counted from there.\n"
    )


def test_message_that_grows_when_mended_still_fits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "log").write_bytes(b"\xff" * (MESSAGE_BYTES // 2))
    assert set(read_message(None, str(tmp_path / "log"))) == {"\ufffd"}
    assert "only its end" in capsys.readouterr().err


def test_message_is_given_once(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit):
        read_message("x", "build.log")
    assert "not both" in capsys.readouterr().err
