"""ruff: its rules' explanations, and the messages of `ruff check` on their first examples."""

import json
import re
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ruff import find_ruff_bin  # type: ignore[import-untyped]  # it has no types

from benchmarks.quality_sets import LabelledSet, Question, skill
from benchmarks.quality_sets.markdown import first_example, without_examples

# Some rules only look at packages, some only at stubs.
FILE_NAMES = ("example.py", "__init__.py", "example.pyi")


@dataclass(frozen=True)
class Rule:
    """One entry of `ruff rule --all`; a few preview rules have no code yet, only a name."""

    name: str
    code: str | None
    explanation: str

    def prose(self) -> str:
        """The explanation without its examples and the rule's code."""
        text = without_examples(self.explanation)
        return text if self.code is None else re.sub(rf"`?\b{self.code}\b`?", "", text)


def load() -> LabelledSet:
    """Every rule as a skill, and a question for each that its example sets off."""
    rules = [Rule(r["name"], r["code"], r["explanation"]) for r in json.loads(_ruff("rule", "--all"))]
    # A process for each rule, so that no rule switches another off; it takes 6 ms.
    with ThreadPoolExecutor() as pool:
        messages = list(pool.map(_message, rules))
    return LabelledSet(
        "ruff",
        [skill(rule.name, rule.prose(), "ruff") for rule in rules],
        [Question(message, rule.name) for rule, message in zip(rules, messages, strict=True) if message],
    ).with_distinct_skills()


def _message(rule: Rule) -> str | None:
    example = first_example(rule.explanation)
    if rule.code is None or example is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        for name in FILE_NAMES:
            Path(folder, name).write_text(example)
        printed = json.loads(_ruff("check", "--isolated", "--no-cache", "--preview", "--select", rule.code, folder))
    found = {Path(line["filename"]).name: line["message"] for line in reversed(printed) if line["code"] == rule.code}
    return next((found[name] for name in FILE_NAMES if name in found), None)


def _ruff(*arguments: str) -> str:
    command = [find_ruff_bin(), *arguments, "--output-format", "json"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout or "[]"
