"""The worked example of confidence is what the formula gives."""

import re

import pytest

from app.skills.confidence import confidence
from docs.generate import ROOT

ROWS = re.findall(
    r"^\| .+? \| (\d+) \| (\d+) \| .+ = ([\d.]+) \|$",
    (ROOT / "docs/reference/confidence.md").read_text(),
    re.MULTILINE,
)


def test_confidence_has_an_example() -> None:
    assert len(ROWS) == 6


@pytest.mark.parametrize(("votes_for", "votes_against", "shown"), ROWS)
def test_confidence_is_as_shown(votes_for: str, votes_against: str, shown: str) -> None:
    assert round(confidence(int(votes_for), int(votes_against)), 4) == float(shown)
