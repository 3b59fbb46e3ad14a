"""ty: its rules' documentation, and what `ty check` prints on their first examples."""

import json
import os
import subprocess
import tempfile
from pathlib import Path

from ty import find_ty_bin

from benchmarks.quality_sets import LabelledSet, Question, skill
from benchmarks.quality_sets.markdown import first_example, without_examples


def load() -> LabelledSet:
    """Every rule as a skill, and a question for each that its example sets off."""
    explained = json.loads(_ty("explain", "rule", "--output-format", "json"))
    documentation = {rule["name"]: rule["documentation"] for rule in explained}
    messages = _messages(documentation)
    return LabelledSet(
        "ty",
        [skill(name, without_examples(text), "ty") for name, text in documentation.items()],
        [Question(messages[name], name) for name in documentation if name in messages],
    ).with_distinct_skills()


def _messages(documentation: dict[str, str]) -> dict[str, str]:
    """The first message of a rule on its own example, by the rule's name."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in documentation.items():
            example = first_example(text)
            if example:
                Path(folder, name.replace("-", "_")).with_suffix(".py").write_text(example)
        printed = json.loads(_ty("check", "--error", "all", "--output-format", "gitlab", "--project", folder))
    messages: dict[str, str] = {}
    for line in printed:
        name = line["check_name"]
        if Path(line["location"]["path"]).stem == name.replace("-", "_"):
            messages.setdefault(name, line["description"].removeprefix(f"{name}: "))
    return messages


def _ty(*arguments: str) -> str:
    # A folder without settings, so that those of whoever measures do not count.
    with tempfile.TemporaryDirectory() as empty:
        environment = {**os.environ, "XDG_CONFIG_HOME": empty}
        command = [find_ty_bin(), *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stdout
