"""A CI log as it was sent, made readable for matching: lines without escape codes, and where each one's own text begins.

A line is what a terminal would show: escape sequences and control characters are gone, what stands before the last
carriage return was overwritten, runs of blanks are one space, and none is at the ends.

Invariants: time grows with the length of the log, whatever it holds. Every visible character of a line can be traced
to where it was sent (`BuildLog.span`).
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import accumulate
from typing import NamedTuple

from app.skills.lazily import lazily
from app.skills.regex import compile_possessive

_PIECE_CHARACTERS = 64 * 1024


class Line(NamedTuple):
    """A line as it reads; `text[body:]` is its own text, behind time stamps and what a runner puts before it."""

    text: str
    body: int


class BuildLog:
    """A log as it was sent, and its lines as they read; `text` is all of them."""

    def __init__(self, sent: str, lines: list[Line], text: str) -> None:
        self.sent = sent
        self.lines = lines
        self.text = text
        self._sources: dict[int, _Source] = {}

    def span(self, line: int, start: int, end: int) -> tuple[int, int]:
        """Columns `[start:end]` of `lines[line].text` as offsets in `sent`.

        The line is read again, once: this is for the few places that an answer points at.
        """
        source = self._sources.get(line)
        if source is None:
            source = self._sources[line] = self._source(line)
        first = bisect_right(source.columns, start) - 1
        last = bisect_left(source.columns, end) - 1
        if first < 0 or last < first or start >= end:
            begin = source.offset(first, start) if first >= 0 else source.begin
            return begin, begin
        return source.offset(first, start), source.offset(last, end)

    def _source(self, line: int) -> "_Source":
        begin = self._begins[line]
        end = self.sent.find("\n", begin)
        raw = self.sent[begin : end if end >= 0 else None]
        if raw.strip(" ") == self.lines[line].text:
            return _Source(begin, [0], [len(raw) - len(raw.lstrip(" "))])
        pieces = list(_visible_pieces(raw, _shown(raw)[0]))
        return _Source(begin, [column for column, _, _ in pieces], [offset for _, offset, _ in pieces])

    @lazily
    def _begins(self) -> list[int]:
        """Where each line begins in `sent`."""
        return list(accumulate((len(raw) + 1 for raw in self.sent.split("\n")), initial=0))


class _Source(NamedTuple):
    """Where a line's text comes from: pieces, each from a column of the text on, and where it was sent."""

    begin: int
    columns: list[int]
    offsets: list[int]

    def offset(self, piece: int, column: int) -> int:
        return self.begin + self.offsets[piece] + column - self.columns[piece]


def read_log(sent: str) -> BuildLog:
    """The lines of a log or of a single message; a newline at the end begins no line."""
    text = _readable(sent)
    if sent.endswith("\n"):
        text = text[:-1]
    texts = text.split("\n")
    if len(texts) == 1:
        return BuildLog(sent, [Line(text, 0)], text)
    body_of = _PREFIX.match
    known = {each: _new(Line, (each, m.end() if (m := body_of(each)) else 0)) for each in dict.fromkeys(texts)}
    return BuildLog(sent, [known[each] for each in texts], text)


def _readable(sent: str) -> str:
    # Each step goes over the whole text at the speed of C, and most logs need few of them.
    text = sent.replace("\r\n", "\n") if "\r" in sent else sent
    if "\r" in text:
        text = "\n".join(_overwritten(raw) for raw in text.split("\n"))
    if any(map(text.__contains__, _CONTROLS)):
        text = text.translate(_GONE)
    if any(map(text.__contains__, _SEQUENCE_MARKS)):
        text = "".join([_UNSEEN.sub("", piece) for piece in _pieces(text)])
    for blank in "\t\x0b\x0c\xa0":
        text = text.replace(blank, " ")
    if "  " in text:
        text = _BLANK_RUN.sub(" ", text)
    return text.replace(" \n", "\n").replace("\n ", "\n").strip(" ")


_new = tuple.__new__  # 0.2 µs; `Line(…)` costs 0.4, and there is one to each line

_CONTROL = r"\x00-\x08\x0e-\x1f\x7f-\x9f\ufeff"
_BLANKS = r"\t\x0b\x0c \xa0"
_UNSEEN_PIECE = (
    rf"[{_CONTROL}]\x1b*+(?:(?<=\x1b)(?:"
    r"\[[0-?]*+[ -/]*+[@-~]?+"  # colours, cursor
    r"|[\]PX^_][^\x07\x1b\n]*+(?:\x07|\x1b\\)"  # titles, links
    r"|[ -/]++[0-~]|[0-Z\\-~])"
    r"|(?<=\x9b)[0-?]*+[ -/]*+[@-~]?+)?+"
)
_CONTROLS = (*map(chr, (0x1B, *range(9), *range(0x0E, 0x1B), *range(0x1C, 0x20), *range(0x7F, 0xA0))), "\ufeff")
"""Sixty searches for one character take 2 ms a MiB, one for their class 8 ms."""
_SEQUENCE_MARKS = ("\x1b", "\x9b", "\x07")
_GONE = {ord(control): None for control in _CONTROLS if control not in _SEQUENCE_MARKS}
_UNSEEN = compile_possessive(_UNSEEN_PIECE)
_BLANK_RUN = re.compile("  [ ]*+")
_PIECE = compile_possessive(rf"(?:{_UNSEEN_PIECE}|\r)++|([{_BLANKS}]++)|([^{_CONTROL}{_BLANKS}\r]++)")


def _shown(raw: str) -> tuple[int, int]:
    """What of a line stands behind the last carriage return but those at its end."""
    end = len(raw.rstrip("\r"))
    return raw.rfind("\r", 0, end) + 1, end


def _pieces(text: str) -> Iterator[str]:
    """The text in pieces that no escape sequence goes across: while one is looked at nobody else has a turn."""
    start = 0
    while start < len(text):
        end = start + _PIECE_CHARACTERS
        if end < len(text):
            found = max(text.rfind("\n", start + 1, end), text.rfind("\x1b", start + 1, end))
            end = found if found > 0 else end
        yield text[start:end]
        start = end


def _overwritten(raw: str) -> str:
    if "\r" not in raw:
        return raw
    start, end = _shown(raw)
    return raw[start:end]


def _visible_pieces(raw: str, start: int) -> Iterator[tuple[int, int, int]]:
    """Where a line's text comes from: column, offset and length, without a hole in the columns."""
    column = 0
    blank: int | None = None
    for match in _PIECE.finditer(raw, start):
        if match.lastindex == 1:
            blank = match.start() if blank is None else blank
        elif match.lastindex == 2:
            if blank is not None and column:
                yield column, blank, 1
                column += 1
            blank = None
            yield column, match.start(), match.end() - match.start()
            column += match.end() - match.start()


_MONTH = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_CLOCK = r"\d\d:\d\d:\d\d(?:[.,]\d{1,9}+)?+"
_STAMP = (
    rf"\[?\d{{4}}[-/]\d\d[-/]\d\d[T ]{_CLOCK}(?: ?(?:Z|[+-]\d\d:?\d\d|UTC))?+\]?+(?: \d\d[OE]\+?)?+(?: |$)"
    rf"|\[?{_CLOCK}(?: [AP]M)?+\]?+ "
    rf"|{_MONTH} \d{{1,2}} {_CLOCK} (?:[\w.-]++ [\w./-]++(?:\[\d++\])?+: )?+"
)
_MARK = (
    r"section_(?:start|end):\d++:[\w.-]++(?:\[[^\]]*+\])?+ ?"  # GitLab
    r"|##\[[a-z-]++\] ?"  # GitHub, Azure
    r"|::(?:error|warning|notice|debug|group|endgroup)(?: [^:]*+)?+:: ?"
)
_SOURCE = (
    r"[A-Za-z][\w.-]*+ \| "  # docker compose
    r"|#\d++ (?:\d++\.\d++ )?+"  # buildkit
    r"|\[?(?:pod|deployment|job|statefulset|daemonset)/[\w./-]++(?:\]|:) "  # kubectl logs --prefix
)
_MARKED = rf"(?:(?=[\[\d#:JFMASOND]|section_)(?:{_STAMP}|{_MARK}))*+"
_PREFIX = compile_possessive(rf"(?=[\[\d#:spdjA-Z]|[\w.-]++ \|){_MARKED}(?:(?:{_SOURCE}){_MARKED})?+")
