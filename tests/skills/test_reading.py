"""Readings: what stands around an anchor, as written and masked, and where that was sent."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.skills.build_log import BuildLog, read_log
from app.skills.masking import mask
from app.skills.pattern import read_pattern
from app.skills.reading import Place, Reading

words = st.sampled_from(
    ["connection", "to", "10.0.0.7:5432", "refused", "after", "30.2s", "'django'", "E0308", "/a/b.py"]
)
lines = st.lists(words, min_size=1, max_size=6).map(" ".join)
prefixes = st.sampled_from(["", "2026-01-01T00:00:01Z ", "[10:00:01] ", "\x1b[31m", "  ", "old text\r"])
ends = st.sampled_from(["", "\x1b[0m", "  ", "\r"])


def exact(message: str, pattern: str) -> list[tuple[str, str]]:
    """Each way in which the pattern stands in the message as written: what was found, and what was sent there."""
    return _found(message, pattern, masked=False)


def masked(message: str, pattern: str) -> list[tuple[str, str]]:
    """The same once both are masked."""
    return _found(message, pattern, masked=True)


def _found(message: str, text: str, *, masked: bool) -> list[tuple[str, str]]:
    log, pattern = read_log(message), read_pattern(text)
    reading = Reading(log)
    shape, wanted = (pattern.masked, pattern.signature) if masked else (pattern.exact, pattern.text)
    assert shape is not None
    assert pattern.anchor is not None
    place = reading.masked_place if masked else reading.exact_place
    found = []
    at = reading.text.find(pattern.anchor)
    while at >= 0:
        stands = reading.masked(at, [shape]) if masked else reading.exact(at, {shape: (wanted[0], wanted[-1])})
        if (shape, wanted) in stands:
            found.append((wanted, sent(log, place(at, shape))))
        at = reading.text.find(pattern.anchor, at + 1)
    return found


def sent(log: BuildLog, place: Place) -> str:
    """What stands at a place in the message as it was sent."""
    start, _ = log.span(place.line, place.start, place.start + 1)
    _, end = log.span(place.end_line, place.end - 1, place.end)
    return log.sent[start:end]


@pytest.mark.parametrize(
    ("message", "found"),
    [
        ("No module named 'flask'", "No module named 'flask'"),
        ("ImportError: No module named 'flask'!", "No module named 'flask'"),
        ("No \x1b[31mmodule\x1b[0m named 'flask'", "No \x1b[31mmodule\x1b[0m named 'flask'"),
        ("a\n2026-01-01T00:00:01Z No  module named 'flask'\nb", "No  module named 'flask'"),
        ("50%\rNo module named 'flask'\r\n", "No module named 'flask'"),
    ],
)
def test_exact_text_stands_where_it_was_sent(message: str, found: str) -> None:
    assert exact(message, "No module named 'flask'") == [("No module named 'flask'", found)]


def test_exact_text_is_found_as_often_as_it_stands() -> None:
    assert len(exact("abc abcdefgh\nabcdefgh abcdefgh", "abcdefgh")) == 3


@pytest.mark.parametrize("message", ["error[E03081]", "xE0308", "E0308é"])
def test_short_text_that_letters_touch_is_not_found(message: str) -> None:
    assert exact(message, "E0308") == []


@pytest.mark.parametrize("message", ["E0308", "error[E0308]", "a E0308 b", "\nE0308\n", "_E0308_"])
def test_short_text_that_stands_alone_is_found(message: str) -> None:
    assert len(exact(message, "E0308")) == 1


@pytest.mark.parametrize(
    ("message", "pattern"),
    [
        ("a.ts(1,2): error TS2304: no", "error TS"),
        ("GET / HTTP/1.1 404 Not Found", "404"),
        ("错误：无法打开文件", "无法打开"),
        ("连接超时。", "超时"),
        ("发生OOM错误", "OOM"),
    ],
)
def test_short_text_is_found_where_it_cuts_no_word(message: str, pattern: str) -> None:
    assert len(exact(message, pattern)) == 1


@pytest.mark.parametrize(
    ("message", "pattern"),
    [("killed by SIGSEGV", "(SIG"), ("1404", "404"), ("404ms", "404"), ("baaab", "aaa"), ("exit 137", "exit 1")],
)
def test_short_text_is_not_found_where_it_cuts_a_word(message: str, pattern: str) -> None:
    assert exact(message, pattern) == []


@pytest.mark.parametrize("stamp", ["", "2026-01-01T00:00:01Z "])
def test_short_text_of_several_lines_that_letters_touch_is_not_found(stamp: str) -> None:
    for message in ("xfoo\nbar", "foo\nbarx", "foo\nbarr"):
        assert exact(stamp + message.replace("\n", f"\n{stamp}"), "foo\nbar") == []
    assert len(exact(f"{stamp}foo\n{stamp}bar rx", "foo\nbar")) == 1


@pytest.mark.parametrize("stamp", ["", "2026-01-01T00:00:01Z "])
def test_text_of_several_lines_is_found_behind_time_stamps(stamp: str) -> None:
    ((_, found),) = exact(f"x\n{stamp}> first line\n{stamp}second line <", "first line\nsecond line")
    assert found == f"first line\n{stamp}second line"


@pytest.mark.parametrize("stamp", ["", "2026-01-01T00:00:01Z "])
def test_masked_text_of_several_lines_is_found_behind_time_stamps(stamp: str) -> None:
    ((_, found),) = masked(f"x\n{stamp}> first line 7\n{stamp}second line 99 <", "first line 1\nsecond line 2")
    assert found == f"first line 7\n{stamp}second line 99"


def test_masked_text_is_traced_back_to_all_that_was_masked() -> None:
    ((_, found),) = masked(
        "E: connection to 10.9.9.9:80 refused after 1.5s.", "connection to 10.0.0.7:5432 refused after 30s"
    )
    assert found == "connection to 10.9.9.9:80 refused after 1.5s"


def test_masked_text_that_begins_with_a_placeholder_is_traced_back() -> None:
    ((_, found),) = masked("at 10.9.9.9:80 connection refused", "10.0.0.7:5432 connection refused")
    assert found == "10.9.9.9:80 connection refused"


def test_anchor_that_is_masked_in_the_message_finds_nothing() -> None:
    assert masked("in 'connection refused by' 7", "connection refused by 7") == []


@pytest.mark.parametrize(
    ("message", "pattern"),
    [
        ("connection refused", "connection refused by 10.0.0.7"),
        ("refused by 10.0.0.7", "connection refused by 10.0.0.7"),
        ("connection refused\nby", "connection refused\nby 10.0.0.7"),
        ("connection refused", "connection refused\nby 10.0.0.7"),
        ("by 10.0.0.7", "connection refused\nby the other 10.0.0.7"),
        ("2026-01-01T00:00:01Z connection refused\n2026-01-01T00:00:02Z by", "connection refused\nby 10.0.0.7"),
    ],
)
def test_shape_longer_than_the_rest_of_the_text_finds_nothing(message: str, pattern: str) -> None:
    read = read_pattern(pattern)
    assert read.anchor is not None
    assert read.exact is not None
    assert read.masked is not None
    # Wherever the anchor could be, for a message that has only a part of the pattern may lack it.
    reading = Reading(read_log(message))
    for at in range(len(reading.text)):
        assert (read.exact, read.text) not in reading.exact(at, {read.exact: (read.text[0], read.text[-1])})
        assert (read.masked, read.signature) not in reading.masked(at, [read.masked])


@given(st.lists(st.tuples(prefixes, lines, ends), min_size=1, max_size=4), st.data())
def test_span_of_an_exact_text_contains_it(written: list[tuple[str, str, str]], data: st.DataObject) -> None:
    message = "\n".join(map("".join, written))
    log = read_log(message)
    line = data.draw(st.sampled_from(log.lines))
    pattern = read_pattern(line.text[line.body :])
    if pattern.exact is not None:
        found = exact(message, pattern.text)
        assert found
        assert all(" ".join(line.text for line in read_log(where).lines) == text for text, where in found)


@given(st.lists(st.tuples(prefixes, lines, ends), min_size=1, max_size=4), st.data())
def test_span_of_a_masked_text_contains_it(written: list[tuple[str, str, str]], data: st.DataObject) -> None:
    message = "\n".join(map("".join, written))
    log = read_log(message)
    line = data.draw(st.sampled_from(log.lines))
    pattern = read_pattern(line.text[line.body :])
    if pattern.masked is not None:
        found = masked(message, pattern.text)
        assert found
        assert all(mask(read_log(where).lines[0].text).text == text for text, where in found)


@given(st.lists(st.tuples(prefixes, lines, ends), min_size=2, max_size=4))
def test_span_of_several_lines_reads_as_they_do(written: list[tuple[str, str, str]]) -> None:
    message = "\n".join(map("".join, written))
    pattern = read_pattern(message)
    if pattern.exact is not None and "\n" in pattern.text:
        text, where = exact(message, pattern.text)[0]
        assert read_pattern(where).text == text


def test_time_grows_with_the_length_of_a_line_behind_a_time_stamp() -> None:
    pattern = read_pattern("first line\nthe second line of it 12")

    def seconds(anchors: int) -> float:
        message = f"2026-01-01T00:00:01Z x\n2026-01-01T00:00:02Z {'the second line of it ' * anchors}"
        started = time.process_time()
        assert masked(message, pattern.text) == []
        return time.process_time() - started

    assert seconds(16_000) < 10 * seconds(4_000)  # four times the work, and ample room
