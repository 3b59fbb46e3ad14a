"""The OpenAPI document as it was agreed on. `python -m tests.docs.openapi` writes it anew; review what has changed."""

import json
from pathlib import Path
from typing import Any

from app.main import create_app
from app.settings import Settings

SNAPSHOT = Path(__file__).parent / "openapi.json"


def document() -> dict[str, Any]:
    """What the program says of itself."""
    return create_app(Settings()).openapi()


def write() -> None:
    SNAPSHOT.write_text(json.dumps(document(), indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    write()
