"""Moving a server with many skills from SQLite to PostgreSQL and back, while agents are about.

`python -m benchmarks.move [SKILLS]`. PostgreSQL syncs, as it does where it matters. Exit code 1 if an agent missed
something, got it twice or out of order, if the way back gives other checksums, or if a copy takes longer than the limit.
"""

import sys
import tempfile
from pathlib import Path

from benchmarks.skills import fill_in_process
from tests.journeys.moving import Move, copy, move
from tests.postgres import Postgres
from tests.server import Server

LIMIT_SECONDS = 60.0
CAPTURES = 200


def main() -> int:
    skills = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory(prefix="cin-move-") as name:
        folder = Path(name)
        fill_in_process(folder / "cin.db", skills)
        postgres = Postgres(folder)
        try:
            postgres.execute("ALTER SYSTEM SET fsync = on")
            postgres.restart()
            return measure(folder, postgres, skills)
        finally:
            postgres.stop()


def measure(folder: Path, postgres: Postgres, skills: int) -> int:
    target, back = postgres.empty(), f"sqlite:///{folder / 'back.db'}"
    server = Server(folder)
    server.start_seconds = 300  # the first start makes the index of all skills
    with server:
        moved = move(server, f"sqlite:///{server.database}", target, captures=CAPTURES)
        server.stop()
    returned, back_seconds = copy(target, back)
    again, again_seconds = copy(back, postgres.empty())
    size = (folder / "cin.db").stat().st_size / 2**20
    print(f"{skills:,} skills, {size:,.0f} MiB in SQLite; each copy with its check of every row")
    for way, seconds in (
        ("SQLite to PostgreSQL", moved.copy_seconds),
        ("PostgreSQL to SQLite", back_seconds),
        ("and to PostgreSQL again", again_seconds),
    ):
        print(f"  {way:24} {seconds:6.1f} s  {skills / seconds:8,.0f} skills/s")
    print(f"  from the stop of the one server until the other was ready: {moved.away_seconds:.1f} s")
    report("the agent that was connected", moved, moved.live)
    report("the agent that came back by its name", moved, moved.asleep)
    same = returned.returncode == again.returncode == 0 and returned.stdout == again.stdout
    print(f"  checksums on the way back and forth: {'the same' if same else 'DIFFERENT'}")
    return 0 if moved.is_seamless and same and moved.copy_seconds <= LIMIT_SECONDS else 1


def report(who: str, moved: Move, seen: list[str]) -> None:
    missed, twice = len(set(moved.captured) - set(seen)), len(seen) - len(set(seen))
    print(f"  {who}: {len(seen)} of {len(moved.captured)} events, {missed} missed, {twice} twice", end="")
    print("" if seen == moved.captured else ", NOT AS THEY WERE CAPTURED")


if __name__ == "__main__":
    sys.exit(main())
