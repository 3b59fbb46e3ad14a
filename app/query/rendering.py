"""Matches as they are answered: JSON for programs, and a block of text for the log of a CI job.

Skills are written by strangers, and a CI job's log is read by a runner that obeys some of it. So every line of theirs
is `plain`, and stands behind a bar: none begins with what a runner takes for a command (`::error::`).
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from app.query.matching import Match
from app.skills.document import dump
from app.skills.plain_text import first_line, lines, plain

_QUOTED = 200
"""Characters of what matched that a person is shown."""


class Rendered(NamedTuple):
    """A body without the position that belongs at `position_at`."""

    body: bytes
    position_at: int


def as_json(matches: Sequence[Match]) -> Rendered:
    """`MatchesPublic`."""
    found = b",".join(_match_json(match) for match in matches)
    return position_last(b'{"matches":[%s]' % found)


def position_last(body: bytes) -> Rendered:
    """A JSON object that still is to be closed, with its position as the last member."""
    return Rendered(body + b',"position":""}', len(body) + len(b',"position":"'))


def _match_json(match: Match) -> bytes:
    rest = {
        "kind": match.kind,
        "score": match.score,
        "span": match.span._asdict(),
        "matched": match.matched,
        "why": match.why,
    }
    return b'{"skill":%s,%s' % (match.known.json, dump(rest)[1:])


def as_text(matches: Sequence[Match]) -> Rendered:
    """A block that a person reads at the end of a log."""
    if not matches:
        return _position_behind("CIN knows no fix for this (at ", ").\n")
    known = "1 fix" if len(matches) == 1 else f"{len(matches)} fixes"
    blocks = ["\n".join(_block(number, match)) for number, match in enumerate(matches, 1)]
    return _position_behind(f"CIN knows {known} for this, best first (at ", "\n\n".join(["):", *blocks, ""])[:-1])


def _position_behind(before: str, after: str) -> Rendered:
    head = before.encode()
    return Rendered(head + after.encode("utf-8", "replace"), len(head))


def _block(number: int, match: Match) -> Iterator[str]:
    skill = match.known.document
    yield f"{number}. {skill['name']} ({match.kind}, {match.score:.2f})"
    yield f"   line {match.span.line}: {first_line(match.matched)[:_QUOTED]}"
    yield f"   because {plain(', '.join(match.why))}"
    for line in (*lines(skill["description"] or ""), *lines(skill["resolution"])):
        if line:
            yield f"   | {line}"
    yield f"   skill {skill['id']}"
