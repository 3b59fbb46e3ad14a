"""Suggested names: always slugs, always short enough, the second one nobody else's."""

from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from app.models.types import Name
from app.skills.fingerprint import fingerprint
from app.skills.naming import cut, slug, suggest_names

maybe = st.none() | st.text() | st.text("ab-_ A9é", max_size=90)
a_name = TypeAdapter(Name)


@given(maybe, maybe, maybe)
def test_suggested_names_are_names(error_type: str | None, pattern: str | None, description: str | None) -> None:
    mark = fingerprint(error_type, pattern, "x")
    for name in suggest_names(error_type, pattern, description, mark):
        assert a_name.validate_python(name) == name


@given(maybe, maybe)
def test_second_name_ends_in_the_fingerprint(error_type: str | None, pattern: str | None) -> None:
    mark = fingerprint(error_type, pattern, "x")
    assert suggest_names(error_type, pattern, None, mark)[1].endswith(mark[:12])


def test_name_says_what_the_skill_is_for() -> None:
    first, second = suggest_names("ImportError", "No module named 'django'", None, "8f14e45fceea167a")
    assert first == "importerror-no-module-named-django"
    assert second == "importerror-no-module-named-django-8f14e45fceea"


def test_name_comes_from_the_description_without_a_pattern() -> None:
    assert suggest_names(None, None, "The build is slow", "0" * 64)[0] == "the-build-is-slow"


def test_name_of_text_that_ascii_cannot_show_is_skill() -> None:
    assert suggest_names(None, "错误", None, "0" * 64) == ("skill", "skill-000000000000")


def test_slug_drops_accents_and_not_letters() -> None:
    assert slug("Déjà vu: É") == "deja-vu-e"


@given(st.text("ab-", max_size=80).map(slug), st.integers(2, 70))
def test_cut_name_begins_the_name(name: str, length: int) -> None:
    short = cut(name, length)
    assert name.startswith(short)
    assert len(short) <= length
    assert not short.endswith("-")


def test_cut_ends_between_words_where_one_is_near() -> None:
    assert cut("no-module-named-django", 18) == "no-module-named"
    assert cut("internationalisation", 5) == "inter"
