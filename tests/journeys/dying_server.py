"""`cin serve` with a flaw at one exact moment of a capture, when the file `trigger` names one.

`answer`: it dies when the capture is on disk, before anything else. `wake`: it dies in the commit's callbacks, before the
fan-out. `deaf`: it loses the wake, so the capture is answered and nobody is told. Dying it removes the file, so the next
one lives.
"""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

from app.cli.serve import serve
from app.eventlog.notifier import LocalNotifier
from app.storage import group_commit


def main(trigger: Path) -> int:
    resolve, wake = group_commit._resolve, LocalNotifier.wake

    def flaw() -> str:
        return trigger.read_text() if trigger.exists() else ""

    def flawed_resolve(future: asyncio.Future[Any], answer: object) -> None:
        if flaw() == "answer":
            _die(trigger)
        resolve(future, answer)

    def flawed_wake(notifier: LocalNotifier, network_id: int) -> None:
        if flaw() == "wake":
            _die(trigger)
        if flaw() != "deaf":
            wake(notifier, network_id)

    group_commit._resolve = flawed_resolve
    LocalNotifier.wake = flawed_wake  # type: ignore[method-assign, assignment]
    return serve(None, None)


def _die(trigger: Path) -> None:
    trigger.unlink()
    os.kill(os.getpid(), signal.SIGKILL)
