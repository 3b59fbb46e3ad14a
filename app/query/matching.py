"""Matching: from a message and an index to the skills that fit, best first, each with where and why."""

import math
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from app.query.patterns import Hit, Slot
from app.query.plan import BEST, Plan, Scored
from app.query.question import TELLING_CHARACTERS, MatchQuestion
from app.query.skill_index import Known, SkillDocument, SkillIndex, words_in
from app.skills.build_log import BuildLog
from app.skills.masking import mask
from app.skills.pattern import cleaned, is_plain_word, unmasked_weight, weight
from app.skills.ranking import Candidate, Kind, rank, score
from app.skills.reading import Place
from app.skills.words import with_code_words

WORDS = 12
"""The rarest words of a message that are looked for. More find hardly anything else (docs/decisions/0011)."""

_ALTERNATIVES = 64
"""Skills with one and the same pattern that are looked at: those that were used, and the newest."""

_MASKED_ALTERNATIVES = 8
"""The same for one signature, beside those that words find: they answer other values of the same error."""

_RECENT = 1_000
"""Among how many of the newest with one pattern those are sought that were used."""

_MORE = 5
"""Similar skills looked at beyond those asked for, so that confidence can decide among equals."""

_TELLING_SHARE = 0.18
"""How much of what a message says a similar skill must say too, at least."""

_TELLING_BITS = 0.5
"""How much of the weight of a word that hardly any skill has must agree, at least."""

_ALL_BUT = 0.9
"""How much of what a message says is enough, however little that is."""

_AGREEING = 1.2
"""What the same error type is worth to a similar skill."""

_SHOWN_WORDS = 6


class Span(NamedTuple):
    """Where something stands in the message as it was sent: characters `start` to `end`, beginning in line `line`."""

    line: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Match:
    """A skill that fits; `message[span.start:span.end]` is what of the message it fits."""

    known: Known
    kind: str
    score: float
    span: Span
    matched: str
    why: list[str]


class FoundMatches(NamedTuple):
    """Matches, best first; all skills that were considered; and what a new one must score at least to be one of them."""

    matches: list[Match]
    considered: list[Known]
    floor: float


@dataclass(frozen=True, slots=True)
class _Standing:
    """A candidate, and what is to be said of it."""

    candidate: Candidate
    known: Known
    place: Place | None
    agrees: bool


def find_matches(index: SkillIndex, question: MatchQuestion, hits: Sequence[Hit], plan: Plan) -> FoundMatches:
    """The skills that fit, best first, at most `question.limit`."""
    by_words = partial(index.words.best, plan, question.limit + _MORE, at_least=_least_telling(plan))
    # Before skills are read, if it will be needed: then it is known where they lie, for it finds most of them as well.
    is_open = sum(len(hit.slots) for hit in hits if hit.kind == "exact") < question.limit
    scored = by_words() if is_open else None
    standing = {each.known.slot: each for each in _standing(index, question, hits, "exact", _ALTERNATIVES)}
    telling = [each for each in standing.values() if not each.candidate.is_plain]
    floor = math.inf
    if len(telling) < question.limit:
        scored = by_words() if scored is None else scored
        floor = scored[-1].score if len(scored) == question.limit + _MORE else _least_telling(plan)
        masked = {hit.text: hit for hit in hits if hit.kind == "masked"}
        known_exactly = {text for text, hit in masked.items() if any(_is_known(hit, each) for each in telling)}
        others = [each for each in scored if each.slot not in standing]
        for each in _near(index, question, masked, known_exactly, plan, others):
            standing.setdefault(each.known.slot, each)
    ranked = list(standing.values())
    best = _best([ranked[place] for place in rank([each.candidate for each in ranked])], question.limit)
    forms = index.words.forms(question.telling, plan) if any(each.candidate.kind == "similar" for each in best) else {}
    matches = [_to_match(index, question, each, plan, forms) for each in best]
    return FoundMatches(matches, [each.known for each in ranked], floor)


def _best(ranked: Sequence[_Standing], limit: int) -> list[_Standing]:
    """The first of them; where plain words do not come so far, the best of these in place of the last that is similar."""
    best = list(ranked[:limit])
    plain = next((each for each in ranked[limit:] if each.candidate.is_plain), None)
    if plain and limit > 1 and best[-1].candidate.kind == "similar":
        best[-1] = plain
    return best


def _standing(
    index: SkillIndex, question: MatchQuestion, hits: Sequence[Hit], kind: Kind, most: int, but: Container[Slot] = ()
) -> Iterator[_Standing]:
    """The skills, `but` some, whose pattern stands in the message in this way, at most so many for one pattern."""
    for hit in hits:
        if hit.kind == kind:
            for slot in _few(index, hit.slots, most):
                if slot not in but and (known := index.get(slot)):
                    yield _stand(known, question, hit)


def _near(
    index: SkillIndex,
    question: MatchQuestion,
    masked: Mapping[str, Hit],
    known_exactly: Container[str],
    plan: Plan,
    scored: Sequence[Scored],
) -> Iterator[_Standing]:
    """Skills that say much of what the message says, and those whose pattern stands in it once both are masked.

    Of these not what is `known_exactly`: it need not also be answered by the same error with other names in it.
    """
    for each in scored:
        known = index.get(each.slot)
        if known is None:
            continue
        # Thousands may share a signature, such as that of a module that is missing: words find the best of them.
        pattern = known.document["pattern"]
        if masked and pattern is not None and (hit := masked.get(mask(cleaned(pattern)).text)):
            if hit.text not in known_exactly:
                yield _stand(known, question, hit)
            continue
        agrees = _agrees(known.document, question)
        share = each.score / BEST / _said(plan) * (_AGREEING if agrees else 1)
        yield _Standing(_similar(known, min(1.0, share)), known, None, agrees)
    unknown = [hit for text, hit in masked.items() if text not in known_exactly]
    yield from _standing(index, question, unknown, "masked", _MASKED_ALTERNATIVES, {each.slot for each in scored})


def _few(index: SkillIndex, slots: Sequence[Slot], most: int) -> Sequence[Slot]:
    """Some of the skills with one pattern: those that were used, and the newest."""
    if len(slots) <= most:
        return slots
    recent = slots[-_RECENT:]
    used = [slot for slot in recent if index.is_used(slot)][-most // 2 :]
    return list(dict.fromkeys([*used, *recent[-(most - len(used)) :]]))


def _stand(known: Known, question: MatchQuestion, hit: Hit) -> _Standing:
    skill = known.document
    agrees = _agrees(skill, question)
    exact = hit.kind == "exact"
    type_share = 0.5 if skill["error_type"] is None else float(agrees)
    candidate = Candidate(
        kind=hit.kind,
        is_plain=exact and not hit.is_alone and is_plain_word(hit.text),
        specificity=weight(hit.text) if exact else unmasked_weight(hit.text),
        words=type_share if exact else (3 * _shared_values(skill, question.log, hit.place) + type_share) / 4,
        confidence=skill["confidence"],
        newness=known.slot,
        group=hit.text,
    )
    return _Standing(candidate, known, hit.place, agrees)


def _similar(known: Known, share: float) -> Candidate:
    return Candidate(
        kind="similar",
        is_plain=False,
        specificity=0,
        words=share,
        confidence=known.document["confidence"],
        newness=known.slot,
        group=None,
    )


def _is_known(hit: Hit, exact: _Standing) -> bool:
    """Whether what stands there masked stands there exactly, or a part that says as much."""
    if exact.place is None or exact.candidate.specificity < unmasked_weight(hit.text):
        return False
    return _overlap(hit.place, exact.place)


def _overlap(one: Place, other: Place) -> bool:
    return (one.line, one.start) < (other.end_line, other.end) and (other.line, other.start) < (one.end_line, one.end)


def _said(plan: Plan) -> float:
    """The weight of all that the message says; a word that no skill has counts half."""
    return sum(weight for _, weight in plan.weights) + plan.unknown * plan.bits / 2


def _least_telling(plan: Plan) -> float:
    """The least score of a skill that is worth showing: a share of the message, and of what it takes to name one skill.

    What that finds, and what it spares, stands in docs/decisions/0011.
    """
    said = _said(plan)
    return BEST * min(max(_TELLING_BITS * plan.bits, _TELLING_SHARE * said), _ALL_BUT * said)


def _agrees(skill: SkillDocument, question: MatchQuestion) -> bool:
    kind = skill["error_type"]
    return kind is not None and (kind == question.error_type or kind in question.telling)


def _shared_values(skill: SkillDocument, log: BuildLog, place: Place) -> float:
    """How many of the values that were masked in the pattern stand in the message too, 0 to 1."""
    pattern = cleaned(skill["pattern"] or "")
    values = {pattern[cut.start : cut.end] for cut in mask(pattern).cuts}
    text = "\n".join(line.text for line in log.lines[place.line : place.end_line + 1])
    return sum(value in text for value in values) / len(values) if values else 1.0


def _telling_place(index: SkillIndex, question: MatchQuestion, weights: dict[str, int]) -> Place:
    """The line that says most of what the skill says too."""

    def told(line: int) -> int:
        text, body = question.log.lines[line]
        words = index.words.split(with_code_words(text[body : body + TELLING_CHARACTERS]))
        return sum(weights.get(word, 0) for word in words)

    line = max(question.telling_lines, key=told)
    text, body = question.log.lines[line]
    return Place(line, body, line, min(len(text), body + TELLING_CHARACTERS))


def _to_match(index: SkillIndex, question: MatchQuestion, each: _Standing, plan: Plan, forms: dict[str, str]) -> Match:
    why = []
    place = each.place
    if place is None:
        shared = index.words.shared(plan, words_in(each.known.document))
        weights = dict(plan.weights)
        place = _telling_place(index, question, {word: weights[word] for word in shared})
        written = dict.fromkeys(forms[word] for word in shared if word in forms)
        why.append(
            f"it shares the words {', '.join(list(written)[:_SHOWN_WORDS])}" if written else "it shares operators"
        )
    span = _span(question.log, place)
    if each.candidate.kind == "exact":
        why.append(f"its pattern stands in line {span.line}")
    elif each.candidate.kind == "masked":
        why.append(f"its pattern stands in line {span.line} but for numbers, paths, names and the like")
    if each.agrees:
        why.append(f"the error type is {each.known.document['error_type']}")
    why += _history(each.known.document)
    matched = question.log.sent[span.start : span.end]
    return Match(each.known, each.candidate.kind, score(each.candidate), span, matched, why)


def _history(skill: SkillDocument) -> Iterator[str]:
    if skill["usage_count"]:
        yield f"it worked {skill['success_count']} of {skill['usage_count']} times"
    if skill["captures"] > 1:
        yield f"it was captured {skill['captures']} times"


def _span(log: BuildLog, place: Place) -> Span:
    if place.end <= place.start and place.line == place.end_line:
        return Span(place.line + 1, 0, 0)
    start = log.span(place.line, place.start, place.start + 1)[0]
    return Span(place.line + 1, start, log.span(place.end_line, place.end - 1, place.end)[1])
