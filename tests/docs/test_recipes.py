"""The README's recipes for CI do what it says: their own lines are run, as their runner would run them, beside a server.

A build that fails gets the fix into its log; one that passes asks nothing; a hub that is down changes nothing.
"""

import importlib
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from app.client import Client
from tests.docs.following import read_blocks
from tests.docs.programs import ROOT, write_program, write_programs
from tests.server import Server, free_port

yaml: Any = importlib.import_module("yaml")  # it comes with uvicorn and has no types
GITHUB, GITLAB, SCRIPT = (block.text for block in read_blocks(ROOT / "README.md") if block.language in ("yaml", "bash"))
FIX = "Close the other one\n  first."
FAILED = 3


class Project:
    """A folder whose tests fail with an error that the network knows, or pass and print it all the same."""

    def __init__(self, folder: Path, url: str, log: str, code: int) -> None:
        self.folder = folder
        programs = folder / "bin"
        write_programs(programs)
        write_program(programs, "npm", f'echo "npm $1"\n[ "$1" = ci ] && exit\ncat <<\'END\'\n{log}\nEND\nexit {code}')
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("CIN_", "CI"))}
        self._environment = {
            **clean,
            "CIN_URL": url,
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
        }

    def run(self, shell: str, lines: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run lines as a runner does: as a file, its output and errors in one log."""
        script = self.folder / "script"
        script.write_text(lines)
        return subprocess.run(
            [*shell.split(), str(script)],
            cwd=self.folder,
            env=self._environment | variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=60,
            check=False,
        )


Run = Callable[[Project], tuple[int, str]]


def run_github(project: Project) -> tuple[int, str]:
    """The steps of the job; `shell: bash` and none at all differ as GitHub's documentation says."""
    code, log = 0, ""
    for step in yaml.safe_load(GITHUB)["jobs"]["test"]["steps"]:
        if "run" not in step or (step.get("if") == "failure()") != (code != 0):
            continue
        shell = {"bash": "bash --noprofile --norc -eo pipefail", None: "bash -e"}[step.get("shell")]
        ended = project.run(shell, step["run"])
        code, log = code or ended.returncode, log + ended.stdout
    return code, log


def run_gitlab(project: Project) -> tuple[int, str]:
    """`script` with the options that the runner sets, then `after_script`, whose exit code does not count."""
    job = yaml.safe_load(GITLAB)["test"]
    script = project.run("bash -eo pipefail", "\n".join(job["script"]))
    status = "failed" if script.returncode else "success"
    after = project.run("bash -eo pipefail", "\n".join(job["after_script"]), CI_JOB_STATUS=status)
    assert after.returncode == 0, after.stdout
    return script.returncode, script.stdout + after.stdout


def run_script(project: Project) -> tuple[int, str]:
    ended = project.run("bash", SCRIPT)
    return ended.returncode, ended.stdout


EVERY_RECIPE = pytest.mark.parametrize("run", [run_github, run_gitlab, run_script])


@pytest.fixture(scope="module")
def error(server: Server) -> str:
    """A line that the network has a fix for."""
    word = uuid4().hex.translate(str.maketrans("0123456789", "ghijklmnop"))
    with Client(server.url) as cin:
        cin.capture(pattern=f"cannot open {word}", resolution=FIX)
    return f"Error: cannot open {word}"


@EVERY_RECIPE
def test_recipe_puts_the_fix_beneath_the_failure(server: Server, error: str, tmp_path: Path, run: Run) -> None:
    code, log = run(Project(tmp_path, server.url, f"> vitest run\n{error}", FAILED))
    assert code == FAILED
    before, found, after = log.partition(error)
    assert found
    for line in FIX.splitlines():
        assert line in after
        assert line not in before


@EVERY_RECIPE
def test_recipe_asks_nothing_when_all_is_well(server: Server, error: str, tmp_path: Path, run: Run) -> None:
    code, log = run(Project(tmp_path, server.url, error, 0))
    assert (code, log) == (0, log[: log.index(error)] + error + "\n")


@EVERY_RECIPE
def test_recipe_without_a_hub_fails_as_the_build_does(error: str, tmp_path: Path, run: Run) -> None:
    code, log = run(Project(tmp_path, f"http://127.0.0.1:{free_port()}", error, FAILED))
    assert code == FAILED
    assert error in log


@EVERY_RECIPE
def test_recipe_for_an_error_nobody_knows_fails_as_the_build_does(server: Server, tmp_path: Path, run: Run) -> None:
    code, log = run(Project(tmp_path, server.url, uuid4().hex, FAILED))
    assert code == FAILED
    assert FIX.splitlines()[0] not in log


@EVERY_RECIPE
def test_recipe_for_a_very_long_log_asks_with_its_end(server: Server, error: str, tmp_path: Path, run: Run) -> None:
    project = Project(tmp_path, server.url, error, FAILED)
    long = "yes 🚒 | tr -d '\\n' | head -c 12000000"  # the cut goes through one of them
    write_program(tmp_path / "bin", "npm", f"{long}\necho\necho '{error}'\nexit {FAILED}")
    code, log = run(project)
    assert code == FAILED
    assert FIX.splitlines()[0] in log.partition(error)[2]
