"""How Alembic runs: on the connection the program hands over, or on `CIN_DATABASE_URL` when a developer calls it."""

import os

import sqlalchemy as sa
from sqlmodel import SQLModel

import app.models  # noqa: F401  # makes every table known
from alembic import context


def run(connection: sa.Connection) -> None:
    context.configure(connection=connection, target_metadata=SQLModel.metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()


handed_over = context.config.attributes.get("connection")
if handed_over is not None:
    run(handed_over)
else:
    url = os.environ.get("CIN_DATABASE_URL", "sqlite:///./cin.db")
    for scheme in ("postgresql://", "postgres://"):
        url = url.replace(scheme, "postgresql+psycopg://", 1) if url.startswith(scheme) else url
    with sa.create_engine(url).begin() as connection:
        run(connection)
