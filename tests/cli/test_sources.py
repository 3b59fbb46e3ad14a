"""Sources of an import: every shape of file gives the same entries."""

import os
from pathlib import Path

import msgspec
import pytest

from app.cli.sources import find_sources, survey
from app.client import CINError

ENTRIES = [{"pattern": "a", "resolution": "1"}, {"pattern": "b", "resolution": "2"}]
LINES = b"\n".join(msgspec.json.encode(entry) for entry in ENTRIES)
PRETTY = msgspec.json.format(msgspec.json.encode({"stats": {"n": 2}, "skills": ENTRIES}))


def read(path: Path) -> list[object]:
    return [msgspec.json.decode(raw) for source in find_sources([str(path)]) for _, raw in source.entries()]


@pytest.mark.parametrize(
    "content",
    [
        msgspec.json.encode({"skills": ENTRIES, "stats": {}}),
        PRETTY,
        msgspec.json.encode(ENTRIES),
        b"\n \n" + msgspec.json.format(msgspec.json.encode(ENTRIES)),
        LINES,
        LINES.replace(b"\n", b"\r\n\r\n") + b"\r\n",
        b"\xef\xbb\xbf" + LINES,
        b"\xef\xbb\xbf" + PRETTY,
    ],
)
def test_source_of_any_shape_gives_its_entries(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "skills.json"
    file.write_bytes(content)
    assert read(file) == ENTRIES
    assert survey(find_sources([str(file)])).total == 2


@pytest.mark.parametrize(
    "content", [msgspec.json.encode(ENTRIES[0]), msgspec.json.format(msgspec.json.encode(ENTRIES[0]))]
)
def test_source_may_be_a_single_skill(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "skill.json"
    file.write_bytes(content)
    assert read(file) == ENTRIES[:1]


@pytest.mark.parametrize("name", ["skills.json", "skills.ndjson"])
def test_line_that_is_nested_without_end_spoils_no_other(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    nested = b'{"metadata": ' + b'{"a": ' * 3_000 + b"1" + b"}" * 3_001
    file.write_bytes(LINES + b"\n" + nested)
    (source,) = find_sources([str(file)])
    assert [raw for _, raw in source.entries()] == [*LINES.split(b"\n"), nested]


def test_source_names_the_place_of_each_entry(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(msgspec.json.encode(ENTRIES))
    (tmp_path / "b.ndjson").write_bytes(b"\n" + LINES)
    (tmp_path / "c.txt").write_text("not read")
    places = [where for source in find_sources([str(tmp_path)]) for where, _ in source.entries()]
    assert places == [
        f"{tmp_path}/a.json entry 1",
        f"{tmp_path}/a.json entry 2",
        f"{tmp_path}/b.ndjson line 2",
        f"{tmp_path}/b.ndjson line 3",
    ]


def test_source_with_broken_lines_still_gives_the_others(tmp_path: Path) -> None:
    file = tmp_path / "skills"
    file.write_bytes(b"{broken\n" * 3 + LINES)
    (source,) = find_sources([str(file)])
    assert [raw for _, raw in source.entries()] == [*[b"{broken"] * 3, *LINES.split(b"\n")]


@pytest.mark.parametrize("content", [LINES, PRETTY])
def test_pipe_is_a_source_as_a_file_is(content: bytes) -> None:
    read_end, write_end = os.pipe()
    os.write(write_end, content)
    os.close(write_end)
    sources = find_sources([f"/dev/fd/{read_end}"])
    os.close(read_end)
    assert survey(sources).total == 2
    assert [msgspec.json.decode(raw) for source in sources for _, raw in source.entries()] == ENTRIES


@pytest.mark.parametrize(
    "content", [b"", b'{"skills": 1}', b"[1", b"plain words", b'{\n"skills": [}', b"[" * 3_000 + b"]" * 3_000]
)
def test_source_that_holds_no_list_of_skills_says_so(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "skills.json"
    file.write_bytes(content)
    with pytest.raises(CINError, match=r"skills\.json"):
        read(file)


def test_survey_tells_contents_apart(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(msgspec.json.encode(ENTRIES))
    (tmp_path / "b.json").write_bytes(msgspec.json.encode(ENTRIES[:1]))
    one, other = (survey(find_sources([str(tmp_path / name)])) for name in ("a.json", "b.json"))
    assert one.digest != other.digest
