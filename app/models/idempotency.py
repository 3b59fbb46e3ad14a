"""An idempotency key: the first answer to a request, kept for 24 hours so that a retry gets the same one."""

from datetime import timedelta

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

IDEMPOTENCY_KEPT_FOR = timedelta(hours=24)


class IdempotencyKey(SQLModel, table=True):
    """Written in the transaction whose answer it remembers, so it exists exactly if that transaction does."""

    __tablename__ = "idempotency_key"
    __table_args__ = (sa.Index("ix_idempotency_key_created_at", "network_id", "created_at"),)

    network_id: int = Field(primary_key=True, foreign_key="network.id")
    key: str = Field(primary_key=True, max_length=255)
    digest: str = Field(max_length=64)
    status: int
    headers: dict[str, str] = Field(sa_type=sa.JSON)
    body: bytes
    created_at: str = Field(max_length=24)
