"""Structured logs: an event name in the past tense, and fields. Console for people, JSON for machines, both to stderr."""

import logging
import sys
from asyncio import CancelledError
from typing import Literal

import structlog


def configure_logging(log_format: Literal["auto", "console", "json"], level: str, **fields: object) -> None:
    """Send CIN's lines and those of the standard library (uvicorn, alembic) through one renderer.

    Every line has `fields`, too.
    """
    as_json = log_format == "json" or (log_format == "auto" and not sys.stderr.isatty())
    shared: list[structlog.typing.Processor] = [
        lambda _logger, _method, line: {**fields, **line},
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if as_json
        # Its default draws frames around every line of a traceback, and takes a second of processor time for each.
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, renderer] if as_json else [*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta]
            + ([structlog.processors.format_exc_info] if as_json else [])
            + [renderer],
        )
    )
    handler.addFilter(_is_not_a_cancellation)
    handler.addFilter(_is_not_of_a_socket)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "alembic"):
        logger = logging.getLogger(name)
        logger.handlers = []
        logger.propagate = True
    logging.getLogger("uvicorn.access").disabled = True
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)


def _is_not_a_cancellation(record: logging.LogRecord) -> bool:
    """uvicorn reports requests that it cancels at its exit as errors of the application, each with its traceback."""
    return not (record.exc_info and record.exc_info[0] is not None and issubclass(record.exc_info[0], CancelledError))


_OF_SOCKETS = ("Invalid UTF-8 sequence received from client.", "ASGI callable returned without completing handshake.")


def _is_not_of_a_socket(record: logging.LogRecord) -> bool:
    """uvicorn reports a WebSocket's bad text with a traceback, and every refused handshake as an error."""
    return not (record.name == "uvicorn.error" and record.msg in _OF_SOCKETS)
