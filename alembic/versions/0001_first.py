"""The first schema: networks, skills and their versions, outcomes, the log, agents."""

import sqlalchemy as sa

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _text(length: int | None = None) -> sa.types.TypeEngine[str]:
    """Text that PostgreSQL compares by its code points, as SQLite does, whatever language the server speaks."""
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "network",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", _text(64), nullable=False),
        sa.Column("epoch", _text(16), nullable=False),
        sa.Column("head", sa.BigInteger(), nullable=False),
        sa.Column("trimmed", sa.BigInteger(), nullable=False),
        sa.Column("created_at", _text(24), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_network")),
        sa.UniqueConstraint("name", name=op.f("uq_network_name")),
    )
    op.create_table(
        "agent",
        sa.Column("network_id", sa.Integer(), nullable=False),
        sa.Column("name", _text(128), nullable=False),
        sa.Column("capabilities", sa.JSON(), nullable=False),
        sa.Column("subscribes", sa.Boolean(), nullable=False),
        sa.Column("joined", sa.BigInteger(), nullable=False),
        sa.Column("acknowledged", sa.BigInteger(), nullable=False),
        sa.Column("registered_at", _text(24), nullable=False),
        sa.Column("last_seen_at", _text(24), nullable=False),
        sa.ForeignKeyConstraint(["network_id"], ["network.id"], name=op.f("fk_agent_network_id")),
        sa.PrimaryKeyConstraint("network_id", "name", name=op.f("pk_agent")),
    )
    op.create_table(
        "event",
        sa.Column("network_id", sa.Integer(), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("type", _text(32), nullable=False),
        sa.Column("skill_id", _text(36), nullable=False),
        sa.Column("error_type", _text(200), nullable=True),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("data", _text(), nullable=False),
        sa.Column("at", _text(24), nullable=False),
        sa.ForeignKeyConstraint(["network_id"], ["network.id"], name=op.f("fk_event_network_id")),
        sa.PrimaryKeyConstraint("network_id", "offset", name=op.f("pk_event")),
    )
    op.create_index("ix_event_at", "event", ["network_id", "at"], unique=False)
    op.create_index("ix_event_type", "event", ["network_id", "type", "offset"], unique=False)

    op.create_table(
        "idempotency_key",
        sa.Column("network_id", sa.Integer(), nullable=False),
        sa.Column("key", _text(255), nullable=False),
        sa.Column("digest", _text(64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("headers", sa.JSON(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", _text(24), nullable=False),
        sa.ForeignKeyConstraint(["network_id"], ["network.id"], name=op.f("fk_idempotency_key_network_id")),
        sa.PrimaryKeyConstraint("network_id", "key", name=op.f("pk_idempotency_key")),
    )
    op.create_index("ix_idempotency_key_created_at", "idempotency_key", ["network_id", "created_at"], unique=False)

    op.create_table(
        "skill",
        sa.Column("description", _text(), nullable=True),
        sa.Column("error_type", _text(), nullable=True),
        sa.Column("pattern", _text(), nullable=True),
        sa.Column("resolution", _text(), nullable=False),
        sa.Column("context", _text(), nullable=True),
        sa.Column("id", _text(36), nullable=False),
        sa.Column("network_id", sa.Integer(), nullable=False),
        sa.Column("name", _text(64), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("fingerprint", _text(64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("status", _text(16), nullable=False),
        sa.Column("captured_by", _text(128), nullable=False),
        sa.Column("captures", sa.Integer(), nullable=False),
        sa.Column("usage_count", sa.Integer(), nullable=False),
        sa.Column("success_count", sa.Integer(), nullable=False),
        sa.Column("failure_count", sa.Integer(), nullable=False),
        sa.Column("votes_for", sa.Integer(), nullable=False),
        sa.Column("votes_against", sa.Integer(), nullable=False),
        sa.Column("confidence", sa.Float(), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("created_at", _text(24), nullable=False),
        sa.Column("updated_at", _text(24), nullable=False),
        sa.ForeignKeyConstraint(["network_id"], ["network.id"], name=op.f("fk_skill_network_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_skill")),
    )
    op.create_index("ix_skill_captured_by", "skill", ["network_id", "status", "captured_by", "id"], unique=False)
    op.create_index("ix_skill_confidence", "skill", ["network_id", "status", "confidence", "id"], unique=False)
    op.create_index("ix_skill_error_type", "skill", ["network_id", "status", "error_type", "id"], unique=False)
    op.create_index("ix_skill_newest", "skill", ["network_id", "status", "id"], unique=False)
    op.create_index("ix_skill_usage", "skill", ["network_id", "status", "usage_count", "id"], unique=False)
    op.create_index(
        "uq_skill_fingerprint",
        "skill",
        ["network_id", "fingerprint"],
        unique=True,
        sqlite_where=sa.text("status != 'retired'"),
        postgresql_where=sa.text("status != 'retired'"),
    )
    op.create_index(
        "uq_skill_name",
        "skill",
        ["network_id", "name"],
        unique=True,
        sqlite_where=sa.text("status != 'retired'"),
        postgresql_where=sa.text("status != 'retired'"),
    )

    op.create_table(
        "outcome",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("network_id", sa.Integer(), nullable=False),
        sa.Column("skill_id", _text(36), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("agent", _text(128), nullable=False),
        sa.Column("success", sa.Boolean(), nullable=False),
        sa.Column("detail", _text(), nullable=True),
        sa.Column("created_at", _text(24), nullable=False),
        sa.ForeignKeyConstraint(["network_id"], ["network.id"], name=op.f("fk_outcome_network_id")),
        sa.ForeignKeyConstraint(["skill_id"], ["skill.id"], name=op.f("fk_outcome_skill_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outcome")),
    )
    op.create_index("ix_outcome_skill", "outcome", ["network_id", "skill_id", "id"], unique=False)

    op.create_table(
        "skill_tag",
        sa.Column("network_id", sa.Integer(), nullable=False),
        sa.Column("tag", _text(64), nullable=False),
        sa.Column("skill_id", _text(36), nullable=False),
        sa.ForeignKeyConstraint(["network_id"], ["network.id"], name=op.f("fk_skill_tag_network_id")),
        sa.ForeignKeyConstraint(["skill_id"], ["skill.id"], name=op.f("fk_skill_tag_skill_id")),
        sa.PrimaryKeyConstraint("network_id", "tag", "skill_id", name=op.f("pk_skill_tag")),
    )
    op.create_table(
        "skill_version",
        sa.Column("description", _text(), nullable=True),
        sa.Column("error_type", _text(), nullable=True),
        sa.Column("pattern", _text(), nullable=True),
        sa.Column("resolution", _text(), nullable=False),
        sa.Column("context", _text(), nullable=True),
        sa.Column("network_id", sa.Integer(), nullable=False),
        sa.Column("skill_id", _text(36), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("name", _text(64), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("captured_by", _text(128), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("created_at", _text(24), nullable=False),
        sa.ForeignKeyConstraint(["network_id"], ["network.id"], name=op.f("fk_skill_version_network_id")),
        sa.ForeignKeyConstraint(["skill_id"], ["skill.id"], name=op.f("fk_skill_version_skill_id")),
        sa.PrimaryKeyConstraint("network_id", "skill_id", "version", name=op.f("pk_skill_version")),
    )
    op.create_table(
        "vote",
        sa.Column("network_id", sa.Integer(), nullable=False),
        sa.Column("skill_id", _text(36), nullable=False),
        sa.Column("agent", _text(128), nullable=False),
        sa.Column("success", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["network_id"], ["network.id"], name=op.f("fk_vote_network_id")),
        sa.ForeignKeyConstraint(["skill_id"], ["skill.id"], name=op.f("fk_vote_skill_id")),
        sa.PrimaryKeyConstraint("network_id", "skill_id", "agent", name=op.f("pk_vote")),
    )


def downgrade() -> None:
    op.drop_table("vote")
    op.drop_table("skill_version")
    op.drop_table("skill_tag")
    op.drop_table("outcome")
    op.drop_table("skill")
    op.drop_table("idempotency_key")
    op.drop_table("event")
    op.drop_table("agent")
    op.drop_table("network")
