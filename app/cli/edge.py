"""Where every command ends: exit codes, and errors as one sentence on standard error."""

import functools
import os
import signal
import sys
from collections.abc import Callable
from typing import Final, NoReturn, ParamSpec, TextIO

import typer

from app.client import CINError
from app.skills.plain_text import plain

DONE: Final = 0
INCOMPLETE: Final = 1
TROUBLE: Final = 2
INTERRUPTED: Final = 130

EXIT_CODES = """\b
Exit codes:
  0    done
  1    some items failed, or nothing was found
  2    trouble: wrong usage, no server, or it refused
  130  interrupted (Ctrl-C or SIGTERM)
"""

P = ParamSpec("P")


def command(run: Callable[P, int]) -> Callable[P, None]:
    """Make a function that returns an exit code a command that never shows a traceback for what can be expected."""

    @functools.wraps(run)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            signal.signal(signal.SIGTERM, _interrupt)
            _tolerate_any_text()
            code = run(*args, **kwargs)
            sys.stdout.flush()
        except KeyboardInterrupt:
            code = INTERRUPTED
        except BrokenPipeError:
            code = _reader_left()
        except CINError as error:
            complain(str(error))
            code = TROUBLE
        except OSError as error:
            complain(f"{error.filename}: {error.strerror}" if error.filename else str(error))
            code = TROUBLE
        raise typer.Exit(code)

    return guarded


def complain(sentence: str) -> None:
    """One line on standard error; it may quote what strangers wrote."""
    note(f"cin: {sentence}")


def note(sentence: str) -> None:
    """One line on standard error that is no error. Work goes on when nobody reads it any more."""
    try:
        typer.echo(plain(sentence), err=True)
    except BrokenPipeError:
        _discard(sys.stderr)


def usage(sentence: str) -> NoReturn:
    """End with the code for wrong usage."""
    complain(sentence)
    raise typer.Exit(TROUBLE)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _tolerate_any_text() -> None:
    """A terminal that cannot show a character gets its escape, not a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _reader_left() -> int:
    """Whoever read our output has seen enough, as `head` does."""
    _discard(sys.stdout)
    return DONE


def _discard(stream: TextIO) -> None:
    """Let what is written from now on, and what was not read, go nowhere: Python would complain about it at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
