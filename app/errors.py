"""Every way in which CIN can say no, each with a status, a slug and a sentence the caller can act on.

    CINError
    ├── InvalidInput            422  what was sent breaks a rule; `errors` names each place
    ├── OriginRefused           403  a WebSocket from a page of another site
    ├── SkillNotFound           404
    ├── AgentNotFound           404
    ├── RouteNotFound           404
    ├── MethodNotAllowed        405
    ├── SkillConflict           409  another skill has that name or that content
    ├── SkillRetired            409
    ├── AlreadySubscribed       409  on a WebSocket that has its subscription
    ├── IdempotencyKeyInUse     409  the first request with the key is still running
    ├── IdempotencyKeyReused    422  same key, other request
    ├── VersionMissing          428  `If-Match` is required
    ├── VersionStale            412  somebody else changed the skill first
    ├── PositionUnavailable     410  a position that cannot be served, on a strict stream
    ├── BodyTooLarge            413
    ├── MediaTypeUnsupported    415
    ├── StreamLimitReached      503  all `CIN_MAX_STREAMS` streams are taken
    ├── Unavailable             503  starting, draining, or the database does not answer
    ├── StorageFull             507  the disk has no room for this capture
    └── StartupError             -   the program cannot start; the sentence is for the terminal

Raised where it is known, rendered once, in `app.problems`.
"""

from typing import ClassVar


class CINError(Exception):
    """Base of all. `detail` says what happened and what to do; `title` is the same for every instance of a class."""

    status: ClassVar[int] = 500
    slug: ClassVar[str] = "internal"
    title: ClassVar[str] = "Something went wrong on the server"
    retry_after_seconds: ClassVar[int | None] = None

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail

    def to_problem(self) -> dict[str, object]:
        """The members of an RFC 9457 problem; the edge adds `instance`."""
        return {"type": f"/problems/{self.slug}", "title": self.title, "status": self.status, "detail": self.detail}


class InvalidInput(CINError):
    """`errors` holds one `(loc, msg)` for each broken rule; `loc` is a path such as `body.tags.3`."""

    status = 422
    slug = "invalid-input"
    title = "The request breaks a rule"

    def __init__(self, detail: str, errors: list[tuple[str, str]] | None = None) -> None:
        super().__init__(detail)
        self.errors = errors or []

    def to_problem(self) -> dict[str, object]:
        return {**super().to_problem(), "errors": [{"loc": loc, "msg": msg} for loc, msg in self.errors]}


class OriginRefused(CINError):
    status = 403
    slug = "origin-refused"
    title = "Pages of other sites are not served"


class SkillNotFound(CINError):
    status = 404
    slug = "skill-not-found"
    title = "There is no such skill"


class AgentNotFound(CINError):
    status = 404
    slug = "agent-not-found"
    title = "There is no such agent"


class RouteNotFound(CINError):
    status = 404
    slug = "route-not-found"
    title = "There is nothing at this path"


class MethodNotAllowed(CINError):
    status = 405
    slug = "method-not-allowed"
    title = "This path does not take that method"


class SkillConflict(CINError):
    status = 409
    slug = "skill-conflict"
    title = "Another skill stands in the way"


class SkillRetired(CINError):
    status = 409
    slug = "skill-retired"
    title = "The skill is retired"


class AlreadySubscribed(CINError):
    status = 409
    slug = "already-subscribed"
    title = "A connection has one subscription"


class IdempotencyKeyInUse(CINError):
    status = 409
    slug = "idempotency-key-in-use"
    title = "The first request with this key is still running"
    retry_after_seconds = 1


class IdempotencyKeyReused(CINError):
    status = 422
    slug = "idempotency-key-reused"
    title = "This key was used for another request"


class VersionMissing(CINError):
    status = 428
    slug = "version-missing"
    title = "If-Match is required"


class VersionStale(CINError):
    status = 412
    slug = "version-stale"
    title = "The skill has changed since"


class PositionUnavailable(CINError):
    """`reason` is `expired`, `epoch` or `ahead`; `earliest` and `head` are positions, as text."""

    status = 410
    slug = "position-unavailable"
    title = "That position cannot be served"

    def __init__(self, detail: str, *, reason: str, earliest: str, head: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.earliest = earliest
        self.head = head

    def to_problem(self) -> dict[str, object]:
        return {**super().to_problem(), "reason": self.reason, "earliest": self.earliest, "head": self.head}


class BodyTooLarge(CINError):
    status = 413
    slug = "body-too-large"
    title = "The body is too large"


class MediaTypeUnsupported(CINError):
    status = 415
    slug = "media-type-unsupported"
    title = "This media type is not understood here"


class StreamLimitReached(CINError):
    status = 503
    slug = "stream-limit-reached"
    title = "All streams are taken"
    retry_after_seconds = 5


class Unavailable(CINError):
    status = 503
    slug = "unavailable"
    title = "The server cannot answer now"
    retry_after_seconds = 2


class StorageFull(CINError):
    status = 507
    slug = "storage-full"
    title = "The disk is full"
    retry_after_seconds = 30


class StartupError(CINError):
    """The program cannot start. Printed as one sentence; the process then exits with code 2."""

    slug = "startup"
    title = "CIN cannot start"
