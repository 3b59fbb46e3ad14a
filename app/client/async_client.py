"""The asyncio client: the methods of `Client`, awaited. What they do, take and raise is written there."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from functools import partial
from typing import Unpack

import httpx

from app.client import calls
from app.client.acknowledger import AsyncAcknowledger
from app.client.calls import Filters, SkillFields
from app.client.errors import CINError
from app.client.retry import Tries
from app.client.stream import StreamFilters
from app.client.subscription import AsyncSubscription, Route, Wish
from app.client.values import AgentStatus, BatchResult, Captured, Delivery, MatchResult, Skill, SkillPage, SkillVersion
from app.client.wire import Address, Call, T, build, connection_failed, raise_for_problem


class AsyncClient:
    """A connection to one CIN server, for asyncio.

        async with AsyncClient("http://127.0.0.1:8005", agent="builder") as cin:
            await cin.capture(pattern="No module named 'yaml'", resolution="pip install pyyaml")
            async with cin.subscribe() as events:
                async for event in events:
                    ...

    Arguments, settings and errors are those of `Client`.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        agent: str | None = None,
        api_key: str | None = None,
        timeout: float = 10.0,
        tries: int = 4,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._address = Address.resolve(url, agent, api_key)
        self._timeout = timeout
        self._tries = tries
        self._http = httpx.AsyncClient(
            base_url=self._address.url,
            headers=self._address.headers(),
            transport=transport,
            verify=self._address.needs_certificates,
        )

    @property
    def url(self) -> str:
        return self._address.url

    @property
    def agent(self) -> str | None:
        return self._address.agent

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections; subscriptions should be closed before."""
        await self._http.aclose()

    async def capture(self, *, idempotency_key: str | None = None, **fields: Unpack[SkillFields]) -> Captured:
        """`await cin.capture(pattern="EADDRINUSE", resolution="Stop the other server.")`"""
        return await self._send(calls.capture(fields, idempotency_key))

    async def capture_many(self, skills: Iterable[Mapping[str, object]]) -> BatchResult:
        """`await cin.capture_many([{"pattern": "EADDRINUSE", "resolution": "Stop the other server."}])`"""
        return calls.merged([await self._send(calls.capture_batch(lines, None)) for lines in calls.batches(skills)])

    async def capture_batch(self, lines: Iterable[bytes], *, idempotency_key: str | None = None) -> BatchResult:
        """`await cin.capture_batch([b'{"pattern":"EADDRINUSE","resolution":"Stop it."}'])`"""
        return await self._send(calls.capture_batch(lines, idempotency_key))

    async def revise(self, skill_id: str, version: int, **fields: Unpack[SkillFields]) -> Skill:
        """`await cin.revise(skill.id, skill.version, pattern=skill.pattern, resolution="uv add pyyaml")`"""
        return await self._send(calls.revise(skill_id, version, fields))

    async def retire(self, skill_id: str) -> None:
        """`await cin.retire(skill.id)`"""
        await self._send(calls.retire(skill_id))

    async def outcome(
        self, skill_id: str, success: bool, detail: str | None = None, *, idempotency_key: str | None = None
    ) -> Skill:
        """`await cin.outcome(skill.id, success=True)`"""
        fields = {"success": success, "agent": self.agent, "detail": detail}
        return await self._send(calls.outcome(skill_id, fields, idempotency_key))

    async def match(self, message: str, *, error_type: str | None = None, limit: int = 5) -> MatchResult:
        """`result = await cin.match("Error: connect ECONNREFUSED 127.0.0.1:5432")`"""
        return await self._send(calls.match(message, error_type, limit))

    def search(self, q: str, *, limit: int | None = 20, **filters: Unpack[Filters]) -> AsyncIterator[Skill]:
        """`async for skill in cin.search("heap out of memory", tag="node"): ...`"""
        return self.list(q=q, limit=limit, **filters)

    async def get(self, skill_id: str) -> Skill:
        """`skill = await cin.get("0197f2a4-5b7c-7e21-9d3a-1f0e6b8c2d44")`"""
        return await self._send(calls.get(skill_id))

    async def page(
        self, *, q: str | None = None, limit: int = 20, cursor: str | None = None, **filters: Unpack[Filters]
    ) -> SkillPage:
        """`page = await cin.page(sort="newest", limit=50)`"""
        return await self._send(calls.page(q, filters, limit, cursor))

    async def list(
        self, *, q: str | None = None, limit: int | None = None, **filters: Unpack[Filters]
    ) -> AsyncIterator[Skill]:
        """`async for skill in cin.list(error_type="ImportError"): ...`"""
        left, cursor = limit, None
        while left is None or left > 0:
            page = await self.page(q=q, limit=calls.page_size(left), cursor=cursor, **filters)
            for skill in page.skills:
                yield skill
            left = None if left is None else left - len(page.skills)
            cursor = page.next_cursor
            if cursor is None:
                return

    async def versions(self, skill_id: str) -> tuple[SkillVersion, ...]:
        """`texts = [version.resolution for version in await cin.versions(skill.id)]`"""
        return await self._send(calls.versions(skill_id))

    async def version(self, skill_id: str, number: int) -> SkillVersion:
        """`original = await cin.version(skill.id, 1)`"""
        return await self._send(calls.version(skill_id, number))

    def subscribe(
        self,
        *,
        since: str | int | None = None,
        agent: str | None = None,
        position_file: str | os.PathLike[str] | None = None,
        acknowledge: bool = True,
        strict: bool = False,
        **filters: Unpack[StreamFilters],
    ) -> AsyncSubscription:
        """`async with cin.subscribe(agent="builder") as events: ...`"""
        name = agent or self.agent
        wish = Wish(since=since, agent=name, strict=strict, position_file=position_file, filters=filters)
        tell = AsyncAcknowledger(partial(self._acknowledge_once, name)) if name and acknowledge else None
        return AsyncSubscription(self._http, Route(wish, self.url, self._timeout), tell)

    async def _acknowledge_once(self, name: str, position: str) -> None:
        await self._send(calls.acknowledge(name, position), tries=1)

    async def register(
        self, name: str | None = None, capabilities: Sequence[str] = ("skill_broadcast",)
    ) -> AgentStatus:
        """`await cin.register("builder")`"""
        return await self._send(calls.register(name or self.agent, capabilities))

    async def agents(self) -> tuple[AgentStatus, ...]:
        """`behind = [agent.name for agent in await cin.agents() if agent.lag]`"""
        return await self._send(calls.agents())

    async def acknowledge(self, position: str, agent: str | None = None) -> None:
        """`await cin.acknowledge(event.id)`"""
        await self._send(calls.acknowledge(agent or self.agent, position))

    async def delivery(self, skill_id: str) -> Delivery:
        """`complete = (await cin.delivery(skill.id)).complete`"""
        return await self._send(calls.delivery(skill_id))

    async def info(self) -> dict[str, object]:
        """`version = (await cin.info())["version"]`"""
        return await self._send(calls.info())

    async def _send(self, call: Call[T], tries: int | None = None) -> T:
        attempts = Tries(call, tries or self._tries)
        while True:
            try:
                return await self._send_once(call)
            except CINError as error:
                wait_seconds = attempts.wait_after(error)
                if wait_seconds is None:
                    raise
            await asyncio.sleep(wait_seconds)

    async def _send_once(self, call: Call[T]) -> T:
        if self._http.is_closed:
            raise CINError("This client is closed; make another one.")
        try:
            response = await self._http.send(build(self._http, call, self._timeout))
        except httpx.RequestError as error:
            raise connection_failed(self.url, error) from error
        raise_for_problem(response)
        return call.read(response)
