"""docs/howto/scale.md: what it runs without containers is run, PostgreSQL and Valkey from wheels standing in for installed
ones; what it says to PostgreSQL is said; and what it asks of containers is there.
"""

import importlib
import re
import shlex
import subprocess
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.docs.following import Block, Reader, read_blocks
from tests.docs.programs import ROOT
from tests.factories import make_skill
from tests.forks import cin
from tests.postgres import POSTGRES_BIN_PATH, Postgres
from tests.server import Server, wait_until
from tests.standby import pair_running
from tests.valkey import Valkey
from tests.workers import Workers

yaml: Any = importlib.import_module("yaml")  # it comes with uvicorn and has no types
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
PAGE = ROOT / "docs/howto/scale.md"
BLOCKS = read_blocks(PAGE)
(ONE, CHECK_ONE), (REDIS, CHECK_REDIS), (MANY, CHECK_MANY) = (
    (serving, check)
    for serving, check in zip(
        [block for block in BLOCKS if block.language == "sh"],
        [block for block in BLOCKS if block.language == "console"],
        strict=True,
    )
)
PROSE = re.sub(r"^```.*?^```$", "", PAGE.read_text(), flags=re.MULTILINE | re.DOTALL)
SPANS: list[str] = re.findall(r"`(docker [^`]+)`", PROSE)
LINES = [line for block in BLOCKS if block.language == "text" for line in block.text.splitlines()]


@dataclass(frozen=True)
class Command:
    """`cin serve` as a block of shell has it: its settings, and what stands behind `cin`."""

    settings: dict[str, str]
    arguments: list[str]


def command_of(block: Block, **places: str) -> Command:
    """`places` are what the page's addresses are here."""
    text = block.text
    for there, here in places.items():
        assert there in text, there
        text = text.replace(there, here)
    words = [word for word in shlex.split(text, comments=True) if word != "export"]
    program = words.index("cin")
    assigned = dict(word.split("=", 1) for word in words[:program])
    settings = {name.removeprefix("CIN_").lower(): value for name, value in assigned.items() if name.startswith("CIN_")}
    return Command(settings, words[program + 1 :])


def test_one_process_is_what_the_page_shows(tmp_path: Path) -> None:
    command = command_of(ONE, **{"./cin.db": f"{tmp_path}/other.db"})
    with Server(tmp_path, program=partial(cin, *command.arguments), **command.settings) as server:
        Reader(tmp_path, server).follow([CHECK_ONE])
    assert (tmp_path / "other.db").exists()


def test_redis_is_used_as_the_page_shows(tmp_path: Path, valkey: Valkey) -> None:
    command = command_of(REDIS, **{"127.0.0.1:6379": f"127.0.0.1:{valkey.port}"})
    with Server(tmp_path, program=partial(cin, *command.arguments), **command.settings) as server:
        Reader(tmp_path, server).follow([CHECK_REDIS])
        wait_until(lambda: valkey.client().dbsize() > 0, what="an answer in Redis")


def test_many_processes_live_through_the_loss_of_the_standby_and_the_primary(
    tmp_path: Path, shared_valkey: Valkey
) -> None:
    with pair_running() as pair:
        pair.primary.execute("CREATE ROLE cin SUPERUSER LOGIN", "ALTER SYSTEM SET fsync = on")
        pair.wait_for_commits()
        services = {"postgres-1": pair.primary, "postgres-2": pair.standby}
        addresses = {
            "postgresql://cin@db-1:5432,db-2:5432/cin": pair.url,
            "postgresql://cin@db-2:5432/cin": pair.standby.url(pair.database),
            "redis://cache:6379/0": shared_valkey.url,
        }
        command = command_of(MANY, **addresses)
        assert command.arguments == ["serve", "--workers", "2"]
        with Workers(tmp_path, workers=2, **command.settings) as server:
            server.wait_until_all_serve()
            wait_until(lambda: ups(server) == ["1.0"] * 4, what="Redis and a replica on both")
            Reader(tmp_path, server).follow([CHECK_MANY])
            pair.standby.stop()
            do(services, command_with("synchronous_standby_names = ''"))
            wait_until(lambda: captures(server), 20, "a capture without a standby")
            pair.standby.start()
            do(services, command_with("synchronous_standby_names = ''").replace("''", "'standby'"))
            pair.wait_for_commits()
            for line in command_block("pg_promote()"):
                do(services, line)
            wait_until(lambda: captures(server), 30, "a capture on the new primary")


def ups(server: Server) -> list[str]:
    return re.findall(r"^cin_(?:redis|replica)_up\{.*\} (\S+)$", httpx.get(f"{server.url}/metrics").text, re.MULTILINE)


def captures(server: Server) -> bool:
    return httpx.post(f"{server.url}/skills", json=make_skill(), timeout=10).is_success


def command_with(text: str) -> str:
    """The first command in the page's prose that says so."""
    return next(span for span in SPANS if text in span)


def command_block(text: str) -> list[str]:
    """The lines of the page's block that says so."""
    return next(block.text.splitlines() for block in BLOCKS if block.language == "text" and text in block.text)


def do(services: dict[str, Postgres], line: str) -> None:
    """What `docker compose` would do to a service of the page."""
    _, _, verb, service, *command = shlex.split(line)
    server = services[service]
    if verb == "stop":
        server.stop("fast")
        return
    assert (verb, command[0]) == ("exec", "psql")
    place = {"PGHOST": str(server.socket.parent), "PGDATABASE": "postgres"}
    subprocess.run([POSTGRES_BIN_PATH / "psql", *command[1:]], env=place, check=True, capture_output=True, timeout=20)


def test_page_has_no_block_that_nobody_looks_at() -> None:
    assert {block.language for block in BLOCKS} == {"sh", "console", "text"}
    assert [line for line in LINES if not line.startswith("docker ")] == []


@pytest.mark.parametrize("line", sorted({*LINES, *SPANS}))
def test_container_command_names_what_compose_has(line: str) -> None:
    for command in line.split(" && "):
        docker, *words = shlex.split(command)
        assert docker == "docker"
        if words[0] == "volume":
            assert words[1] == "rm"
            assert {name.removeprefix("<project>_") for name in words[2:]} <= set(COMPOSE["volumes"])
        else:
            assert words.pop(0) == "compose"
            look_at_compose(words)


def look_at_compose(words: list[str]) -> None:
    """What stands behind `docker compose`."""
    if words[0] == "--profile":
        assert any(words[1] in service["profiles"] for service in COMPOSE["services"].values())
        del words[:2]
    verb, *rest = words
    services = [word for word in rest if not word.startswith("-")]
    assert verb in {"up", "down", "stop", "start", "rm", "exec"}
    assert set(services[:1] if verb == "exec" else services) <= set(COMPOSE["services"])
