"""Regular expressions whose groups are possessive: `(…)?+`, `(…)*+`, `(…)++`, `(…){1,6}+`."""

import re
import sys

_FAULTY = sys.version_info < (3, 11, 5)
"""Python before 3.11.5 matches such groups wrongly or for ever (gh-106052). Single characters it does rightly."""

_POSSESSIVE_GROUP = re.compile(r"(?<!\\)\)([?*+]|\{[0-9,]+\})\+")


def compile_possessive(pattern: str) -> re.Pattern[str]:
    """`re.compile`. Where Python is faulty, groups are greedy; what is in them stays possessive, so they soon give up."""
    return re.compile(with_greedy_groups(pattern) if _FAULTY else pattern)


def with_greedy_groups(pattern: str) -> str:
    """The pattern with every possessive group greedy. It matches the same if nothing behind a group can match its end."""
    return _POSSESSIVE_GROUP.sub(r")\1", pattern)
