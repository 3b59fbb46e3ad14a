"""`cin migrate`: bring the database to this program's schema, without starting the server."""

import sys

from app.cli.environment import read_settings
from app.errors import StartupError
from app.eventlog.network import begin_new_life
from app.storage.opening import migrate_database


def migrate(*, restored: bool) -> int:
    """Returns the exit code: 0, or 2 when it cannot, said in a sentence."""
    try:
        before, after = migrate_database(read_settings().database_url, begin_new_life if restored else None)
    except StartupError as error:
        print(f"cin: {error.detail}", file=sys.stderr)
        return 2
    change = "as it was" if before == after else f"it was at {before or 'none'}"
    print(f"The database is at revision {after}; {change}.")
    if restored:
        print("Its log has begun a new life: clients that come back with an old position are told so.")
    return 0
