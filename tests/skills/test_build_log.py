"""Build logs: read as a terminal would show them, and traced back to what was sent."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.skills.build_log import read_log
from app.skills.failure_lines import failure_lines


def bodies(sent: str) -> list[str]:
    return [line.text[line.body :] for line in read_log(sent).lines]


@pytest.mark.parametrize(
    ("line", "body"),
    [
        ("2024-01-02T10:00:00.1234567Z text", "text"),
        ("2024-01-02 10:00:00,123 text", "text"),
        ("[2024-01-02T10:00:00+00:00] text", "text"),
        ("2024-01-02T10:00:00.123456Z 00O text", "text"),
        ("[10:00:00] text", "text"),
        ("10:00:00 text", "text"),
        ("Jan  2 10:00:00 runner app[12]: text", "text"),
        ("##[error]text", "text"),
        ("2024-01-02T10:00:00Z ##[group]text", "text"),
        ("::error file=a.py,line=1::text", "text"),
        ("section_start:123:build[collapsed=true]\r\x1b[0Ktext", "text"),
        ("section_start:123:build text", "text"),
        ("service-1  | text", "text"),
        ("service-1  | 2024-01-02T10:00:00Z text", "text"),
        ("#12 3.456 text", "text"),
        ("#12 text", "text"),
        ("pod/web-1: text", "text"),
        ("[pod/web-1/app] text", "text"),
        ("INFO text", "INFO text"),
        ("#include <a.h>", "#include <a.h>"),
        ("src/a.py:12: text", "src/a.py:12: text"),
    ],
)
def test_body_begins_behind_the_prefix(line: str, body: str) -> None:
    assert bodies(f"{line}\n{line}") == [body, body]


def test_message_of_one_line_has_no_prefix() -> None:
    assert bodies("service-1 | text\n") == ["service-1 | text"]


@pytest.mark.parametrize(
    ("sent", "texts"),
    [
        ("", [""]),
        ("a", ["a"]),
        ("a\n", ["a"]),
        ("a\n\nb\r\nc", ["a", "", "b", "c"]),
        ("10%\r50%\r100%\nb", ["100%", "b"]),
        ("a\r\r\nb\r", ["a", "b"]),
        ("\x1b[1;31mred\x1b[0m \t  \x1b[Kand\x00 more \n", ["red and more"]),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x07 \x1b(Bx\x9b1mz", ["link xz"]),
        ("\x1b]never ends", ["never ends"]),
        ("\ufeffa\xa0\x0bb", ["a b"]),
        ("\x1b[0m  \n a ", ["", "a"]),
    ],
)
def test_lines_are_what_a_terminal_shows(sent: str, texts: list[str]) -> None:
    assert [line.text for line in read_log(sent).lines] == texts


CODES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|\x00")
LOGS = st.lists(
    st.sampled_from(
        [
            *("error", "word", "é", "12:00:00", "a|", "#1", "##[error]"),
            " ",
            "  ",
            "\t",
            "\n",
            "\r\n",
            "\r",
            "\x1b[31m",
            "\x1b[0K",
            "\x00",
        ]
    )
).map("".join)


@given(LOGS)
def test_span_points_at_what_was_sent(sent: str) -> None:
    log = read_log(sent)
    for index, line in enumerate(log.lines):
        for word in re.finditer(r"[^ ]+", line.text):
            start, end = log.span(index, *word.span())
            assert CODES.sub("", sent[start:end]) == word.group()
        start, end = log.span(index, 0, len(line.text))
        assert " ".join(CODES.sub("", sent[start:end]).split()) == line.text


@given(st.text() | LOGS)
def test_every_log_is_read(sent: str) -> None:
    log = read_log(sent)
    assert log.sent == sent
    assert len(log.lines) == max(1, sent.count("\n") + (not sent.endswith("\n")))
    for line in log.lines:
        assert 0 <= line.body <= len(line.text)
        assert line.text == line.text.strip(" ")
        assert "  " not in line.text
    assert all(0 <= index < len(log.lines) for index in failure_lines(log))


def test_span_of_the_blank_between_two_words() -> None:
    log = read_log("first\nan \x1b[31m error: here\r\n")
    assert log.span(1, 2, 3) == (8, 9)
    assert log.span(1, 0, 3) == (6, 9)
    assert log.span(1, 3, 3) == (15, 15)


HOSTILE = [
    *(
        "a",
        "\n",
        "\x1b[31m",
        "\x1b",
        "\x1b]",
        "\x1b[",
        "a\n",
        "\r",
        "\r\n",
        "a\r",
        "\t",
        " ",
        "error\n",
        "error: x ",
        "a|",
        "[",
        "#1 ",
    ),
    *(
        "section_start:1:a[",
        "::error ",
        "\x1b]a\x07",
        "\x9b",
        "10:00:00 ",
        "a | ",
        "\x00",
        "make: *** ",
        "0 errors ",
        "FAILED\n \n",
    ),
]


@pytest.mark.parametrize("unit", HOSTILE)
def test_reading_takes_time_in_proportion_to_the_length(unit: str) -> None:
    sent = unit * ((1 << 20) // len(unit))
    start = time.process_time()
    log = read_log(sent)
    failure_lines(log)
    log.span(len(log.lines) - 1, 0, 1)
    assert time.process_time() - start < 1.5  # measured 0.02 to 0.4
