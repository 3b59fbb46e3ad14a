"""Numbers for changes of counters, so that every process hears of those that others made."""

import sqlalchemy as sa

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("network", sa.Column("counts", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("skill", sa.Column("counted", sa.BigInteger(), server_default="0", nullable=False))
    op.create_index(
        "ix_skill_counted",
        "skill",
        ["network_id", "counted"],
        unique=False,
        sqlite_where=sa.text("counted > 0"),
        postgresql_where=sa.text("counted > 0"),
    )


def downgrade() -> None:
    op.drop_index("ix_skill_counted", table_name="skill")
    op.drop_column("skill", "counted")
    op.drop_column("network", "counts")
