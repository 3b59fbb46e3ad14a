"""Positions: what is printed is read back as it was, and nothing else is a position."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.models.position import Position

epochs = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=16)
offsets = st.integers(0, 10**18 - 1)


@given(epochs, offsets)
def test_position_is_read_back_as_it_was_printed(epoch: str, offset: int) -> None:
    assert Position.parse(str(Position(epoch, offset))) == Position(epoch, offset)


@given(st.text(max_size=40))
def test_position_is_read_from_its_own_print_only(text: str) -> None:
    found = Position.parse(text)
    assert found is None or str(found) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        "k3f9",
        "k3f9-",
        "-43",
        "43",
        "k3f9-043",
        "k3f9--1",
        "k3f9-43 ",
        "k3f9-43\n",
        "K3F9-43",
        "k3f9-4.3",
        "k3f9-٤٣",
        "k3f9-1000000000000000000",
        "abcdefghijklmnopq-1",
    ],
)
def test_position_refuses_what_only_looks_like_one(text: str) -> None:
    assert Position.parse(text) is None
