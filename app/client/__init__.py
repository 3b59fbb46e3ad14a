"""The Python client of a CIN server. It knows the wire and nothing of the server.

`Client` blocks, `AsyncClient` is for asyncio; both offer the same verbs and the same values. `SharedStateClient` follows
a network in a thread and outlives its server; `SkillBuilder` and `auto_resolve` stand on it.
"""

import logging

from app.client.async_client import AsyncClient
from app.client.auto_resolve import AutoResolve, Resolved, Verdict, auto_resolve
from app.client.client import Client
from app.client.errors import (
    AnswerNotUnderstood,
    CaptureKept,
    CINError,
    Conflict,
    ConnectionFailed,
    InvalidInput,
    NotFound,
    OutboxFull,
    PreconditionFailed,
    Problem,
    ProblemError,
    Unavailable,
)
from app.client.shared_state import SharedStateClient
from app.client.skill_builder import SkillBuilder
from app.client.subscription import AsyncSubscription, Subscription
from app.client.values import (
    AgentStatus,
    BatchItem,
    BatchResult,
    Captured,
    Delivery,
    Event,
    Hello,
    Match,
    MatchResult,
    Reset,
    Skill,
    SkillPage,
    SkillVersion,
    Span,
)

__all__ = [
    "AgentStatus",
    "AnswerNotUnderstood",
    "AsyncClient",
    "AsyncSubscription",
    "AutoResolve",
    "BatchItem",
    "BatchResult",
    "CINError",
    "CaptureKept",
    "Captured",
    "Client",
    "Conflict",
    "ConnectionFailed",
    "Delivery",
    "Event",
    "Hello",
    "InvalidInput",
    "Match",
    "MatchResult",
    "NotFound",
    "OutboxFull",
    "PreconditionFailed",
    "Problem",
    "ProblemError",
    "Reset",
    "Resolved",
    "SharedStateClient",
    "Skill",
    "SkillBuilder",
    "SkillPage",
    "SkillVersion",
    "Span",
    "Subscription",
    "Unavailable",
    "Verdict",
    "auto_resolve",
]

logging.getLogger("app.client").addHandler(logging.NullHandler())  # silent unless the application listens
