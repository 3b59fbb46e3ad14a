"""How many files this process may have open, which is how many streams it can: each has a descriptor of its own."""

import resource

import structlog

from app.settings import Settings

log = structlog.get_logger(__name__)

OTHERS = 200
"""Descriptors that are left for everything else: requests, the database, the index, Redis, listeners."""


def fit_streams(settings: Settings) -> Settings:
    """Raise the limit as far as the system lets us, and take no more streams than fit.

    Those above get the answer for a full server; without a descriptor they would get none.
    """
    fitting = max(0, _raised() - OTHERS)
    return settings.model_copy(update={"max_streams": min(settings.max_streams, fitting)})


def tell_limit(wanted: Settings, fitting: Settings) -> None:
    """Say in one line that fewer streams fit than were wanted, if that is so."""
    if fitting.max_streams < wanted.max_streams:
        log.warning(
            "streams_limited",
            streams=fitting.max_streams,
            wanted=wanted.max_streams,
            next="raise the hard limit on open files (`ulimit -Hn`, LimitNOFILE=), or set CIN_MAX_STREAMS to what fits",
        )


def _raised() -> int:
    """The hard limit, which is the soft one from now on."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError):  # where the hard limit is more than the system gives, as on macOS
            return soft
    return hard if hard != resource.RLIM_INFINITY else 2**31
