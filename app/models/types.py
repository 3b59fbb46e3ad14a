"""Column and field types that several tables and wire shapes share: clean text, names, tags, UTC times.

Lengths are in characters after NFC normalisation. Nothing is cut off: what does not fit is refused.
"""

import re
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

import orjson
import sqlalchemy as sa
from pydantic import AfterValidator, Field, WithJsonSchema
from sqlmodel import AutoString, SQLModel

# Unicode category Cc but tab, CR and LF: NUL breaks C strings and Postgres, the others drive terminals.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_AGENT = re.compile(r"[A-Za-z0-9._:@/-]{1,128}")
_MAX_METADATA_BYTES = 16 * 1024
_MAX_METADATA_DEPTH = 32

# Alembic can only change what it can name.
SQLModel.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_name)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}


def by_code_points(table: sa.Table) -> None:
    """Let PostgreSQL compare the table's text as SQLite does, whatever language the server speaks."""
    for column in table.columns:
        if isinstance(column.type, AutoString | sa.String):
            length = getattr(column.type, "length", None) or getattr(column.type, "impl_instance", column.type).length
            column.type = column.type.with_variant(sa.String(length, collation="C"), "postgresql")


def now() -> str:
    """The present, as `iso` writes it."""
    return iso(datetime.now(UTC))


def iso(moment: datetime) -> str:
    """`2026-11-22T08:00:00.123Z`: ISO 8601 in UTC with milliseconds, always the same length, so it sorts as time does.

    Times are kept as this text. It is what the wire shows, every database orders it alike, and nothing converts it.
    """
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def clean(text: str) -> str:
    """`text` in NFC; control characters other than tab, CR and LF, and lone surrogates, are refused."""
    if text.isascii():
        normal = text
    else:
        normal = unicodedata.normalize("NFC", text)
        try:
            normal.encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"has a lone surrogate at character {error.start}, which is not text") from None
    found = _CONTROL.search(normal)
    if found:
        raise ValueError(
            f"has the control character U+{ord(found[0]):04X} at character {found.start()}; only tab, CR and LF are allowed"
        )
    return normal


def text(max_length: int) -> Callable[[str], str]:
    """A validator: clean, not blank, at most `max_length` characters."""

    def validate(value: str) -> str:
        value = clean(value)
        if not value.strip():
            raise ValueError("is blank; leave it out if there is nothing to say")
        if len(value) > max_length:
            raise ValueError(f"has {len(value)} characters; at most {max_length} are allowed")
        return value

    return validate


def _slug(value: str) -> str:
    if len(value) > 64 or not _SLUG.fullmatch(value):
        raise ValueError("is not a name: use a to z, 0 to 9 and single hyphens between them, at most 64 characters")
    return value


def _agent(value: str) -> str:
    if not _AGENT.fullmatch(value):
        raise ValueError("is not an agent's name: use 1 to 128 letters, digits and . _ : @ / -")
    return value


def _tags(tags: list[str]) -> list[str]:
    tags = list(dict.fromkeys(tags))
    if len(tags) > 16:
        raise ValueError(f"has {len(tags)} tags; at most 16 are allowed")
    return tags


def _metadata(value: dict[str, Any]) -> dict[str, Any]:
    _check_json(value, depth=1)
    size = len(orjson.dumps(value))
    if size > _MAX_METADATA_BYTES:
        raise ValueError(f"has {size} bytes as JSON; at most {_MAX_METADATA_BYTES} are allowed")
    return value


def _check_json(value: Any, depth: int) -> None:
    if depth > _MAX_METADATA_DEPTH:
        raise ValueError(f"is nested deeper than {_MAX_METADATA_DEPTH} levels")
    match value:
        case str():
            clean(value)
        case dict():
            for key, inner in value.items():
                clean(key)
                _check_json(inner, depth + 1)
        case list():
            for inner in value:
                _check_json(inner, depth + 1)
        case float() if value != value or value in (float("inf"), float("-inf")):
            raise ValueError("has a number that cannot be kept: NaN, infinity, or more than 64 bits")
        case int() if not -(2**63) <= value < 2**64:
            raise ValueError("has an integer that does not fit into 64 bits; send it as a string")


def documented(**schema: Any) -> Any:
    """What JSON Schema can say of a validator above; it checks nothing."""
    return Field(json_schema_extra=schema)


def documented_text(max_length: int) -> Any:
    """As `documented`, for `text`."""
    return documented(minLength=1, maxLength=max_length, pattern=r"\S")


Name = Annotated[str, AfterValidator(_slug), documented(maxLength=64, pattern=f"^{_SLUG.pattern}$")]
AGENT_SCHEMA = {"pattern": f"^{_AGENT.pattern}$"}
AgentName = Annotated[str, AfterValidator(_agent), documented(**AGENT_SCHEMA)]
ErrorType = Annotated[str, AfterValidator(text(200)), documented_text(200)]
Tag = Annotated[str, AfterValidator(text(64)), documented_text(64)]
Tags = Annotated[list[Tag], AfterValidator(_tags), documented(maxItems=16)]
Metadata = Annotated[dict[str, Any], AfterValidator(_metadata)]
UtcTime = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
