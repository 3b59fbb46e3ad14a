"""Settings: each described, each read from its variable, and a wrong one told by name."""

import pytest
from pydantic import ValidationError

from app.settings import Settings


@pytest.mark.parametrize("name", list(Settings.model_fields))
def test_setting_is_described_in_a_sentence(name: str) -> None:
    description = Settings.model_fields[name].description or ""
    assert description.endswith(".")


@pytest.mark.parametrize("name", list(Settings.model_fields))
def test_setting_has_a_default_that_is_valid(name: str) -> None:
    default = Settings.model_fields[name].default
    assert getattr(Settings(**{name: default}), name) == default


def test_setting_is_read_from_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CIN_MAX_STREAMS", "7")
    monkeypatch.setenv("CIN_DATABASE_URL", "sqlite:///here.db")
    assert (Settings().max_streams, Settings().database_url) == (7, "sqlite:///here.db")


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        setattr(Settings(), "port", 1)  # noqa: B010  # written out, mypy would refuse it too


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", "65536"),
        ("port", "x"),
        ("max_streams", "-1"),
        ("heartbeat_seconds", "0"),
        ("stall_seconds", "-1"),
        ("poll_seconds", "nan"),
        ("poll_seconds", "inf"),
        ("drain_seconds", "-1"),
        ("retention_days", "-1"),
        ("retention_days", "nan"),
        ("group_commit_max", "0"),
        ("ring_events", "0"),
        ("ring_bytes", "1"),
        ("retry_milliseconds", "0"),
        ("log_format", "xml"),
        ("log_level", "loud"),
        ("access_log", "perhaps"),
    ],
)
def test_wrong_setting_is_told_by_name(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"CIN_{name.upper()}", value)
    with pytest.raises(ValidationError) as caught:
        Settings()
    assert [error["loc"] for error in caught.value.errors()] == [(name,)]
