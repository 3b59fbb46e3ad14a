"""Skills that this process knows, and which of them fit a message: without the server, in a millisecond or two.

The rules are the plain ones of the server (docs/reference/matching.md): a pattern stands in the message as it is, or it
does once what varies is masked on both sides. Masking is coarser here, and nothing is found by words alone.
"""

import re
import threading
from dataclasses import dataclass

from app.client.values import Skill

MOST_SKILLS = 10_000
MOST_CHARACTERS = 32_000_000
MOST_MESSAGE_CHARACTERS = 65_536
"""A longer message is not looked at: the server can do that, and much faster."""

_ANYWHERE = 8  # letters and digits that a pattern needs to be looked for inside words
_WORD = 3

_NUMBER = re.compile(r"[-+]?[0-9]+(?:[.,][0-9]+)*%?")
_SHOUTED = re.compile(r"ERRORS?|ERR|FAIL(?:ED|URE)?|FATAL|WARN(?:ING)?|PANIC|ABORT|KILLED")
_VARIES = re.compile(
    r"""(?<!\w)(?:'[^'\n]{0,200}'|"[^"\n]{0,200}"|`[^`\n]{0,200}`)(?!\w)"""
    r"|(?<![\w.~:/-])(?:\w{1,16}:/)?[\w.~-]{0,100}/[^\s'\"`]*"
    r"|(?<!\w)(?:0[xX][0-9a-fA-F]+|(?=[a-f]{0,40}\d)[0-9a-f]{7,40}(?!\w)|\d+(?:[.:,]\d+)*)"
)
_MASK = "<*>"


@dataclass(frozen=True)
class _Known:
    skill: Skill
    pattern: str
    weight: int
    signature: str | None

    @property
    def characters(self) -> int:
        skill = self.skill
        texts = (skill.resolution, skill.pattern, skill.description, skill.context, self.signature)
        return sum(len(text) for text in texts if text)


class Memory:
    """The skills learned last, `most_skills` and `most_characters` at most. Any thread may call any method."""

    def __init__(self, most_skills: int = MOST_SKILLS, most_characters: int = MOST_CHARACTERS) -> None:
        self._most_skills = most_skills
        self._most_characters = most_characters
        self._known: dict[str, _Known] = {}
        self._characters = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._known)

    def learn(self, skill: Skill) -> None:
        """Know it, as of now; what was learned first is forgotten when there is no room."""
        known = _read(skill)
        with self._lock:
            self._drop(skill.id)
            self._known[skill.id] = known
            self._characters += known.characters
            while len(self._known) > self._most_skills or self._characters > self._most_characters:
                self._drop(next(iter(self._known)))

    def forget(self, skill_id: str) -> None:
        with self._lock:
            self._drop(skill_id)

    def clear(self) -> None:
        with self._lock:
            self._known.clear()
            self._characters = 0

    def get(self, skill_id: str) -> Skill | None:
        known = self._known.get(skill_id)
        return None if known is None else known.skill

    def all(self) -> list[Skill]:
        with self._lock:
            return [known.skill for known in self._known.values()]

    def find(self, message: str, error_type: str | None) -> Skill | None:
        """The skill that fits best: exact before masked, then the longer pattern, the error type, confidence, the newer."""
        if len(message) > MOST_MESSAGE_CHARACTERS:
            return None
        text = clean(message)
        with self._lock:
            known = list(self._known.values())
        found = [each for each in known if _stands_in(each, text)]
        if not found:
            signature = mask(text)
            found = [each for each in known if each.signature is not None and each.signature in signature]
        ranked = max(enumerate(found), key=lambda pair: (*_rank(pair[1], error_type), pair[0]), default=None)
        return None if ranked is None else ranked[1].skill

    def _drop(self, skill_id: str) -> None:
        known = self._known.pop(skill_id, None)
        if known is not None:
            self._characters -= known.characters


def clean(text: str) -> str:
    """Lines without blanks at their ends, runs of blanks as one."""
    return "\n".join(" ".join(line.split()) for line in text.strip().splitlines())


def mask(text: str) -> str:
    """Quoted values, paths, addresses and numbers give way to one placeholder."""
    return _VARIES.sub(_MASK, text)


def _read(skill: Skill) -> _Known:
    pattern = clean(skill.pattern or "")
    signature = mask(pattern)
    tells = _weight(signature.replace(_MASK, "")) >= _ANYWHERE
    return _Known(skill, pattern, _weight(pattern), signature if tells else None)


def _stands_in(known: _Known, text: str) -> bool:
    if known.weight >= _ANYWHERE:
        return known.pattern in text
    if known.pattern not in text or not known.pattern:
        return False
    # A plain word or a number says little inside a line, where the server ranks it last.
    if known.weight < _WORD or _is_plain(known.pattern):
        return known.pattern in text.splitlines()
    return re.search(rf"(?<![^\W_]){re.escape(known.pattern)}(?![^\W_])", text) is not None


def _is_plain(pattern: str) -> bool:
    if len(pattern) >= _ANYWHERE:
        return False
    is_word = pattern.isalpha() and (pattern.islower() or pattern.istitle())
    return is_word or (_NUMBER.fullmatch(pattern) or _SHOUTED.fullmatch(pattern)) is not None


def _rank(known: _Known, error_type: str | None) -> tuple[int, bool, float]:
    return known.weight, known.skill.error_type == error_type, known.skill.confidence


def _weight(text: str) -> int:
    return sum(map(str.isalnum, text))
