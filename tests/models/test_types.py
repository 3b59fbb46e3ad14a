"""What text, names, tags and metadata may be: clean, in NFC, within their lengths, and never cut off."""

import unicodedata
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from app.models.types import AgentName, Metadata, Name, Tags, clean, iso, text

any_text = st.text(st.characters(codec=None, categories=None))
metadata = TypeAdapter(Metadata)


def nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels - 1):
        value = {"in": value}
    return value


@given(any_text)
def test_clean_text_is_normal_free_of_control_characters_or_refused(raw: str) -> None:
    try:
        cleaned = clean(raw)
    except ValueError:
        return
    assert cleaned == unicodedata.normalize("NFC", raw)
    assert {c for c in cleaned if unicodedata.category(c) in ("Cc", "Cs")} <= {"\t", "\r", "\n"}


@given(st.text())
def test_clean_text_stays_as_it_is(raw: str) -> None:
    try:
        cleaned = clean(raw)
    except ValueError:
        return
    assert clean(cleaned) == cleaned


@pytest.mark.parametrize("character", [chr(c) for c in (*range(9), 11, 12, *range(14, 32), *range(127, 160))])
def test_clean_text_refuses_each_control_character_but_tab_cr_and_lf(character: str) -> None:
    with pytest.raises(ValueError, match=f"U\\+{ord(character):04X} at character 1"):
        clean(f"a{character}b")


@pytest.mark.parametrize("lone", ["\ud800", "a\ud83d", "é\udc00"])
def test_clean_text_refuses_lone_surrogates(lone: str) -> None:
    with pytest.raises(ValueError, match="lone surrogate"):
        clean(lone)


def test_clean_text_keeps_tab_cr_lf_and_line_separators() -> None:
    assert clean("a\tb\r\nc\u2028d\u00a0e") == "a\tb\r\nc\u2028d\u00a0e"


def test_length_is_counted_in_characters_after_nfc() -> None:
    assert text(1)("e\u0301") == "é"  # two as sent, one as kept
    assert text(1)("😀") == "😀"  # two UTF-16 units, four bytes
    with pytest.raises(ValueError, match="has 2 characters; at most 1"):
        text(1)("\u0958")  # one as sent, but NFC writes it as two


@pytest.mark.parametrize("blank", ["", " ", "\n\t", "\u00a0\u2003"])
def test_blank_text_is_refused(blank: str) -> None:
    with pytest.raises(ValueError, match="blank"):
        text(10)(blank)


@given(st.integers(1, 50), st.integers(0, 60))
def test_text_is_taken_whole_or_refused(most: int, length: int) -> None:
    try:
        assert text(most)("x" * length) == "x" * length
        assert 0 < length <= most
    except ValueError:
        assert length == 0 or length > most


@pytest.mark.parametrize("name", ["a", "0", "no-module", "a" * 64, "e0308-mismatched-types"])
def test_slug_is_a_name(name: str) -> None:
    assert TypeAdapter(Name).validate_python(name) == name


@pytest.mark.parametrize("name", ["", "A", "a_b", "-a", "a-", "a--b", "a b", "é", "a\n", "a" * 65])
def test_other_text_is_no_name(name: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Name).validate_python(name)


@pytest.mark.parametrize("name", ["a", "A.b_c:d@e/f-g", "x" * 128])
def test_agent_may_be_named_with_any_of_its_characters(name: str) -> None:
    assert TypeAdapter(AgentName).validate_python(name) == name


@pytest.mark.parametrize("name", ["", "a b", "a\n", "a\r\nX: y", "é", "a\0", "x" * 129, "<b>", "a;b"])
def test_agent_cannot_be_named_with_others(name: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(AgentName).validate_python(name)


def test_tags_are_kept_once_in_order() -> None:
    assert TypeAdapter(Tags).validate_python(["b", "a", "b", "e\u0301", "é"]) == ["b", "a", "é"]


def test_tags_are_counted_after_doubles_are_gone() -> None:
    sixteen = [str(n) for n in range(16)]
    assert TypeAdapter(Tags).validate_python(sixteen * 2) == sixteen
    with pytest.raises(ValidationError, match="at most 16"):
        TypeAdapter(Tags).validate_python([*sixteen, "more"])


def test_metadata_may_be_32_levels_deep() -> None:
    assert metadata.validate_python(nested(32)) == nested(32)
    with pytest.raises(ValidationError, match="nested deeper than 32"):
        metadata.validate_python(nested(33))


def test_metadata_depth_counts_arrays_too() -> None:
    value: Any = []
    for _ in range(32):
        value = [value]
    with pytest.raises(ValidationError, match="nested deeper"):
        metadata.validate_python({"in": value})


def test_metadata_may_have_16_kib_as_json() -> None:
    most = 16 * 1024 - len(orjson.dumps({"n": ""}))
    assert metadata.validate_python({"n": "x" * most})
    with pytest.raises(ValidationError, match="has 16385 bytes"):
        metadata.validate_python({"n": "x" * (most + 1)})


def test_metadata_is_measured_in_bytes() -> None:
    with pytest.raises(ValidationError, match="bytes as JSON"):
        metadata.validate_python({"n": "é" * 9_000})


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_metadata_refuses_numbers_that_json_cannot_write(number: float) -> None:
    with pytest.raises(ValidationError, match="NaN, infinity"):
        metadata.validate_python({"a": [number]})


@pytest.mark.parametrize("number", [2**64, -(2**63) - 1, 10**400])
def test_metadata_refuses_integers_of_more_than_64_bits(number: int) -> None:
    with pytest.raises(ValidationError, match="64 bits"):
        metadata.validate_python({"a": {"b": number}})


@pytest.mark.parametrize("number", [2**64 - 1, -(2**63), True, 0.1])
def test_metadata_keeps_numbers_exactly(number: float) -> None:
    kept = metadata.validate_python({"a": number})["a"]
    assert (kept, type(kept)) == (number, type(number))


@pytest.mark.parametrize("value", [{"a": "\0"}, {"\0": 1}, {"a": ["\x1b[2J"]}, {"\ud800": 1}, {"a": {"b": "\udc00"}}])
def test_metadata_refuses_control_characters_and_surrogates_anywhere(value: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=r"control character|lone surrogate"):
        metadata.validate_python(value)


@given(st.datetimes(timezones=st.just(UTC)), st.datetimes(timezones=st.just(UTC)))
def test_times_sort_as_their_texts_do(one: datetime, other: datetime) -> None:
    one, other = (moment.replace(microsecond=moment.microsecond // 1000 * 1000) for moment in (one, other))
    assert (one < other) == (iso(one) < iso(other))


def test_time_is_utc_with_milliseconds() -> None:
    moment = datetime(2026, 11, 22, 9, 0, 0, 123_999, tzinfo=timezone(timedelta(hours=1)))
    assert iso(moment) == "2026-11-22T08:00:00.123Z"
