"""refurb: its checks' docstrings, and what it prints on their bad examples."""

import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from refurb import checks
from refurb.error import Error

from benchmarks.quality_sets import LabelledSet, Question, skill

_BAD = re.compile(r"^Bad:\s*```(?:python|py)?\n(.*?)^```", re.MULTILINE | re.DOTALL)
_FENCED = re.compile(r"^(?:(?:Bad|Good):\s*)?```.*?^```$\n?", re.MULTILINE | re.DOTALL)
_PRINTED = re.compile(r"(FURB\d+)\.py:\d+:\d+ \[(FURB\d+)\]: (.*)")


def load() -> LabelledSet:
    """Every check as a skill, and a question for each that its bad example sets off."""
    rules = list(_checks())
    messages = _messages(rules)
    return LabelledSet(
        "refurb",
        [skill(_name(rule), _prose(rule), "refurb") for rule in rules],
        [Question(messages[_code(rule)], _name(rule)) for rule in rules if _code(rule) in messages],
    ).with_distinct_skills()


def _checks() -> Iterator[type[Error]]:
    for module in pkgutil.walk_packages(checks.__path__, f"{checks.__name__}."):
        found = vars(importlib.import_module(module.name)).get("ErrorInfo")
        if found is not None:
            yield found


def _name(rule: type[Error]) -> str:
    return rule.name or rule.__module__.rpartition(".")[2].replace("_", "-")


def _code(rule: type[Error]) -> str:
    return f"FURB{rule.code}"


def _prose(rule: type[Error]) -> str:
    return re.sub(rf"\b{_code(rule)}\b", "", _FENCED.sub("", inspect.cleandoc(rule.__doc__ or "")))


def _messages(rules: list[type[Error]]) -> dict[str, str]:
    """The first message with a check's own code on its own example, by code."""
    with tempfile.TemporaryDirectory() as folder:
        for rule in rules:
            found = _BAD.search(inspect.cleandoc(rule.__doc__ or ""))
            if found:
                Path(folder, f"{_code(rule)}.py").write_text(found[1])
        command = [sys.executable, "-m", "refurb", "--enable-all", "--quiet", "--python-version", "3.11", folder]
        printed = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stdout
    return {ran: message for ran, code, message in reversed(_PRINTED.findall(printed)) if ran == code}
