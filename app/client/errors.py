"""Every error the client raises.

CINError
├── ConnectionFailed        no answer: the server cannot be reached, or broke off
├── AnswerNotUnderstood     an answer that is not CIN's (a proxy's page, another program on that port)
├── CaptureKept             a shared state's capture was not answered in time; it is kept, and sent when the server is back
├── OutboxFull              a shared state keeps as much as it may: nothing more until the server is back
└── ProblemError            the server answered with a problem (RFC 9457)
    ├── NotFound            404
    ├── Conflict            409
    ├── PreconditionFailed  412, 428
    ├── InvalidInput        413, 415, 422
    └── Unavailable         429, 503, 507: later it may work; `retry_after` says when
"""

import msgspec


class CINError(Exception):
    """Anything that goes wrong between this client and the server; its text is a sentence for people."""


class ConnectionFailed(CINError):
    """No answer came. `sent` is False when the request surely never arrived; otherwise it may have."""

    def __init__(self, url: str, reason: str, *, sent: bool) -> None:
        super().__init__(f"{url} cannot be reached ({reason}): is `cin serve` running there, and is CIN_URL right?")
        self.url = url
        self.reason = reason
        self.sent = sent


class AnswerNotUnderstood(CINError):
    """The answer is not one that a CIN server gives."""

    def __init__(self, url: str, status: int) -> None:
        super().__init__(
            f"{url} answered {status} with something that is not CIN's: does CIN_URL point at a CIN server?"
        )
        self.url = url
        self.status = status


class CaptureKept(CINError):
    """No answer in time. The capture is kept, and sent when the server can be reached: it needs no second one."""

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"The capture was not answered within {seconds:g} s. It is kept, and sent when the server can be reached."
        )


class OutboxFull(CINError):
    """The server has been away for so long that no more can be kept; what was kept before still is."""

    def __init__(self, most: int) -> None:
        super().__init__(
            f"{most:,} captures or outcomes wait for the server, and no more are kept: try again when it is back, "
            "or give the client a higher `most_kept`."
        )


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """The body of a problem answer."""

    type: str = "about:blank"
    title: str = ""
    status: int = 0
    detail: str = ""
    instance: str | None = None
    errors: tuple[dict[str, object], ...] = ()

    def __str__(self) -> str:
        """One line: the detail, then the fields it names unless the detail does so already."""
        text = self.detail or self.title
        fields = [f"{_where(error)}: {error.get('msg', '')}" for error in self.errors]
        return " ".join([text, *(f"({field})" for field in fields if field not in text)]).strip()


class ProblemError(CINError):
    """The server refused; nothing was changed. `detail` says what to do, `errors` names fields (422).

    `retry_after` is in seconds and None when the server gave none; `instance` is the request's id in its logs.
    """

    def __init__(self, problem: Problem, status: int, retry_after: float | None = None) -> None:
        super().__init__(str(problem) or f"The server answered {status}.")
        self.status = status
        self.type = problem.type
        self.title = problem.title
        self.detail = problem.detail
        self.instance = problem.instance
        self.errors = problem.errors
        self.retry_after = retry_after


class NotFound(ProblemError):
    """404: no such skill, version or agent in this network."""


class Conflict(ProblemError):
    """409: another skill has this name, or a capture with this key is still running."""


class PreconditionFailed(ProblemError):
    """412: the skill has moved on since that version; read it again. 428: no version was given."""


class InvalidInput(ProblemError):
    """413, 415, 422: what was sent cannot be taken; `errors` names the fields."""


class Unavailable(ProblemError):
    """429, 503, 507: not now. `retry_after` says when, if the server knows."""


_BY_STATUS: dict[int, type[ProblemError]] = {
    404: NotFound,
    409: Conflict,
    412: PreconditionFailed,
    413: InvalidInput,
    415: InvalidInput,
    422: InvalidInput,
    428: PreconditionFailed,
    429: Unavailable,
    503: Unavailable,
    507: Unavailable,
}


def problem_error(problem: Problem, status: int, retry_after: float | None = None) -> ProblemError:
    """The error that callers branch on for this status."""
    return _BY_STATUS.get(status, ProblemError)(problem, status, retry_after)


def _where(error: dict[str, object]) -> str:
    loc = error.get("loc")
    return ".".join(str(part) for part in loc) if isinstance(loc, list | tuple) else str(loc)
