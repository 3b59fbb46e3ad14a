"""Answers that processes share, in Redis. Whoever takes one holds it against its own index, as any other.

They are kept by the network, its epoch and the rules by which they were found, so programs of other rules do not meet.
"""

from app.eventlog.network import Network
from app.query.checkpoint import rules
from app.storage.redis import Redis, RedisTrouble

KEEP_SECONDS = 900
"""It bounds Redis' memory, not how old an answer may be: what is asked oftener is kept by each process anyway."""

LARGEST_BYTES = 64 * 1024
"""Answers that are larger are kept by each process alone: who asks for a small one would wait for them to pass."""


class RedisAnswers:
    """The answers of one network."""

    def __init__(self, redis: Redis, network: Network) -> None:
        self._redis = redis
        self._prefix = f"{redis.name}:{network.id}:answer:{rules()}:".encode()

    async def get(self, key: bytes) -> bytes | None:
        try:
            found = await self._redis.ask("GET", self._prefix + key)
        except RedisTrouble:
            return None
        return found if isinstance(found, bytes) else None

    async def put(self, key: bytes, value: bytes) -> None:
        if len(value) <= LARGEST_BYTES:
            self._redis.tell("SET", self._prefix + key, value, "EX", KEEP_SECONDS)
