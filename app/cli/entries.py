"""One entry of an import as a capture: the contract's fields pass, foreign ones are kept where they mean something.

Pure. Nothing is lost silently: a field that no rule names refuses the entry.
"""

import math
from collections.abc import Mapping
from typing import Final

import msgspec

MOST_OUTCOMES: Final = 1_000

_PASSED: Final = frozenset(
    {"name", "description", "error_type", "pattern", "resolution", "context", "tags", "metadata", "agent"}
)
_READ_BELOW: Final = frozenset(
    {"created", "created_at", "captured_by", "captures", "status", "usage_count", "success_count", "success_rate"}
)
_OWN: Final = frozenset({"id", "network", "version", "updated_at", "position", "confidence", "failure_count"})
"""What each server makes for itself."""


class EntryRefused(ValueError):
    """This entry cannot be imported; the text says which field and why."""


class Usage(msgspec.Struct, frozen=True):
    """How often a skill was used before. `successes` is None when the source's rate gives no whole number."""

    count: int
    rate: float | None
    successes: int | None

    @property
    def replayable(self) -> bool:
        """Whether it can be told to the new server as outcomes."""
        return self.successes is not None and self.count <= MOST_OUTCOMES


class Entry(msgspec.Struct, frozen=True):
    """A capture's JSON, and what is known of its use."""

    body: bytes
    usage: Usage | None


def read_entry(raw: bytes | msgspec.Raw) -> Entry:
    """Read one JSON object; raises `EntryRefused`."""
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise EntryRefused(f"not JSON: {error}") from error
    except RecursionError as error:
        raise EntryRefused("nested too deeply") from error
    if not isinstance(value, dict):
        raise EntryRefused("an entry must be a JSON object")
    fields = {name: field for name, field in value.items() if field not in ("", None)}
    foreign = sorted(fields.keys() - _PASSED - _READ_BELOW - _OWN)
    if foreign:
        raise EntryRefused(f"unknown field {', '.join(foreign)}: put it under metadata, or take it out")
    if fields.get("status", "active") != "active":
        raise EntryRefused("status: only active skills can be imported; take the field out to import it as one")
    usage = _usage(fields)
    return Entry(body=msgspec.json.encode(_capture(fields, usage)), usage=usage)


def _capture(fields: Mapping[str, object], usage: Usage | None) -> dict[str, object]:
    body = {name: value for name, value in fields.items() if name in _PASSED}
    if "captured_by" in fields:
        body.setdefault("agent", fields["captured_by"])
    imported = _origin(fields, usage)
    if imported:
        body["metadata"] = _with_origin(body.get("metadata", {}), imported)
    return body


def _origin(fields: Mapping[str, object], usage: Usage | None) -> dict[str, object]:
    """What the source knew and a capture cannot say; rates are 0 to 1 as everywhere else."""
    origin: dict[str, object] = {}
    created = fields.get("created", fields.get("created_at"))
    if created is not None:
        origin["created"] = created
    if _number(fields, "captures") > 1:
        origin["captures"] = fields["captures"]
    if usage is not None:
        origin["usage_count"] = usage.count
        if usage.rate is not None:
            origin["success_rate"] = usage.rate
    return origin


def _with_origin(metadata: object, imported: dict[str, object]) -> dict[str, object]:
    """The first origin stays when a skill is exported and imported again."""
    if not isinstance(metadata, dict):
        raise EntryRefused("metadata: must be a JSON object")
    earlier = metadata.get("imported", {})
    if not isinstance(earlier, dict):
        raise EntryRefused("metadata.imported: is where the import keeps the origin; it must be a JSON object")
    return metadata | {"imported": imported | earlier}


def _usage(fields: Mapping[str, object]) -> Usage | None:
    """An export counts its successes; other sources have a success_rate in percent, which means nothing unused."""
    count = _whole(fields, "usage_count")
    if count == 0:
        return None
    if "success_count" in fields:
        successes = _whole(fields, "success_count")
        if successes > count:
            raise EntryRefused("success_count: more than usage_count")
        return Usage(count, successes / count, successes)
    if "success_rate" not in fields:
        return Usage(count, None, None)
    percent = _number(fields, "success_rate")
    if percent > 100:
        raise EntryRefused("success_rate: must be 0 to 100 percent")
    successes = round(count * percent / 100)
    exact = math.isclose(successes, count * percent / 100, abs_tol=1e-6)
    return Usage(count, percent / 100, successes if exact else None)


def _whole(fields: Mapping[str, object], name: str) -> int:
    value = _number(fields, name)
    if value != int(value):
        raise EntryRefused(f"{name}: must be a whole number")
    return int(value)


def _number(fields: Mapping[str, object], name: str) -> float:
    value = fields.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise EntryRefused(f"{name}: must be a number, 0 or more")
    return value
