"""Bring a database to the schema of this program, and refuse one that is newer than it."""

from collections.abc import Callable
from pathlib import Path

from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

from alembic import command
from app.errors import StartupError
from app.storage.copy.mark import refuse_unfinished

_PACKAGED = Path(__file__).parent.parent / "_alembic"
_CHECKOUT = Path(__file__).parent.parent.parent / "alembic"


def migrate(
    engine: Engine, hold: Callable[[Connection], None] = lambda connection: None, *, copying: bool = False
) -> tuple[str | None, str]:
    """Run what is missing, in one transaction; returns the revisions before and after.

    `hold` keeps other processes out until its end, unless the caller has done so. `copying` is for `cin copy`: everybody
    else is refused a database that it has not finished.
    """
    config, scripts, newest = _scripts()
    known = {script.revision for script in scripts.walk_revisions()}
    with engine.begin() as connection:
        hold(connection)
        if not copying:
            refuse_unfinished(connection)
        before = MigrationContext.configure(connection).get_current_revision()
        if before is not None and before not in known:
            raise StartupError(
                f"The database is at revision {before}, which this program does not know: it was written by a newer CIN. "
                "Start that version, or name another database."
            )
        if before != newest:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    return before, newest


def require_newest(connection: Connection, name: str) -> None:
    """Raise `StartupError` unless the database is at this program's revision."""
    newest = _scripts()[2]
    found = MigrationContext.configure(connection).get_current_revision()
    if found is None:
        raise StartupError(f"{name} is no database of CIN.")
    if found != newest:
        raise StartupError(
            f"{name} is at revision {found}, and this program at {newest}. Bring it there with `cin migrate` first, "
            "or use the version of CIN that wrote it."
        )


def _scripts() -> tuple[Config, ScriptDirectory, str]:
    config = Config()
    config.set_main_option("script_location", str(_PACKAGED if _PACKAGED.is_dir() else _CHECKOUT))
    scripts = ScriptDirectory.from_config(config)
    newest = scripts.get_current_head()
    assert newest is not None
    return config, scripts, newest
