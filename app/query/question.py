"""What is asked of a network: an error message or log to match, or words to search."""

import hashlib
from dataclasses import dataclass

import orjson

from app.query.clocks import facets
from app.skills.build_log import BuildLog, read_log
from app.skills.failure_lines import failure_lines
from app.skills.lazily import lazily

MESSAGE_BYTES = 8 * 1024 * 1024
"""The longest message that is taken, in UTF-8."""

_TELLING_LINES = 8
TELLING_CHARACTERS = 1_000
"""Of how many lines, and how much of each, the words are looked for: those that carry the failure."""


@dataclass(frozen=True)
class MatchQuestion:
    """An error message, or a whole log. `error_type` helps to choose among what fits, and leaves nothing out."""

    message: str
    error_type: str | None
    limit: int

    @lazily
    def log(self) -> BuildLog:
        return read_log(self.message)

    @lazily
    def telling_lines(self) -> list[int]:
        """The lines that carry the failure, most telling first."""
        return failure_lines(self.log)[:_TELLING_LINES]

    @lazily
    def telling(self) -> str:
        """What these lines say, in whatever order."""
        lines = self.log.lines
        if len(lines) > _TELLING_LINES:  # else they are all of them, and to rank them takes a tenth of a match
            lines = [lines[place] for place in self.telling_lines]
        return "\n".join([line.text[line.body :][:TELLING_CHARACTERS] for line in lines])

    def key(self, network_id: int, form: str) -> bytes:
        """Names the question, and in which form its answer is wanted."""
        return _digest(["match", network_id, form, self.error_type, self.limit], self.message)


@dataclass(frozen=True)
class SearchQuestion:
    """Words as a person types them, and what to leave out. Any of the tags; every other filter that is given."""

    words: str
    limit: int
    error_type: str | None = None
    agent: str | None = None
    tags: tuple[str, ...] = ()
    cursor: str | None = None

    @property
    def filters(self) -> list[tuple[str, ...]]:
        """Facets that must all hold, each by any of its values."""
        return [
            any_of
            for any_of in (
                facets(self.error_type, None, ()),
                facets(None, self.agent, ()),
                facets(None, None, self.tags),
            )
            if any_of
        ]

    def key(self, network_id: int) -> bytes:
        """Names the question."""
        return _digest(["search", network_id, self.limit, self.cursor, self.filters], self.words)


def _digest(parts: list[object], text: str) -> bytes:
    digest = hashlib.blake2b(orjson.dumps(parts), digest_size=16)
    digest.update(text.encode("utf-8", "surrogatepass"))
    return digest.digest()
