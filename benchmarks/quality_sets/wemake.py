"""wemake-python-styleguide: its violations' docstrings, and what flake8 prints on their wrong examples."""

import ast
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

from wemake_python_styleguide import violations
from wemake_python_styleguide.violations.base import BaseViolation

from benchmarks.quality_sets import LabelledSet, Question, skill

_WRONG = re.compile(r"^ *# Wrong.*\n((?: .*\n|\n)*)", re.MULTILINE)
_EXAMPLE = re.compile(r"^Example.*::\n((?: .*\n|\n)*)", re.MULTILINE)
_CAPITAL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def load() -> LabelledSet:
    """Every violation as a skill, and a question for each that its wrong example is."""
    rules = list(_violations())
    messages = _messages(rules)
    return LabelledSet(
        "wemake",
        [skill(_name(rule), _prose(rule), "wemake") for rule in rules],
        [Question(messages[_code(rule)], _name(rule)) for rule in rules if _code(rule) in messages],
    ).with_distinct_skills()


def _violations() -> Iterator[type[BaseViolation]]:
    for module in pkgutil.iter_modules(violations.__path__, f"{violations.__name__}."):
        for found in vars(importlib.import_module(module.name)).values():
            if inspect.isclass(found) and issubclass(found, BaseViolation) and "code" in vars(found):
                yield found


def _name(rule: type[BaseViolation]) -> str:
    return _CAPITAL.sub("-", rule.__name__.removesuffix("Violation")).lower()


def _code(rule: type[BaseViolation]) -> str:
    return f"WPS{rule.code:03}"


def _prose(rule: type[BaseViolation]) -> str:
    return re.sub(rf"\b{_code(rule)}\b(?: — )?", "", _EXAMPLE.sub("", _documentation(rule)))


def _documentation(rule: type[BaseViolation]) -> str:
    return inspect.cleandoc(rule.__doc__ or "") + "\n"


def _messages(rules: list[type[BaseViolation]]) -> dict[str, str]:
    """The first message with a rule's own code on its own example, by code."""
    with tempfile.TemporaryDirectory() as folder:
        for rule in rules:
            found = _WRONG.search(_documentation(rule))
            if found:
                package = Path(folder, _code(rule))
                package.mkdir()
                for name in ("example.py", "__init__.py"):  # some only look at packages
                    (package / name).write_text(_completed(textwrap.dedent(found[1]).rstrip()))
        command = [sys.executable, "-m", "flake8", "--isolated", "--select=WPS", "--format=%(path)s|%(code)s|%(text)s"]
        printed = subprocess.run([*command, folder], capture_output=True, text=True, check=False).stdout
    messages: dict[str, str] = {}
    for line in sorted(printed.splitlines(), reverse=True):
        path, code, text = line.split("|", 2)
        if Path(path).parent.name == code:
            messages[code] = text
    return messages


def _completed(example: str) -> str:
    """`example`, with a body under its last line if it is a bare header such as `def f():`."""
    try:
        ast.parse(example)
    except SyntaxError:
        last = example.rpartition("\n")[2]
        return f"{example}\n{' ' * (len(last) - len(last.lstrip()) + 4)}...\n"
    return f"{example}\n"
