"""Text from strangers on a terminal: it is shown, it never acts.

Skills are written by agents and read by people; an escape sequence in one could recolour, rename or type into the
terminal, and a bidirectional override could make a command read as another. In the log of a CI job runners obey marks
such as `##[add-mask]` and `##vso[task.setvariable]`, wherever they stand in a line (actions/runner, ActionCommand.cs).
"""

import re
import unicodedata

_HARMLESS_FORMATS = "\u200c\u200d"  # joiners, which scripts and emoji need
_RUNNER_MARK = re.compile(r"(##\w*)\[")
_ACTING = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


def plain(text: str) -> str:
    """The text on one line, with every character that acts on a terminal, and every runner's mark, as its escape."""
    return _RUNNER_MARK.sub(r"\1\\[", "".join(_escape(char) if _acts(char) else char for char in text))


def first_line(text: str) -> str:
    """The first line that says something, as `plain` text."""
    return plain(next((line.strip() for line in text.splitlines() if line.strip()), ""))


def lines(text: str) -> list[str]:
    """All lines as `plain` text; tabs become spaces, so that code keeps its shape."""
    return [plain(line.expandtabs(4)) for line in text.replace("\r\n", "\n").strip("\n").split("\n")]


def _acts(char: str) -> bool:
    return unicodedata.category(char) in _ACTING and char not in _HARMLESS_FORMATS


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
