"""Text from strangers on a terminal: it is shown, it never acts.

Skills are written by agents and read by people; an escape sequence in one could recolour, rename or type into the
terminal, and a bidirectional override could make a command read as another.
"""

import unicodedata

_HARMLESS_FORMATS = "\u200c\u200d"  # joiners, which scripts and emoji need
_ACTING = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


def plain(text: str) -> str:
    """The text on one line, with every character that acts on a terminal written as its escape."""
    return "".join(_escape(char) if _acts(char) else char for char in text)


def first_line(text: str) -> str:
    """The first line that says something, as `plain` text."""
    return plain(next((line.strip() for line in text.splitlines() if line.strip()), ""))


def _acts(char: str) -> bool:
    return unicodedata.category(char) in _ACTING and char not in _HARMLESS_FORMATS


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
