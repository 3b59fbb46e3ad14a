"""A log as patterns are looked for in it: where an anchor stands, what stands around it, as written and masked."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from typing import NamedTuple

from app.skills.build_log import BuildLog
from app.skills.masking import Masked, mask
from app.skills.pattern import Shape, to_masked, to_original
from app.skills.scripts import cuts_word

Ends = tuple[str, str]
"""The characters that texts of one shape begin with, and those that they end with."""

_AROUND = 16 * 1024
"""Characters of a very long line that are masked together; patterns have half as many at most."""


class Place(NamedTuple):
    """From a line and column of a log to a line and column, the end exclusive."""

    line: int
    start: int
    end_line: int
    end: int


class Reading:
    """One reading of one log; what was masked once is kept."""

    def __init__(self, log: BuildLog) -> None:
        self._lines = log.lines
        self.text = log.text
        self._starts = list(accumulate((len(line.text) + 1 for line in log.lines), initial=0))
        self._has_prefixes = any(line.body for line in log.lines)
        self._pieces: dict[tuple[int, int, bool], _Piece] = {}

    def exact(self, at: int, shapes: Mapping[Shape, Ends]) -> Iterator[tuple[Shape, str]]:
        """The texts of these shapes around the anchor at `at`, where there is room for them.

        Without those that plainly do not begin or end as their shape says.
        """
        text, size = self.text, len(self.text)
        for shape, (begins, ends) in shapes.items():
            _, lines, offset, length, whole_words = shape
            if lines > 1 and self._has_prefixes:
                block = self._block(at, shape, masked=False)
                if block and not (whole_words and block.cuts_words()):
                    yield shape, block.text
                continue
            start = at - offset
            end = start + length
            if start < 0 or end > size or text[start] not in begins or text[end - 1] not in ends:
                continue
            if not (whole_words and (cuts_word(text, start) or _cuts_end(text, end))):
                yield shape, text[start:end]

    def masked(self, at: int, shapes: Iterable[Shape]) -> Iterator[tuple[Shape, str]]:
        """The masked texts of these shapes around the anchor at `at`, where there are any."""
        text, anchor = None, None
        for shape in shapes:
            if shape.lines > 1:
                if block := self._block(at, shape, masked=True):
                    yield shape, block.text
                continue
            if text is None:
                text, anchor = self._masked_line(at)
            if anchor is None:
                continue
            start = anchor - shape.offset
            if start >= 0 and start + shape.length <= len(text):
                yield shape, text[start : start + shape.length]

    def exact_place(self, at: int, shape: Shape) -> Place:
        """Where `exact` found its text."""
        if shape.lines > 1 and self._has_prefixes:
            return self._place(at, shape, masked=False)
        start, end = at - shape.offset, at - shape.offset + shape.length
        line, end_line = self._line_of(start), self._line_of(end - 1)
        return Place(line, start - self._starts[line], end_line, end - self._starts[end_line])

    def masked_place(self, at: int, shape: Shape) -> Place:
        """Where `masked` found its text."""
        return self._place(at, shape, masked=True)

    def _line_of(self, at: int) -> int:
        return bisect_right(self._starts, at) - 1

    def _masked_line(self, at: int) -> tuple[str, int | None]:
        """The masked text of the line that has the anchor at `at`, and where the anchor is in it; None if it was masked."""
        line = self._line_of(at)
        column = at - self._starts[line]
        begins, view = self._piece(line, line, column, masked=True)
        return view.text, to_masked(view, column - begins)

    def _block(self, at: int, shape: Shape, *, masked: bool) -> "_Block | None":
        """The lines that a text of that shape would take, and where in them it would start."""
        line = self._line_of(at)
        first = line - shape.lines_before
        if first < 0 or first + shape.lines > len(self._lines):
            return None
        column = at - self._starts[line]
        pieces = [self._piece(each, first, masked=masked) for each in range(first, first + shape.lines) if each != line]
        pieces.insert(line - first, self._piece(line, first, column if shape.lines == 1 else None, masked=masked))
        anchor = to_masked(pieces[line - first].view, column - pieces[line - first].begins)
        if anchor is None:
            return None
        start = sum(len(piece.view.text) + 1 for piece in pieces[: line - first]) + anchor - shape.offset
        if start < 0:
            return None
        text = _cut_out(pieces, start, start + shape.length)
        return _Block(first, pieces, start, text) if len(text) == shape.length else None

    def _piece(self, line: int, first: int, column: int | None = None, *, masked: bool) -> "_Piece":
        """A line as one of several: only the first may have its prefix, for a pattern might begin in it.

        Of a very long line only what stands around `column`, if that is given.
        """
        text, body = self._lines[line]
        begins, ends = (0 if line == first else body), len(text)
        if column is not None and ends > 2 * _AROUND:
            begins, ends = _around(text, column - column % _AROUND)
        piece = self._pieces.get((line, begins, masked))
        if piece is None:
            view = mask(text[begins:ends]) if masked else Masked(text[begins:ends], ())
            piece = self._pieces[line, begins, masked] = _Piece(begins, view)
        return piece

    def _place(self, at: int, shape: Shape, *, masked: bool) -> Place:
        block = self._block(at, shape, masked=masked)
        assert block is not None
        line, start = block.find(block.start, is_end=False)
        end_line, end = block.find(block.start + len(block.text), is_end=True)
        return Place(line, start, end_line, end)


class _Piece(NamedTuple):
    """A line from column `begins` on, as written or masked."""

    begins: int
    view: Masked


class _Block(NamedTuple):
    """Lines from `first` on, and a text that starts in them at `start`."""

    first: int
    pieces: list[_Piece]
    start: int
    text: str

    def cuts_words(self) -> bool:
        """Whether a word goes on where the text begins or ends."""
        start, end = self.start, self.start + len(self.text)
        around = [_cut_out(self.pieces, max(0, at - 1), at + 1) for at in (start, end)]
        return cuts_word(around[0], min(start, 1)) or _cuts_end(around[1], 1)

    def find(self, at: int, *, is_end: bool) -> tuple[int, int]:
        """The line and the column of a place in the block."""
        for line, (begins, view) in enumerate(self.pieces, self.first):
            if at <= len(view.text):
                return line, begins + to_original(view, at, is_end=is_end)
            at -= len(view.text) + 1
        raise ValueError("the place is not in the block")


def _around(text: str, column: int) -> tuple[int, int]:
    """Where to cut a long line so that what stands `_AROUND` characters from a column on is in it, with as much beside."""
    begins, ends = max(0, column - _AROUND), min(len(text), column + 2 * _AROUND)
    blank = text.find(" ", begins, column)
    return begins and (blank + 1 or begins), ends


def _cuts_end(text: str, end: int) -> bool:
    """Whether a word goes on behind `end`. Digits behind a letter do not count: `error TS` stands in `error TS2304`."""
    return cuts_word(text, end) and not (text[end].isdigit() and not text[end - 1].isdigit())


def _cut_out(pieces: list[_Piece], start: int, end: int) -> str:
    """`"\n".join(…)[start:end]`, without making the whole of what may be very long lines."""
    found = []
    for piece in pieces:
        text = piece.view.text
        if start <= len(text) and end >= 0:  # else it lies wholly before or behind
            found.append(text[max(start, 0) : end])
        start, end = start - len(text) - 1, end - len(text) - 1
    return "\n".join(found)
