"""`cin import`: every entry once, whatever interrupts it, and no entry lost silently."""

import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec
import pytest

from app.client import Client, Skill
from tests.cli.running import Cin, Serving
from tests.server import Server

Entries = list[dict[str, object]]
Eventually = Callable[[Callable[[], object]], None]


def seed() -> Entries:
    """The shape of a real database of this kind: 1,166 entries, 20 different, one of them used once."""
    texts = [("ImportError", "No module named 'django'")] * 574 + [("TestError", "Test error message")] * 573
    texts += [("ImportError", "No module named 'youtube_transcript_api'")] * 2
    texts += [
        ("TypeScriptError", f"Cannot find module number {number}, {'abcdefghijklmnopq'[number]}")
        for number in range(17)
    ]
    entries: Entries = [
        {
            "id": number,
            "error_type": error_type,
            "pattern": pattern,
            "resolution": f"Fix {pattern}",
            "context": "",
            "created": "2025-10-27T21:53:21.380460",
            "usage_count": 0,
            "success_rate": 100.0,
        }
        for number, (error_type, pattern) in enumerate(texts, 1)
    ]
    entries[-1] |= {"usage_count": 1, "success_rate": 50.0}
    return entries


def write(path: Path, value: object) -> str:
    path.write_bytes(msgspec.json.encode(value))
    return str(path)


def many(count: int, different: int) -> str:
    lines = ({"pattern": f"pattern {chr(97 + n % different)}", "resolution": "Do it."} for n in range(count))
    return "\n".join(msgspec.json.encode(line).decode() for line in lines)


def skills(url: str) -> dict[str | None, Skill]:
    with Client(url) as client:
        return {skill.pattern: skill for skill in client.list(sort="newest")}


def test_import_of_the_seed_makes_twenty_skills_and_an_event_each(fresh_cin: Cin, fresh_server: Serving) -> None:
    file = write(fresh_cin.folder / "skills.json", {"skills": seed(), "stats": {"auto_resolved": 1}})
    ended = fresh_cin("import", file, "--agent", "importer")
    assert (ended.returncode, ended.stdout.splitlines()[0]) == (0, "created 20, known 1146, failed 0")
    found = skills(fresh_server.url)
    assert len(found) == 20
    django = found["No module named 'django'"]
    assert (django.captures, django.captured_by, django.usage_count) == (574, "importer", 0)
    assert django.metadata == {"imported": {"created": "2025-10-27T21:53:21.380460"}}
    assert "usage kept in metadata only, for 1" in ended.stdout  # half a success cannot be told as an outcome
    with Client(fresh_server.url) as client:
        assert str(client.info()["head"]).endswith("-20")


def test_second_import_changes_only_captures(fresh_cin: Cin, fresh_server: Serving) -> None:
    file = write(fresh_cin.folder / "skills.json", {"skills": seed()})
    fresh_cin("import", file)
    before = skills(fresh_server.url)
    ended = fresh_cin("import", file)
    assert ended.stdout.splitlines()[0] == "created 0, known 1166, failed 0"
    after = skills(fresh_server.url)
    assert [skill.captures for skill in after.values()] == [2 * skill.captures for skill in before.values()]
    untouched = [msgspec.structs.replace(skill, captures=before[pattern].captures) for pattern, skill in after.items()]
    assert [msgspec.structs.replace(skill, updated_at="") for skill in untouched] == [
        msgspec.structs.replace(skill, updated_at="") for skill in before.values()
    ]


def test_import_killed_midway_goes_on_and_doubles_nothing(
    fresh_cin: Cin, fresh_server: Serving, eventually: Eventually
) -> None:
    file = fresh_cin.folder / "skills.ndjson"
    file.write_text(many(20_000, different=20))
    journals = fresh_cin.folder / "state" / "cin" / "imports"
    for _ in range(3):
        process = fresh_cin.start("import", str(file))
        eventually(partial(_has_moved, journals, _batches(journals)))
        process.kill()
        process.wait()
        assert process.returncode == -signal.SIGKILL, "it was done before it could be killed"
    ended = fresh_cin("import", str(file))
    assert "was interrupted: going on after" in ended.stderr
    assert (ended.returncode, ended.stdout.splitlines()[0]) == (0, "created 20, known 19980, failed 0")
    assert {skill.captures for skill in skills(fresh_server.url).values()} == {1_000}
    assert not list(journals.iterdir())


def test_import_rides_out_a_restart_of_the_server(
    fresh_cin: Cin, fresh_server: Serving, eventually: Eventually
) -> None:
    file = fresh_cin.folder / "skills.ndjson"
    file.write_text(many(20_000, different=20))
    process = fresh_cin.start("import", str(file))
    eventually(lambda: _batches(fresh_cin.folder / "state" / "cin" / "imports") > 0)
    fresh_server.kill()
    fresh_server.restart()
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out.splitlines()[0]) == (0, "created 20, known 19980, failed 0"), err
    assert {skill.captures for skill in skills(fresh_server.url).values()} == {1_000}


def test_import_that_is_interrupted_says_how_to_go_on(fresh_cin: Cin, eventually: Eventually) -> None:
    file = fresh_cin.folder / "skills.ndjson"
    file.write_text(many(20_000, different=20))
    process = fresh_cin.start("import", str(file))
    eventually(lambda: _batches(fresh_cin.folder / "state" / "cin" / "imports") > 0)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "the same command goes on from there" in err


def test_import_names_each_entry_that_failed_and_takes_the_others(cin: Cin) -> None:
    file = cin.folder / "skills.ndjson"
    lines = [
        '{"pattern":"import fails a","resolution":"Do it."}',
        "{broken",
        '{"pattern":"import fails b"}',
        '{"pattern":"import fails c","resolution":"Do it.","severity":3}',
        '{"pattern":"import fails d","resolution":"Do it.","tags":"no list"}',
    ]
    file.write_text("\n".join(lines))
    ended = cin("import", str(file), "--errors", "refused.ndjson")
    assert ended.returncode == 1
    assert ended.stdout.splitlines()[0] == "created 1, known 0, failed 4"
    for line, word in ((2, "not JSON"), (3, "resolution"), (4, "severity"), (5, "tags")):
        assert any(f"line {line}: " in text and word in text for text in ended.stdout.splitlines()), ended.stdout
    refused = [msgspec.json.decode(line) for line in (cin.folder / "refused.ndjson").read_bytes().splitlines()]
    assert sorted(failure["where"][-6:] for failure in refused) == ["line 2", "line 3", "line 4", "line 5"]


def test_import_shows_twenty_failures_and_counts_the_rest(cin: Cin) -> None:
    ended = cin("import", "-", stdin="\n".join(["{broken"] * 30 + ['{"pattern":"rest","resolution":"r"}']))
    assert ended.returncode == 1
    assert "and 10 more; --errors FILE lists all" in ended.stdout


def test_import_tells_exact_usage_of_new_skills_as_outcomes(cin: Cin, server: Serving) -> None:
    entry = {"pattern": "told as outcomes", "resolution": "Do it.", "usage_count": 4, "success_rate": 75.0}
    ended = cin("import", "-", stdin=msgspec.json.encode([entry]).decode())
    assert "outcomes told: 4" in ended.stdout
    skill = skills(server.url)["told as outcomes"]
    assert (skill.usage_count, skill.success_count, skill.success_rate) == (4, 3, 0.75)
    cin("import", "-", stdin=msgspec.json.encode([entry]).decode())
    assert skills(server.url)["told as outcomes"].usage_count == 4


def test_import_of_a_folder_reads_its_files_in_order(cin: Cin) -> None:
    folder = cin.folder / "folder"
    folder.mkdir()
    write(folder / "a.json", {"skills": [{"pattern": "folder a", "resolution": "r"}]})
    (folder / "b.ndjson").write_text('{"pattern":"folder b","resolution":"r"}\n{"pattern":"folder a","resolution":"r"}')
    assert cin("import", "folder").stdout.splitlines()[0] == "created 2, known 1, failed 0"


def test_import_of_nothing_is_nothing_found(cin: Cin) -> None:
    (cin.folder / "empty").mkdir()
    assert cin("import", "empty").returncode == 1


def test_import_of_what_is_no_skills_is_trouble_and_sends_nothing(cin: Cin) -> None:
    write(cin.folder / "good.json", [{"pattern": "never sent", "resolution": "r"}])
    (cin.folder / "bad.json").write_text('{"skills": [')
    ended = cin("import", "good.json", "bad.json")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("cin: bad.json is not JSON")
    missing = cin("import", "missing.json")
    assert missing.returncode == 2
    assert len(missing.stderr.splitlines()) == 1


def test_export_into_an_empty_server_gives_the_same_skills(
    fresh_cin: Cin, fresh_server: Serving, tmp_path_factory: pytest.TempPathFactory
) -> None:
    tags = ["--tag", "a", "--tag", "b"]
    text = ["--pattern", "round trip", "--resolution", "Zeile 1\nZeile 2 größer", "--name", "round-trip"]
    fresh_cin("capture", *text, *tags)
    fresh_cin("import", write(fresh_cin.folder / "skills.json", seed()))
    assert fresh_cin("export", "all.json").returncode == 0
    with Server(tmp_path_factory.mktemp("empty")) as empty:
        ended = fresh_cin("import", "all.json", "--url", empty.url)
        assert ended.returncode == 0, ended.stdout
        theirs = [_content(skill) for skill in skills(empty.url).values()]
    assert theirs == [_content(skill) for skill in skills(fresh_server.url).values()][::-1]
    assert len(theirs) == 21


def _content(skill: Skill) -> tuple[object, ...]:
    metadata = {name: value for name, value in skill.metadata.items() if name != "imported"}
    return (
        skill.name, skill.description, skill.error_type, skill.pattern, skill.resolution, skill.context, skill.tags,
        metadata, skill.captured_by, skill.usage_count, skill.success_count,
    )  # fmt: skip


def _has_moved(journals: Path, batches: int) -> bool:
    return _batches(journals) > batches


def _batches(journals: Path) -> int:
    """How many batches the journal counts."""
    files = [name for name in os.listdir(journals) if name.endswith(".json")] if journals.exists() else []
    return sum(msgspec.json.decode((journals / name).read_bytes())["batches"] for name in files)
