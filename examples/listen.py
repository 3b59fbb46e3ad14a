"""Listens: writes each fix that others capture into a file that an agent reads before it starts to work.

    python examples/listen.py learned.md

It keeps its place in `learned.md.position` and goes on from there when it is started again. A place is kept after its
skill has been written, so a skill may be written twice if this is killed in between, and never not at all.
"""

import sys
from pathlib import Path

from app.client import Client, Event, Reset


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    notes = Path(sys.argv[1])
    with Client() as cin, cin.subscribe(since="earliest", position_file=f"{notes}.position") as events:
        for event in events:
            if isinstance(event, Reset):
                print(f"Some events were missed ({event.reason}): reading all skills again.", flush=True)
                notes.write_text("".join(note(skill.pattern, skill.resolution) for skill in cin.list()))
            elif event.type != "skill.retired":
                learn(notes, event)


def learn(notes: Path, event: Event) -> None:
    with notes.open("a") as file:
        file.write(note(event.skill.pattern or event.skill.description, event.skill.resolution))
    print(f"learned {event.skill.name}", flush=True)


def note(sign: str | None, resolution: str) -> str:
    """What strangers wrote, as text: never run it without a look."""
    return f"When you see: {sign}\nDo: {resolution}\n\n"


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
