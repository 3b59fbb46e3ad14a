"""Bring a database to the schema of this program, and refuse one that is newer than it."""

from pathlib import Path

from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

from alembic import command
from app.errors import StartupError

_PACKAGED = Path(__file__).parent.parent / "_alembic"
_CHECKOUT = Path(__file__).parent.parent.parent / "alembic"


def migrate(engine: Engine) -> tuple[str | None, str]:
    """Run what is missing; returns the revisions before and after. The caller holds the lock on the database."""
    config = Config()
    config.set_main_option("script_location", str(_PACKAGED if _PACKAGED.is_dir() else _CHECKOUT))
    scripts = ScriptDirectory.from_config(config)
    newest = scripts.get_current_head()
    assert newest is not None
    known = {script.revision for script in scripts.walk_revisions()}
    with engine.connect() as connection:
        before = MigrationContext.configure(connection).get_current_revision()
    if before is not None and before not in known:
        raise StartupError(
            f"The database is at revision {before}, which this program does not know: it was written by a newer CIN. "
            "Start that version, or name another database."
        )
    if before != newest:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    return before, newest
