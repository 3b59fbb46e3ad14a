"""The settings of the commands that are the server: from the environment, or refused in a sentence."""

from pydantic import ValidationError

from app.errors import StartupError
from app.settings import Settings


def read_settings(**given: str | int | None) -> Settings:
    """What the environment says, and what was given instead. Raises `StartupError` that names the wrong variable."""
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        raise StartupError(f"CIN_{str(first['loc'][0]).upper()} is wrong: {first['msg']}.") from None
