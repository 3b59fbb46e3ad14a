"""`cin serve` with a flaw at one exact moment of a capture, once the file that it is told of is there.

    python -m tests.journeys.dying_server answer FILE    dies when the capture is on disk, before anything else
    python -m tests.journeys.dying_server wake FILE      dies in the commit's callbacks, before the fan-out
    python -m tests.journeys.dying_server deaf FILE      loses the wake: the capture is answered, nobody is told

It removes the file before it dies, so the next one lives.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.cli.serve import serve
from app.eventlog.notifier import LocalNotifier
from app.storage import group_commit


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def instead(of: Callable[..., None], trigger: Path, flaw: Callable[[], None], *, once: bool) -> Callable[..., None]:
    """A function that behaves as `of` until the trigger is there."""

    def run(*args: Any) -> None:
        if not trigger.exists():
            of(*args)
            return
        if once:
            trigger.unlink()
        flaw()

    return run


def main(flaw: str, trigger: Path) -> int:
    if flaw == "answer":
        group_commit._resolve = instead(group_commit._resolve, trigger, die, once=True)
    elif flaw == "wake":
        LocalNotifier.wake = instead(LocalNotifier.wake, trigger, die, once=True)  # type: ignore[method-assign]
    else:
        LocalNotifier.wake = instead(LocalNotifier.wake, trigger, lambda: None, once=False)  # type: ignore[method-assign]
    return serve(None, None)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
