"""The primary that gave out the newest offsets, so that a promotion is noticed."""

import sqlalchemy as sa

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("network", sa.Column("timeline", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("network", sa.Column("synchronous", sa.Boolean(), server_default=sa.false(), nullable=False))


def downgrade() -> None:
    op.drop_column("network", "synchronous")
    op.drop_column("network", "timeline")
