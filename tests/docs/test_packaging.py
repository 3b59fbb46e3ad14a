"""What is installed and what goes into the image is what the program needs."""

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from docs.generate import ROOT
from tests.server import Server, free_port

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OWN = {"app", "tests", "benchmarks", "docs", "examples"}
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def imported(*folders: str) -> set[str]:
    """Third-party packages that the files of these folders import, by the name under which they are installed."""
    files = [file for folder in folders for file in (ROOT / folder).rglob("*.py")]
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text()))]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom) and not node.level}
    tops = {name.partition(".")[0] for name in names} - OWN - sys.stdlib_module_names
    distributions = packages_distributions()
    return {
        normal(distributions.get(top, [top])[0]) for top in tops
    }  # what is not installed is named as it is imported


def declared(*lists: list[str]) -> set[str]:
    return {normal(re.split(r"[^\w.-]", line)[0]) for each in lists for line in each}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_dependencies_are_what_the_program_imports() -> None:
    # fastapi-offline is not imported: it carries the files of /docs.
    assert imported("app", "alembic") == declared(PROJECT["dependencies"]) - {"fastapi-offline"}


def test_dependencies_for_development_are_declared() -> None:
    allowed = declared(PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
    assert imported("tests", "benchmarks", "docs", "examples") <= allowed


def test_dependencies_all_have_a_lower_bound() -> None:
    for line in PROJECT["dependencies"]:
        assert ">=" in line, line


@pytest.mark.parametrize("line", re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE))
def test_image_copies_what_is_there_and_not_ignored(line: str) -> None:
    allowed = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    for source in line.split():
        assert (ROOT / source).exists(), source
        assert Path(source).parts[0] in allowed, source


def test_image_runs_the_entry_point_in_exec_form() -> None:
    assert list(PROJECT["scripts"]) == ["cin"]
    assert re.findall(r"^CMD (.+)$", DOCKERFILE, re.MULTILINE) == ['["cin", "serve"]']


def test_image_does_not_run_as_root() -> None:
    assert re.findall(r"^USER (.+)$", DOCKERFILE.rpartition("\nFROM ")[2], re.MULTILINE) == ["cin"]


def test_image_is_of_the_python_that_the_project_asks_for() -> None:
    least = str(PROJECT["requires-python"]).removeprefix(">=")
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) == {f"python:{least}-slim"}


def test_image_health_check_tells_a_server_from_none(server: Server) -> None:
    _, *check = json.loads(re.findall(r"^    CMD (.+)$", DOCKERFILE, re.MULTILINE)[0])
    for port, code in ((server.port, 0), (free_port(), 1)):
        environment = {**os.environ, "CIN_PORT": str(port)}
        ended = subprocess.run([sys.executable, *check], env=environment, capture_output=True, check=False)
        assert ended.returncode == code
