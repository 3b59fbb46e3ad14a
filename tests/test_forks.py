"""What the processes of the tests are forked from: it saves most of a start, or silently nothing."""

import pkgutil
import sys
from pathlib import Path

import app
from tests.forks import Fork


def test_fork_has_all_of_the_program_imported(tmp_path: Path) -> None:
    out, err = tmp_path / "out", tmp_path / "err"
    fork = Fork(print_what_is_missing, {}, stdout=out, stderr=err)
    assert fork.wait(60) == 0, err.read_text()
    assert out.read_text() == "[]\n"


def print_what_is_missing() -> None:
    modules = {"app", *(found.name for found in pkgutil.walk_packages(app.__path__, "app."))}
    print(sorted(modules - sys.modules.keys()))
