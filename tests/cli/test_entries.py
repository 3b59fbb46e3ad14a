"""Entries of an import: what passes, what is kept, what is refused by name."""

import msgspec
import pytest

from app.cli.entries import Entry, EntryRefused, Usage, read_entry

LEAST = {"pattern": "x", "resolution": "Do it."}


def read(**fields: object) -> Entry:
    return read_entry(msgspec.json.encode(LEAST | fields))


def body(entry: Entry) -> dict[str, object]:
    return msgspec.json.decode(entry.body, type=dict[str, object])


def test_entry_of_the_contract_passes_as_it_is() -> None:
    fields = {"name": "n", "description": "d", "error_type": "E", "context": "c", "tags": ["t"], "metadata": {"a": 1}}
    assert body(read(**fields)) == LEAST | fields


def test_entry_of_the_seed_keeps_when_it_was_created_and_no_empty_promise() -> None:
    entry = read(id=7, created="2025-10-27T21:53:21.380460", usage_count=0, success_rate=100.0, context="")
    assert body(entry) == LEAST | {"metadata": {"imported": {"created": "2025-10-27T21:53:21.380460"}}}
    assert entry.usage is None


@pytest.mark.parametrize(
    ("fields", "usage"),
    [
        ({"usage_count": 1, "success_rate": 50.0}, Usage(1, 0.5, None)),
        ({"usage_count": 4, "success_rate": 75.0}, Usage(4, 0.75, 3)),
        ({"usage_count": 4, "success_count": 3, "success_rate": 0.75, "failure_count": 1}, Usage(4, 0.75, 3)),
        ({"usage_count": 4}, Usage(4, None, None)),
    ],
)
def test_entry_that_was_used_keeps_its_figures(fields: dict[str, object], usage: Usage) -> None:
    entry = read(**fields)
    assert entry.usage == usage
    metadata = body(entry)["metadata"]
    kept = {"usage_count": usage.count} | ({} if usage.rate is None else {"success_rate": usage.rate})
    assert metadata == {"imported": kept}


def test_usage_beyond_the_cap_is_not_told() -> None:
    usage = read(usage_count=1_001, success_rate=100).usage
    assert usage is not None
    assert not usage.replayable


def test_entry_of_an_export_keeps_its_first_origin() -> None:
    entry = read(
        id="u", network="default", version=2, status="active", captured_by="builder", captures=3, usage_count=0,
        success_count=0, failure_count=0, success_rate=None, confidence=0.5, position="k-1",
        created_at="2026-01-01T00:00:00Z", updated_at="2026-01-02T00:00:00Z",
        metadata={"a": 1, "imported": {"created": "2025-01-01"}},
    )  # fmt: skip
    metadata = {"a": 1, "imported": {"created": "2025-01-01", "captures": 3}}
    assert body(entry) == LEAST | {"agent": "builder", "metadata": metadata}


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"severity": 3}, "severity"),
        ({"status": "retired"}, "status"),
        ({"usage_count": -1}, "usage_count"),
        ({"usage_count": True}, "usage_count"),
        ({"usage_count": 1.5}, "usage_count"),
        ({"usage_count": 1, "success_count": 2}, "success_count"),
        ({"usage_count": 1, "success_rate": 101}, "success_rate"),
        ({"captures": "many"}, "captures"),
        ({"created": "2025", "metadata": []}, "metadata"),
        ({"created": "2025", "metadata": {"imported": 1}}, "metadata.imported"),
    ],
)
def test_entry_with_a_wrong_field_is_refused_by_its_name(fields: dict[str, object], named: str) -> None:
    with pytest.raises(EntryRefused, match=named):
        read(**fields)


@pytest.mark.parametrize(
    "raw", [b"{", b"[]", b'"x"', b'{"a": "\xff"}', b'{"a": "\\ud800"}', b'{"a": ' * 3_000 + b"1" + b"}" * 3_000]
)
def test_entry_that_cannot_be_read_as_an_object_is_refused(raw: bytes) -> None:
    with pytest.raises(EntryRefused):
        read_entry(raw)
