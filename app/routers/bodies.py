"""Reading bodies: within a bound, of a media type that is understood, as the model they should be."""

import json
import math
from collections.abc import Iterator
from typing import TypeVar

from fastapi import Request
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import from_json

from app.errors import BodyTooLarge, CINError, InvalidInput, MediaTypeUnsupported
from app.problems import from_validation_error

M = TypeVar("M", bound=BaseModel)

SKILL_BYTES = 2 * 1024 * 1024
"""A skill of the greatest lengths, with every character written as two `\\uXXXX` escapes, is not larger."""
BATCH_BYTES = 16 * 1024 * 1024
BATCH_ITEMS = 1_000
SMALL_BYTES = 64 * 1024

JSON = "application/json"
NDJSON = "application/x-ndjson"
TEXT = "text/plain"


async def read_body(request: Request, max_bytes: int, *media_types: str) -> tuple[bytes, str]:
    """The body and its media type. Raises `MediaTypeUnsupported` or `BodyTooLarge`, the latter without reading it all."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding != "identity":
        raise MediaTypeUnsupported(
            f"`Content-Encoding: {encoding[:100]}` is not understood here. Send the body as it is."
        )
    media_type = request.headers.get("content-type", media_types[0]).partition(";")[0].strip().lower()
    if media_type not in media_types:
        raise MediaTypeUnsupported(
            f"`{media_type[:100]}` is not understood here. Send the header `Content-Type: {' or '.join(media_types)}`."
        )
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > max_bytes:
        raise _too_large(max_bytes)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            raise _too_large(max_bytes)
    return bytes(body), media_type


async def read_model(request: Request, model: type[M], max_bytes: int) -> tuple[M, bytes]:
    """The JSON body as a `model`, and as it was sent. Raises `InvalidInput` with every rule it breaks."""
    body, _ = await read_body(request, max_bytes, JSON)
    try:
        return model.model_validate_json(body), body
    except ValidationError as error:
        raise from_validation_error(error, "body") from None


async def read_items(request: Request, model: type[M]) -> tuple[list[M | CINError], bytes]:
    """The items of a batch, each as a `model` or as what is wrong with it, and the body as it was sent.

    Raises what `read_body` raises, and `InvalidInput` if the body as a whole is no array and no lines of JSON.
    """
    body, media_type = await read_body(request, BATCH_BYTES, JSON, NDJSON)
    raw = list(_lines(body)) if media_type == NDJSON else _array(body)
    if len(raw) > BATCH_ITEMS:
        raise BodyTooLarge(f"The batch has {len(raw)} skills; at most {BATCH_ITEMS} are taken. Send several batches.")
    adapter = TypeAdapter(model)
    return [_item(adapter, item, index) for index, item in enumerate(raw)], body


def _item(adapter: TypeAdapter[M], item: object, index: int) -> M | CINError:
    if isinstance(item, CINError):
        return item
    try:
        return adapter.validate_json(item) if isinstance(item, bytes) else adapter.validate_python(item)
    except ValidationError as error:
        return from_validation_error(error, f"body.{index}")


def _lines(body: bytes) -> Iterator[bytes]:
    return (line for line in body.split(b"\n") if line.strip())


def _array(body: bytes) -> list[object]:
    try:
        items = from_json(body)  # as a single skill is read: orjson would turn an integer of 65 bits into a float
    except ValueError:
        items = _array_with_flaws(body)
    if not isinstance(items, list):
        raise InvalidInput("A batch is a JSON array of skills, or lines of JSON sent as application/x-ndjson.")
    return items


def _array_with_flaws(body: bytes) -> object:
    """pydantic refuses a whole document for one lone surrogate; the item that has it shall fail alone."""
    try:
        return json.loads(body.decode(), parse_int=_integer)
    except RecursionError:
        raise InvalidInput("The body is nested too deeply to be read.", [("body", "is nested too deeply")]) from None
    except ValueError as error:
        raise InvalidInput(f"The body is not JSON: {str(error)[:200]}.", [("body", "is not JSON")]) from None


def _integer(digits: str) -> int | float:
    """An integer, or what the rules refuse if it is longer than any that is kept."""
    return int(digits) if len(digits) <= 20 else math.inf


def _too_large(max_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(f"The body has more than {max_bytes:,} bytes, which is the most that is taken here.")
