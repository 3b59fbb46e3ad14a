"""Which lines of a log carry the failure."""

import re
from collections import defaultdict
from collections.abc import Iterator

from ahocorasick_rs import AhoCorasick

from app.skills.build_log import BuildLog, Line

MAX_FAILURE_LINES = 40
LAST_SCREEN = 25

_LINES_TO_A_HINT = 100
_HINTS = (
    *("error", "exception", "fail", "fatal", "panic", "caused by", "assert", "npm err!", "segmentation", "undefined"),
    *("abort", "killed", "denied", "not found", "no such", "cannot", "could not", "unable", "refused", "timed out"),
    *("exit status", "exit code", "exited with", "make: ***", "]: ***", "out of memory", "no space left", "unresolved"),
)
_FIND_HINTS = AhoCorasick(_HINTS)
_LONGEST_HINT = max(map(len, _HINTS))
_PIECE_CHARACTERS = 64 * 1024
_SHORT = 4_096
"""Characters in which each hint is sought by itself; in more, one pass for all takes 3 ms a MiB, one for each 15."""
_MANY_HINTS = 5_000
_NO_FAILURE = re.compile(
    r"\b(?:0|no|zero|without(?: any)?) (?:\w++ )?(?:errors?|failures?|failed|fail|exceptions?)\b"
    r"|\b(?:errors?|failures?|failed|fail)\b(?: ?[:=] ?|_count=| )(?:0|none|false|null)\b"
    r"|\bexit(?:ed with)? (?:code|status):? 0\b",
    re.IGNORECASE,
)
_PASSED = re.compile(r"\bPASS(?:ED)?\b|^(?:ok|[✓✔√])|\.\.\. ok$")  # what test runners print
_SIGNS = tuple(
    re.compile(sign)
    for sign in (
        # A cause with its text.
        r"^(?:E )?(?:[\w$]+[.:]+)*[A-Z]\w*(?:Error|Exception|Interrupt|Failure|Exit|Fault)(?:: .|$)"
        r"|\bCaused by: |\bpanicked at |\bpanic: |^Exception in thread |\berror\[E\d+\]|\b[Ff]atal error: |^fatal: "
        r"|\bundefined reference to |\bSegmentation fault|\berror TS\d+: |\bUncaught |\bAssertion .*failed|: error: "
        r"|^error: (?!could not compile|aborting|process )|\bOut ?[Oo]f ?[Mm]emory|\bNo space left on device",
        # Something failed.
        r"\b(?:error|ERROR|Error|Exception|fatal|FATAL|panic|PANIC|CRITICAL)\b ?[:\]\[({>]"
        r"|^(?:ERROR|FATAL|FAILED|FAIL)\b"
        r"|\bnpm (?:ERR!|error) (?:code|(?!A complete log))|--- FAIL:|\bERROR\b|\bFAILED\b|\bAssertionError\b|\bERR_[A-Z]"
        r"|^E \S|^assert |\b\w+(?:Error|Exception)\b",
        # Words that failures are told in.
        r"(?i:\b(?:errors?|exception|fail(?:ed|ure|s)?|fatal|panic|cannot|could not|unable to|denied|not found|no such"
        r"|undefined|unresolved|refused|timed out|killed|abort(?:ed|ing)?|asserti?o?n?)\b)",
        # Closing words.
        r"\S",
    )
)
_CLOSING_WORDS = re.compile(
    r"(?i)process completed with exit code|\bexit(?:ed)?(?: with)? (?:status|code)|\bmake(?:\[\d+\])?: \*\*\*"
    r"|complete log of this run|\bcould not compile\b|\baborting due to|^FAILED \(|\bjob failed\b|\bbuild failed\b"
    r"|^\W*\d+ (?:failed|errors?)\b|lifecycle"
)


def failure_lines(log: BuildLog) -> list[int]:
    """Indexes of the lines that carry the failure, most telling first; each body once, at most `MAX_FAILURE_LINES`.

    What names a cause (the last line of a traceback, a panic, a compiler's error) goes before what only says that
    something failed, that before the tools' closing words (`exit code 1`), and the end of the log comes last.
    """
    ranked: dict[str, tuple[int, int]] = {}
    for index in _hinted(log.text.lower()):
        body = _body(log.lines[index])
        folded = body.casefold()
        if folded not in ranked and (rank := _rank(body)) is not None:
            ranked[folded] = rank, index
    for index in range(len(log.lines) - 1, max(-1, len(log.lines) - 1 - LAST_SCREEN), -1):
        if body := _body(log.lines[index]):
            ranked.setdefault(body.casefold(), (len(_SIGNS), -index))
    return [abs(index) for _, index in sorted(ranked.values())[:MAX_FAILURE_LINES]]


def _body(line: Line) -> str:
    """As much of a line's own text as is looked at."""
    return line.text[line.body : line.body + 1_000]


def _hinted(text: str) -> list[int]:
    """The lines that may carry a failure: those where a hint stands, of very many the first and the last."""
    hits = _few_hits(text)
    if hits is None:
        hits = [(position, hint) for hint, sought in enumerate(_HINTS) for position in _positions(text, sought)]
    lines: defaultdict[int, dict[int, None]] = defaultdict(dict)
    line = done = 0
    for position, hint in sorted(hits):
        line += text.count("\n", done, position)
        done = position
        lines[hint][line] = None
    each = map(list, lines.values())
    return sorted({line for found in each for line in (*found[:_LINES_TO_A_HINT], *found[-_LINES_TO_A_HINT:])})


def _few_hits(text: str) -> list[tuple[int, int]] | None:
    """Where hints stand, by number; None for a text in which each is sought faster by itself: short, or full of them."""
    if len(text) < _SHORT:
        return None
    hits: dict[tuple[int, int], None] = {}
    for begin in range(0, len(text), _PIECE_CHARACTERS):
        piece = text[begin : begin + _PIECE_CHARACTERS + _LONGEST_HINT - 1]
        found = _FIND_HINTS.find_matches_as_indexes(piece, overlapping=True)
        hits.update(((begin + at, hint), None) for hint, at, _ in found)
        if len(hits) > _MANY_HINTS:
            return None
    return list(hits)


def _positions(text: str, hint: str) -> Iterator[int]:
    """Where `hint` stands, once a line; the first and the last `_LINES_TO_A_HINT`, which may be the same."""
    found = 0
    position = text.find(hint)
    while position >= 0:
        yield position
        found += 1
        line_end = text.find("\n", position)
        if line_end < 0:
            return
        if found == _LINES_TO_A_HINT:
            break
        position = text.find(hint, line_end)
    if found < _LINES_TO_A_HINT:
        return
    position = text.rfind(hint)
    for _ in range(_LINES_TO_A_HINT):
        yield position
        position = text.rfind(hint, 0, max(0, text.rfind("\n", 0, position)))
        if position < 0:
            return


def _rank(body: str) -> int | None:
    """0 for the most telling; None if the line tells of no failure."""
    rest = _NO_FAILURE.sub("", body)
    lowered = rest.lower()
    if _PASSED.search(rest) or not any(hint in lowered for hint in _HINTS):
        return None
    if _CLOSING_WORDS.search(rest):
        return len(_SIGNS) - 1
    return next(rank for rank, sign in enumerate(_SIGNS) if sign.search(rest))
