"""Idempotency keys: a retry gets the first answer, and nothing happens twice.

The key is written in the transaction whose answer it keeps (IETF draft-ietf-httpapi-idempotency-key-header-07), so there
is no moment at which one exists without the other.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any, Protocol, Self, TypeVar

import sqlalchemy as sa
from sqlalchemy import Connection

from app.capture.answer import Answer
from app.errors import CINError, IdempotencyKeyReused
from app.eventlog.network import Network
from app.models.idempotency import IDEMPOTENCY_KEPT_FOR, IdempotencyKey
from app.models.types import iso, now
from app.storage.bulk import insert_rows

_KEY = IdempotencyKey.__table__  # type: ignore[attr-defined]  # set by SQLModel's metaclass


@dataclass(frozen=True, slots=True)
class Idempotency:
    """A key and what it was sent with: `digest` is the same exactly for the same request."""

    key: str
    digest: str

    @classmethod
    def of(cls, key: str, method: str, path: str, body: bytes) -> Self:
        return cls(key, hashlib.sha256(b"\0".join((method.encode(), path.encode(), body))).hexdigest())


class Request(Protocol):
    """Anything that may carry a key."""

    @property
    def network(self) -> Network: ...
    @property
    def idempotency(self) -> Idempotency | None: ...


R = TypeVar("R", bound=Request)


def once_each(
    connection: Connection, requests: Sequence[R], write: Callable[[Sequence[R]], Sequence[Answer | CINError]]
) -> list[Answer | CINError]:
    """Write the requests whose keys are new and keep their answers; replay the answers of those that are not."""
    kept = _find(connection, requests)
    replayed = {index: answer for index, request in enumerate(requests) if (answer := _replay(request, kept))}
    new = [index for index in range(len(requests)) if index not in replayed]
    written = dict(zip(new, write([requests[index] for index in new]), strict=True)) if new else {}
    rows = [
        _to_row(requests[index], answer)
        for index, answer in written.items()
        if requests[index].idempotency and isinstance(answer, Answer)
    ]
    insert_rows(connection, _KEY, sorted(rows, key=itemgetter("network_id", "key")))
    return [replayed[index] if index in replayed else written[index] for index in range(len(requests))]


def _find(connection: Connection, requests: Sequence[Request]) -> dict[tuple[int, str], sa.Row[tuple[object, ...]]]:
    keys = [request.idempotency.key for request in requests if request.idempotency]
    if not keys:
        return {}
    networks = {request.network.id for request in requests}
    connection.execute(
        sa.delete(_KEY).where(
            _KEY.c.network_id.in_(networks),
            _KEY.c.key.in_(keys),
            _KEY.c.created_at < iso(datetime.now(UTC) - IDEMPOTENCY_KEPT_FOR),
        )
    )
    # Held, where rows can be held: a commit that changed nothing else then waits for a standby as the first one did.
    held = sa.select(_KEY).where(_KEY.c.network_id.in_(networks), _KEY.c.key.in_(keys)).with_for_update(read=True)
    rows = connection.execute(held.order_by(_KEY.c.network_id, _KEY.c.key))
    return {(row.network_id, row.key): row for row in rows}


def _replay(
    request: Request, kept: dict[tuple[int, str], sa.Row[tuple[object, ...]]]
) -> Answer | IdempotencyKeyReused | None:
    row = kept.get((request.network.id, request.idempotency.key)) if request.idempotency else None
    if row is None or request.idempotency is None:
        return None
    if row.digest != request.idempotency.digest:
        return IdempotencyKeyReused(
            "This Idempotency-Key was used for another request in the last 24 hours. Use a new key for a new request."
        )
    return Answer(row.status, row.body, row.headers)


def _to_row(request: Request, answer: Answer) -> dict[str, Any]:
    assert request.idempotency is not None
    return {
        "network_id": request.network.id,
        "key": request.idempotency.key,
        "digest": request.idempotency.digest,
        "status": answer.status,
        "headers": answer.headers,
        "body": answer.body,
        "created_at": now(),
    }
