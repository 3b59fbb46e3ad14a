"""A network: one tenant, with its own skills, log and agents."""

import sqlalchemy as sa
from sqlmodel import Field, SQLModel


class Network(SQLModel, table=True):
    """The row that gives out offsets: `head` goes up in the transaction that appends, so no offset is ever skipped.

    `trimmed` is the newest offset that retention has removed; the earliest event kept is the one after it. `counts` goes
    up whenever counters of skills change, which the log does not say. `timeline` is that of the PostgreSQL server that gave
    out the newest offset, and `synchronous` whether commits waited for a standby then; neither is of use to another server.
    """

    __tablename__ = "network"

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True, max_length=64)
    epoch: str = Field(max_length=16)
    head: int = Field(default=0, sa_type=sa.BigInteger)
    trimmed: int = Field(default=0, sa_type=sa.BigInteger)
    counts: int = Field(default=0, sa_type=sa.BigInteger, sa_column_kwargs={"server_default": "0"})
    timeline: int = Field(
        default=0, sa_type=sa.BigInteger, sa_column_kwargs={"server_default": "0", "info": {"of_server": True}}
    )
    synchronous: bool = Field(
        default=False, sa_column_kwargs={"server_default": sa.false(), "info": {"of_server": True}}
    )
    created_at: str = Field(max_length=24)
