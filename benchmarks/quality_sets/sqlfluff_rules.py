"""sqlfluff: its rules' docstrings, and what it says of their anti-patterns."""

import inspect
import re
import textwrap

from sqlfluff.core import FluffConfig, Linter
from sqlfluff.core.rules import BaseRule, get_ruleset

from benchmarks.quality_sets import LabelledSet, Question, skill

# The first in which the anti-pattern is one; most are in plain SQL.
DIALECTS = ("ansi", "tsql", "postgres", "oracle", "snowflake", "bigquery")
_CODE_BLOCK = re.compile(r"^ *\.\. code-block::.*\n((?: .*\n|\n)*)", re.MULTILINE)
_ANTI_PATTERN = re.compile(r"^\*\*Anti-pattern\*\*", re.MULTILINE)
_DIRECTIVE_OPTION = re.compile(r"^ *:\w+:.*$", re.MULTILINE)


def load() -> LabelledSet:
    """Every rule as a skill, and a question for each that its anti-pattern sets off."""
    rules = {code: manifest.rule_class for code, manifest in sorted(get_ruleset()._register.items())}
    messages = {code: _message(code, rule) for code, rule in rules.items()}
    return LabelledSet(
        "sqlfluff",
        [skill(_name(rule), _prose(code, rule), "sqlfluff") for code, rule in rules.items()],
        [Question(message, _name(rules[code])) for code, message in messages.items() if message],
    ).with_distinct_skills()


def _name(rule: type[BaseRule]) -> str:
    return re.sub("[._]", "-", rule.name)


def _prose(code: str, rule: type[BaseRule]) -> str:
    return re.sub(rf"\b{code}\b", "", _CODE_BLOCK.sub("", _documentation(rule)))


def _documentation(rule: type[BaseRule]) -> str:
    return inspect.cleandoc(rule.__doc__ or "") + "\n"


def _message(code: str, rule: type[BaseRule]) -> str | None:
    heading = _ANTI_PATTERN.search(_documentation(rule))
    found = heading and _CODE_BLOCK.search(_documentation(rule), heading.end())
    if not found:
        return None
    # The documentation shows a space that matters as a dot, and a tab as an arrow.
    sql = textwrap.dedent(_DIRECTIVE_OPTION.sub("", found[1])).strip("\n").translate({0x2022: " ", 0x2192: "\t"})
    for dialect in DIALECTS:
        linter = Linter(config=FluffConfig(overrides={"dialect": dialect, "rules": code}))
        for violation in linter.lint_string(f"{sql}\n").get_violations():
            if violation.rule_code() == code:
                return str(violation.desc())
    return None
