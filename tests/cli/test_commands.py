"""The small commands, and what all of them have in common."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import msgspec
import pytest
from typer.testing import CliRunner

from app.cli import app
from app.client import Client
from tests.cli.running import Cin, Serving
from tests.postgres import Postgres
from tests.server import free_port

COMMANDS = ("capture", "match", "search", "watch", "import", "export", "agents")
Eventually = Callable[[Callable[[], object]], None]
LOG = "Traceback (most recent call last):\nImportError: No module named 'django'\nmake: *** [test] Error 1\n"
PROJECT = Path(__file__).parents[2]


def help_examples(name: str) -> list[str]:
    """The lines with which a command's help ends."""
    shown = CliRunner().invoke(app, [name, "--help"], prog_name="cin")
    assert shown.exit_code == 0
    _, _, tail = shown.stdout.partition("\n  Examples:\n")
    return [line.strip() for line in tail.splitlines() if line.strip()]


def test_capture_says_what_became_of_a_skill(cin: Cin) -> None:
    arguments = ("capture", "--pattern", "said", "--resolution", "Do it.", "--name", "said-skill", "--tag", "a")
    first, again = cin(*arguments), cin(*arguments)
    assert first.returncode == again.returncode == 0
    assert re.fullmatch(r"captured: said-skill \(id [0-9a-f-]{36}, position \w+-\d+\)\n", first.stdout)
    assert again.stdout.startswith("known, captured 2 times: said-skill")


def test_capture_reads_its_resolution_from_standard_input(cin: Cin, server: Serving) -> None:
    arguments = ("--description", "From a pipe", "--metadata", '{"line": 3}', "--agent", "piper", "--json")
    ended = cin("capture", "--resolution", "-", *arguments, stdin="one\ntwo\n")
    captured = msgspec.json.decode(ended.stdout)
    with Client(server.url) as client:
        skill = client.get(captured["skill"]["id"])
    assert skill.resolution.splitlines() == ["one", "two"]
    assert (skill.metadata, skill.captured_by) == ({"line": 3}, "piper")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--resolution", "Do it."], "pattern"),
        (["--resolution", "Do it.", "--pattern", "x", "--metadata", "[1]"], "--metadata"),
        (["--resolution", "Do it.", "--pattern", "x", "--name", "Not A Slug"], "name"),
        (["--resolution", "Do it.", "--pattern", "x", "--url", "http://127.0.0.1:1"], "cin serve"),
        (["--resolution", "Do it.", "--pattern", "x", "--url", "nowhere"], "no URL"),
    ],
)
def test_capture_in_trouble_is_one_sentence(cin: Cin, arguments: list[str], word: str) -> None:
    ended = cin("capture", *arguments)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert len(ended.stderr.splitlines()) == 1
    assert word in ended.stderr


def test_capture_goes_on_when_nobody_reads_its_errors(cin: Cin) -> None:
    ended = cin.shell(
        "cin capture --resolution r --pattern x --url http://127.0.0.1:1 2>&1 >/dev/null | true; echo ${PIPESTATUS[0]}"
    )
    assert ended.stdout == "2\n"


def test_wrong_usage_is_trouble(cin: Cin) -> None:
    for arguments in (["capture"], ["watch", "--count", "0"], ["no-such-command"]):
        ended = cin(*arguments)
        assert ended.returncode == 2
        assert "Traceback" not in ended.stderr


def test_agents_lists_who_is_known(fresh_cin: Cin, fresh_server: Serving) -> None:
    nobody = fresh_cin("agents")
    assert nobody.returncode == 1
    assert "No agent has registered" in nobody.stderr
    with Client(fresh_server.url) as client:
        client.register("builder")
        client.register("tester")
    listed = fresh_cin("agents")
    assert listed.returncode == 0
    header, *rows = listed.stdout.splitlines()
    assert header.split("  ")[0].strip() == "agent"
    assert [row.split()[:2] for row in rows] == [["builder", "skill_broadcast"], ["tester", "skill_broadcast"]]
    assert msgspec.json.decode(fresh_cin("agents", "--json").stdout.splitlines()[0])["name"] == "builder"


def test_export_that_fails_leaves_the_older_file(cin: Cin) -> None:
    (cin.folder / "skills.json").write_text("older")
    ended = cin("export", "skills.json", "--url", "http://127.0.0.1:1")
    assert ended.returncode == 2
    assert [path.read_text() for path in cin.folder.iterdir()] == ["older"]


def test_export_as_ndjson_has_a_skill_per_line(fresh_cin: Cin) -> None:
    assert fresh_cin("export", "--ndjson").stdout == ""
    assert msgspec.json.decode(fresh_cin("export").stdout) == {"skills": []}
    for pattern in ("export a", "export b"):
        fresh_cin("capture", "--pattern", pattern, "--resolution", "Do it.")
    lines = fresh_cin("export", "--ndjson", "-").stdout.splitlines()
    assert [msgspec.json.decode(line)["pattern"] for line in lines] == ["export b", "export a"]


@pytest.mark.parametrize("name", [*COMMANDS, "serve", "migrate", "copy"])
def test_help_of_a_command_ends_with_examples(name: str) -> None:
    assert help_examples(name)
    assert all(re.search(r"\bcin\b", line) for line in help_examples(name))


@pytest.mark.parametrize("name", COMMANDS)
def test_help_examples_run(fresh_cin: Cin, fresh_server: Serving, name: str) -> None:
    entries = [{"pattern": "example", "resolution": "r", "error_type": "ImportError"}]
    (fresh_cin.folder / "skills.json").write_bytes(msgspec.json.encode({"skills": entries}))
    (fresh_cin.folder / "folder").mkdir()
    (fresh_cin.folder / "folder" / "a.json").write_bytes(msgspec.json.encode(entries))
    (fresh_cin.folder / "more.ndjson").write_bytes(msgspec.json.encode(entries[0]))
    (fresh_cin.folder / "build.log").write_text(LOG)
    fresh_cin.program("make", "cat build.log; exit 2")
    with Client(fresh_server.url) as client:
        client.capture(
            error_type="ImportError",
            pattern="No module named 'django'",
            description="A missing module",
            resolution="pip install django",
        )
        client.register("builder")
    for line in help_examples(name):
        ended = fresh_cin.shell(line)
        assert ended.returncode == 0, (line, ended.stderr)


@pytest.mark.parametrize("line", help_examples("migrate"))
def test_migrate_examples_run(cin: Cin, line: str) -> None:
    ended = cin.shell(line)
    assert ended.returncode == 0, ended.stderr


def test_copy_examples_run(cin: Cin, postgres: Postgres) -> None:
    cin.shell("cin migrate")
    url = postgres.empty()
    for line in help_examples("copy"):
        ended = cin.shell(line.replace("postgresql://cin:secret@db.example.com/cin", f"'{url}'"))
        assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("line", help_examples("serve"))
def test_serve_examples_run(cin: Cin, eventually: Eventually, line: str) -> None:
    port = free_port()
    process = cin.start_shell(line.replace("8005", str(port)))
    eventually(lambda: process.poll() is not None or _answers(f"http://127.0.0.1:{port}/readyz"))
    process.terminate()
    _, err = process.communicate(timeout=20)
    assert process.returncode == 0, err


def test_help_lists_the_exit_codes(cin: Cin) -> None:
    text = cin("--help").stdout
    for code in ("0    done", "1    some items failed", "2    trouble", "130  interrupted"):
        assert code in text


def test_commands_that_speak_http_do_not_load_the_server() -> None:
    check = "import sys, app.cli; print(sorted({'sqlalchemy', 'fastapi', 'starlette'} & sys.modules.keys()))"
    loaded = subprocess.run([sys.executable, "-c", check], text=True, capture_output=True, check=True, cwd=PROJECT)
    assert loaded.stdout == "[]\n"


def _answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False
