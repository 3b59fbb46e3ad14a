"""The programs that a reader of the pages has: `cin`, `python`, `curl`, and what stands in for those of their project."""

import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def write_programs(folder: Path) -> None:
    """Make the folder, and `cin`, `python` and, on a machine that has none, `curl` in it."""
    folder.mkdir(parents=True)
    commands = {"cin": f"{sys.executable} -m app.cli", "python": sys.executable}
    if shutil.which("curl") is None:
        commands["curl"] = f"{sys.executable} {ROOT / 'tests/docs/curl.py'}"
    for name, command in commands.items():
        write_program(folder, name, f'exec {command} "$@"')


def write_program(folder: Path, name: str, script: str) -> None:
    """One more, as lines of sh."""
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)
