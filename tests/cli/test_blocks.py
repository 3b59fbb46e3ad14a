"""Skills as text for people: readable, and nothing that strangers wrote acts or passes for something else."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from app.cli.blocks import match_block, skill_block
from app.client import Match, Skill, Span

SKILL = Skill(
    id="019aaf2c-7d6e-7c43-9c3b-3f0c1d2e4a5b",
    name="start-the-database",
    error_type="ConnectionError",
    pattern="connect ECONNREFUSED",
    resolution="Start it:\n\n\tdocker compose up -d db\r\n",
    usage_count=4,
    success_count=3,
    failure_count=1,
    confidence=0.6,
)


def test_match_block_says_what_where_why_and_what_to_do() -> None:
    found = Match(
        skill=SKILL,
        kind="exact",
        score=0.971,
        span=Span(line=7, start=90, end=110),
        matched="connect ECONNREFUSED",
        why=("its pattern stands in line 7", "it worked 3 of 4 times"),
    )
    assert match_block(1, found) == (
        "1. start-the-database (exact, 0.97, ConnectionError)\n"
        "   line 7: connect ECONNREFUSED\n"
        "   because its pattern stands in line 7, it worked 3 of 4 times\n"
        "   confidence 0.60\n"
        "   | Start it:\n"
        "   |\n"
        "   |     docker compose up -d db\n"
        "   skill 019aaf2c-7d6e-7c43-9c3b-3f0c1d2e4a5b\n"
    )


def test_skill_block_says_when_it_applies() -> None:
    skill = Skill(id="s", name="a-skill", description="CI runs out of disk", resolution="docker system prune -f")
    assert skill_block(2, skill) == (
        "2. a-skill\n"
        "   when: CI runs out of disk\n"
        "   confidence 0.50, not used yet\n"
        "   | docker system prune -f\n"
        "   skill s\n"
    )
    assert "   confidence 0.60, worked 3 of 4 times\n" in skill_block(1, SKILL)


def test_match_block_shortens_what_it_quotes() -> None:
    span = Span(line=1, start=0, end=9_000)
    block = match_block(1, Match(skill=SKILL, kind="exact", score=1, span=span, matched="x" * 9_000))
    assert max(map(len, block.splitlines())) < 200


@given(st.text(), st.text(), st.text(), st.text(min_size=1), st.text())
def test_match_block_of_strangers_never_acts(name: str, kind: str, matched: str, resolution: str, why: str) -> None:
    skill = Skill(id="s", name=name, error_type=kind, pattern=matched, resolution=resolution)
    span = Span(line=1, start=0, end=len(matched))
    block = match_block(1, Match(skill=skill, kind="exact", score=1, span=span, matched=matched, why=(why,)))
    first, *others = block.split("\n")
    assert first.startswith("1. ")
    assert all(
        line.startswith(("   line 1:", "   because", "   confidence ", "   |", "   skill s")) for line in others[:-1]
    )
    kinds = {unicodedata.category(char) for line in block.split("\n") for char in line if char not in "\u200c\u200d"}
    assert not kinds & {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
