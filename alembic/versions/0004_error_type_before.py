"""The error type that a revision has replaced, so that those who listen to it hear of that."""

import sqlalchemy as sa

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("event", sa.Column("error_type_before", sa.String(length=200), nullable=True))


def downgrade() -> None:
    op.drop_column("event", "error_type_before")
