"""The error type that a revision has replaced, so that those who listen to it hear of that."""

import sqlalchemy as sa

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    text = sa.String(200).with_variant(sa.String(200, collation="C"), "postgresql")
    op.add_column("event", sa.Column("error_type_before", text, nullable=True))


def downgrade() -> None:
    op.drop_column("event", "error_type_before")
