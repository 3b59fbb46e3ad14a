"""Skills as blocks of text for people: what a skill is, why it is shown, and its resolution.

All of it comes from strangers, and some of it ends in the log of a CI job. So each line is `plain`, and a resolution
stands behind a bar: it cannot pass for a block, and no line of it begins with what a runner obeys (`::error::`).
"""

from collections.abc import Iterable

from app.client import Match, Skill
from app.skills.plain_text import first_line, lines, plain

_MOST_QUOTED = 160


def match_block(rank: int, match: Match) -> str:
    """A match: its kind and score, where it stands in the message and why."""
    where = f"line {match.span.line}: {_short(match.matched or '')}" if match.span else "anywhere"
    why = f"because {', '.join(match.why)}" if match.why else "because of its words"
    details = [where, why, f"confidence {match.skill.confidence:.2f}"]
    return _block(rank, match.skill, [match.kind, f"{match.score:.2f}"], details)


def skill_block(rank: int, skill: Skill) -> str:
    """A skill that was searched for: when it applies, and what came of it."""
    worked = f"worked {skill.success_count} of {skill.usage_count} times" if skill.usage_count else "not used yet"
    details = [
        f"when: {_short(skill.pattern or skill.description or '')}",
        f"confidence {skill.confidence:.2f}, {worked}",
    ]
    return _block(rank, skill, [], details)


def _block(rank: int, skill: Skill, kind: list[str], details: Iterable[str]) -> str:
    kind = [*kind, skill.error_type] if skill.error_type else kind
    head = f"{rank}. {skill.name}" + (f" ({', '.join(kind)})" if kind else "")
    indented = [*details, *(f"| {line}" for line in lines(skill.resolution)), f"skill {skill.id}"]
    return "\n".join([plain(head), *(f"   {plain(line)}".rstrip() for line in indented), ""])


def _short(text: str) -> str:
    text = first_line(text)
    return text if len(text) <= _MOST_QUOTED else f"{text[:_MOST_QUOTED]}…"
