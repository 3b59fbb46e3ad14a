"""The command line as a process, as people run it."""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import app
from tests.forks import Fork, cin

_ROOT = Path(app.__file__).parents[1]


class Serving(Protocol):
    """What the fixtures `server` and `fresh_server` give."""

    url: str
    port: int

    def restart(self) -> None: ...
    def kill(self) -> None: ...
    def stop(self) -> None: ...


class Cin:
    """Runs `cin` in a folder of its own, with its own state and no settings of the person who runs the tests."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("CIN_")}
        self.env = inherited | {"CIN_URL": url, "PYTHONPATH": str(_ROOT), "XDG_STATE_HOME": str(folder / "state")}
        self._started: list[subprocess.Popen[str]] = []

    def __call__(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run to the end, in a fork: most tests are about what it says."""
        with TemporaryDirectory() as folder:
            given, out, err = (Path(folder, name) for name in ("in", "out", "err"))
            given.write_text(stdin)
            fork = Fork(partial(cin, *arguments), self.env, folder=self.folder, stdin=given, stdout=out, stderr=err)
            try:
                code = fork.wait(60)
            finally:
                fork.kill()
            return subprocess.CompletedProcess(arguments, code, out.read_text(), err.read_text())

    def start(self, *arguments: str, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
        """Start it as people do."""
        return self._popen([sys.executable, "-m", "app.cli", *arguments], self.env, stdin)

    def shell(self, line: str) -> subprocess.CompletedProcess[str]:
        """Run a line as a reader of the help would."""
        process = self.start_shell(line)
        out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(line, process.returncode, out, err)

    def start_shell(self, line: str) -> subprocess.Popen[str]:
        self.program("cin", f'exec "{sys.executable}" -m app.cli "$@"')
        return self._popen(["bash", "-c", line], self.env | {"PATH": f"{self.folder / 'bin'}:{self.env['PATH']}"})

    def program(self, name: str, script: str) -> None:
        """Put a program where `shell` finds it first."""
        file = self.folder / "bin" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)

    def end(self) -> None:
        for process in self._started:
            process.kill()
            process.communicate()

    def _popen(self, command: list[str], env: dict[str, str], stdin: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, cwd=self.folder, env=env, text=True, stdin=stdin, stdout=pipe, stderr=pipe)
        self._started.append(process)
        return process
