"""Cutting examples out of Markdown that explains a rule under headings such as `## What it does`."""

import re

_FENCED = re.compile(r"^ *```.*?^ *``` *$\n?", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^## Examples? *$\n?", re.MULTILINE)
_EXAMPLE = re.compile(r"^## Examples? *$.*?^ *```(?:python|pyi|py)\n(.*?)^ *``` *$", re.MULTILINE | re.DOTALL)


def without_examples(explanation: str) -> str:
    """The prose: no fenced code, no heading Example, and not the first heading."""
    return _HEADING.sub("", _FENCED.sub("", explanation)).removeprefix("## What it does\n").strip()


def first_example(explanation: str) -> str | None:
    """The first Python code under the heading Example, which by custom is the bad one."""
    found = _EXAMPLE.search(f"{explanation}\n")
    return found[1] if found else None
