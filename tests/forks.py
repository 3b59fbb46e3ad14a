"""The program as a process of its own, forked from one that has imported all of it already (`tests.preloaded`).

For all that is not about how a process begins and ends: those tests start `python -m app` as people do.
"""

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from app.cli import main

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["pytest", "tests.preloaded", __name__])


class Fork:
    """A process that runs `run`, with files for its streams; it has those methods of `Popen` that tests need."""

    def __init__(
        self,
        run: Callable[[], object],
        environment: dict[str, str],
        *,
        folder: Path | None = None,
        stdin: Path = Path(os.devnull),
        stdout: Path,
        stderr: Path,
    ) -> None:
        streams = (stdin, stdout, stderr)
        self._process = _CONTEXT.Process(
            target=_become, args=(run, environment, folder or Path.cwd(), streams), daemon=True
        )
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """The exit code; None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float) -> int:
        """The exit code, in the end. Raises `TimeoutExpired`."""
        self._process.join(timeout)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def cin(*arguments: str) -> None:
    """What `cin` does with these arguments."""
    sys.argv = ["cin", *arguments]
    main()


def _become(run: Callable[[], object], environment: dict[str, str], folder: Path, streams: tuple[Path, ...]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    for number, file in enumerate(streams):
        opened = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT if number else os.O_RDONLY)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115  # as long as the process lives
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    sys.exit(run())  # type: ignore[arg-type]  # a code, or nothing
