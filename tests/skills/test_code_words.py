"""Code words: a name is found whole and in parts, in whatever style it was written."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.skills.scripts import in_pairs
from app.skills.words import with_code_words


def added(text: str) -> list[str]:
    """What is put behind a text."""
    found = with_code_words(text)
    assert found.startswith(text)
    return found[len(text) :].split()


def known_by(text: str) -> set[str]:
    """What a text is found by, in an index that splits at everything that is neither letter nor digit."""
    found = with_code_words(text)
    return set("".join(char if char.isalnum() else " " for char in found).lower().split())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain words of Everyday language", []),
        ("foo_bar", ["foobar"]),
        ("FOO_BAR", ["FOOBAR"]),
        ("fooBar", ["foo", "Bar"]),
        ("FooBar", ["Foo", "Bar"]),
        ("HTTPServer", ["HTTP", "Server"]),
        ("getURLFor", ["get", "URL", "For"]),
        ("getBase64Bytes", ["get", "Base64", "Bytes"]),
        ("Base64Encoder", ["Base64", "Encoder"]),
        ("dotted.name.here", ["dottednamehere"]),
        ("kebab-case-word", ["kebabcaseword"]),
        ("std::vector", ["stdvector"]),
        ("x86_64", ["x8664"]),
        ("utf-8", ["utf8"]),
        ("foo_bar()", ["foobar"]),
        ("a.b, c_d", ["ab", "cd"]),
        ("E0308", []),
        ("error[E0308]:", []),
        ("snake_Camel", ["snakeCamel", "snake", "Camel"]),
    ],
)
def test_code_words_stand_behind_the_text(text: str, expected: list[str]) -> None:
    assert added(text) == expected


@pytest.mark.parametrize(
    "name", ["foo_bar", "fooBar", "FooBar", "foo-bar", "foo.bar", "FOO_BAR", "foo::bar", "foo/bar"]
)
def test_name_is_found_by_the_same_words_in_every_style(name: str) -> None:
    assert known_by(name) == {"foo", "bar", "foobar"}


def test_name_in_other_letters_is_found_in_its_parts() -> None:
    assert known_by("ÄpfelBaum") == {"äpfelbaum", "äpfel", "baum"}


def test_code_of_an_error_is_kept_whole() -> None:
    assert known_by("error[E0308]:") == {"error", "e0308"}


@pytest.mark.parametrize(
    "operator", ["==", "!=", "->", "=>", "**", "||", "&&", "[]", "{}", "()", "...", "::", "|", ":="]
)
def test_operator_is_a_word(operator: str) -> None:
    (word,) = added(f"a {operator} b")
    assert word.isalnum()


def test_operators_are_different_words() -> None:
    assert len({*added("== != <= >= := -> => ** // | || && [] {} () ... ::")}) == 17


@pytest.mark.parametrize("written", ["`==`", "'=='", '"=="', "(==)", "==,", "==."])
def test_operator_in_quotes_is_the_same_word(written: str) -> None:
    assert added(written) == added("==")


def test_operator_between_names_without_blanks_is_no_word() -> None:
    assert added("a==b") == []


def test_name_is_added_once_however_often_it_stands() -> None:
    assert added("foo_bar fooBar foo_bar fooBar") == ["foobar", "foo", "Bar"]


@pytest.mark.parametrize(("length", "is_kept"), [(64, True), (65, False)])
def test_long_name_is_not_kept_whole(length: int, is_kept: bool) -> None:
    name = "a" * (length - 1) + "_b"
    assert (name.replace("_", "") in added(name)) == is_kept


@given(st.text())
def test_text_stays_in_front_with_neighbours_in_pairs(text: str) -> None:
    found = with_code_words(text)
    assert found == in_pairs(text) or found.startswith(f"{in_pairs(text)} ")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("错误：无法打开文件", "错误 ： 无法 法打 打开 开文 文件"),
        ("エラーE0308です。x", "エラ ラー E0308 です 。x"),
        ("错 in English", "错 in English"),
        ("naïve café über", "naïve café über"),
    ],
)
def test_each_two_neighbours_are_a_word_where_no_blanks_are_written(text: str, words: str) -> None:
    assert in_pairs(text).split() == words.split()


@given(st.text(string.ascii_letters + string.digits + string.punctuation + " "))
def test_extra_words_are_letters_and_digits(text: str) -> None:
    assert all(word.isalnum() for word in added(text))
