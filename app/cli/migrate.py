"""`cin migrate`: bring the database to this program's schema, without starting the server."""

import sys

from app.errors import StartupError
from app.settings import Settings
from app.storage.sqlite import migrate_sqlite


def migrate() -> int:
    """Returns the exit code: 0, or 2 when it cannot, said in a sentence."""
    try:
        before, after = migrate_sqlite(Settings().database_url)
    except StartupError as error:
        print(f"cin: {error.detail}", file=sys.stderr)
        return 2
    print(
        f"The database is at revision {after}"
        + (", as it was." if before == after else f"; it was at {before or 'none'}.")
    )
    return 0
