"""The blocking client: every verb of the network as a method, retried where a second arrival changes nothing."""

import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Unpack

import httpx

from app.client import calls
from app.client.acknowledger import Acknowledger
from app.client.calls import Filters, SkillFields
from app.client.errors import CINError
from app.client.retry import Tries
from app.client.stream import StreamFilters
from app.client.subscription import Route, Subscription, Wish
from app.client.values import AgentStatus, BatchResult, Captured, Delivery, MatchResult, Skill, SkillPage, SkillVersion
from app.client.wire import Address, Call, T, build, connection_failed, raise_for_problem


class Client:
    """A connection to one CIN server, for threads and scripts. It may be shared between threads.

        with Client("http://127.0.0.1:8005", agent="builder") as cin:
            cin.capture(pattern="No module named 'yaml'", resolution="pip install pyyaml")

    What is not given comes from CIN_URL, CIN_AGENT and CIN_API_KEY. `timeout` is in seconds and per answer; `tries` is
    how often a call is sent at most when connections break or the server is busy (429, 503). Every method raises
    `ConnectionFailed` when no answer comes and a `ProblemError` when the server refuses.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        agent: str | None = None,
        api_key: str | None = None,
        timeout: float = 10.0,
        tries: int = 4,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._address = Address.resolve(url, agent, api_key)
        self._timeout = timeout
        self._tries = tries
        self._http = httpx.Client(
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

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections; subscriptions should be closed before."""
        self._http.close()

    # Capture

    def capture(self, *, idempotency_key: str | None = None, **fields: Unpack[SkillFields]) -> Captured:
        """Write a skill down. When this returns it is on disk, once, however often it had to be sent.

            captured = cin.capture(
                error_type="ImportError", pattern="No module named 'django'", resolution="pip install django"
            )
            print("new" if captured.created else "known", captured.skill.name)

        Raises `InvalidInput` for fields that break a rule and `Conflict` for a name that another skill has.
        """
        return self._send(calls.capture(fields, idempotency_key))

    def capture_many(self, skills: Iterable[Mapping[str, object]]) -> BatchResult:
        """Capture any number of skills, up to 1,000 in a request; one bad skill spoils no other.

            result = cin.capture_many([{"pattern": "EADDRINUSE", "resolution": "Stop the other server."}])
            print(result.created, result.known, result.failed)

        The results stand in the order given. When a request fails for good, those before it have been captured.
        """
        return calls.merged(self._send(calls.capture_batch(lines, None)) for lines in calls.batches(skills))

    def capture_batch(self, lines: Iterable[bytes], *, idempotency_key: str | None = None) -> BatchResult:
        """Send one batch of skills that are JSON already: at most 1,000, at most 16 MiB.

        cin.capture_batch([b'{"pattern":"EADDRINUSE","resolution":"Stop it."}'], idempotency_key="import-7")
        """
        return self._send(calls.capture_batch(lines, idempotency_key))

    def revise(self, skill_id: str, version: int, **fields: Unpack[SkillFields]) -> Skill:
        """Replace a skill's text, if `version` is still its newest; what is not given becomes empty, but `name`.

            cin.revise(skill.id, skill.version, pattern=skill.pattern, resolution="uv add pyyaml")

        Raises `PreconditionFailed` when somebody else was first.
        """
        return self._send(calls.revise(skill_id, version, fields))

    def retire(self, skill_id: str) -> None:
        """Take a skill out of lists and matches; its history stays readable.

        cin.retire("0197f2a4-5b7c-7e21-9d3a-1f0e6b8c2d44")
        """
        self._send(calls.retire(skill_id))

    def outcome(
        self, skill_id: str, success: bool, detail: str | None = None, *, idempotency_key: str | None = None
    ) -> Skill:
        """Report whether a skill helped; returns it with its new figures.

        cin.outcome(skill.id, success=False, detail="The module is called pyyaml.")
        """
        fields = {"success": success, "agent": self.agent, "detail": detail}
        return self._send(calls.outcome(skill_id, fields, idempotency_key))

    # Query

    def match(self, message: str, *, error_type: str | None = None, limit: int = 5) -> MatchResult:
        """Error text in, skills that fix it out, best first: a line, a stack trace or a whole build log up to 8 MiB.

            for match in cin.match("Error: connect ECONNREFUSED 127.0.0.1:5432").matches:
                print(match.kind, match.score, match.skill.resolution)

        `error_type` says what kind of error it is, where that is known. Nothing found is an empty result. A longer
        message raises `CINError`: nothing is cut off silently.
        """
        return self._send(calls.match(message, error_type, limit))

    def search(self, q: str, *, limit: int | None = 20, **filters: Unpack[Filters]) -> Iterator[Skill]:
        """Skills by words, as a person types them, the most relevant first unless `sort` says otherwise.

        for skill in cin.search("heap out of memory", tag="node"): ...
        """
        return self.list(q=q, limit=limit, **filters)

    def get(self, skill_id: str) -> Skill:
        """One skill; raises `NotFound`.

        print(cin.get("0197f2a4-5b7c-7e21-9d3a-1f0e6b8c2d44").resolution)
        """
        return self._send(calls.get(skill_id))

    def page(
        self, *, q: str | None = None, limit: int = 20, cursor: str | None = None, **filters: Unpack[Filters]
    ) -> SkillPage:
        """One page of the list, 1 to 100 skills; pass its `next_cursor` to get the next.

        page = cin.page(sort="newest", limit=50)
        """
        return self._send(calls.page(q, filters, limit, cursor))

    def list(self, *, q: str | None = None, limit: int | None = None, **filters: Unpack[Filters]) -> Iterator[Skill]:
        """All skills that pass the filters, fetched page by page as they are consumed; `limit` ends it earlier.

            for skill in cin.list(error_type="ImportError", sort="newest"):
                print(skill.name)

        Skills captured meanwhile make none come twice and leave none out.
        """
        left, cursor = limit, None
        while left is None or left > 0:
            page = self.page(q=q, limit=calls.page_size(left), cursor=cursor, **filters)
            yield from page.skills
            left = None if left is None else left - len(page.skills)
            cursor = page.next_cursor
            if cursor is None:
                return

    def versions(self, skill_id: str) -> tuple[SkillVersion, ...]:
        """Every version of a skill.

        texts = [version.resolution for version in cin.versions(skill.id)]
        """
        return self._send(calls.versions(skill_id))

    def version(self, skill_id: str, number: int) -> SkillVersion:
        """One version of a skill, 1 being the first; raises `NotFound`.

        original = cin.version(skill.id, 1)
        """
        return self._send(calls.version(skill_id, number))

    # Stream

    def subscribe(
        self,
        *,
        since: str | int | None = None,
        agent: str | None = None,
        position_file: str | os.PathLike[str] | None = None,
        acknowledge: bool = True,
        strict: bool = False,
        **filters: Unpack[StreamFilters],
    ) -> Subscription:
        """Every event from a place in the log on, each once and in order; reconnects for ever.

            with cin.subscribe(agent="builder", error_types=["ImportError"]) as events:
                for event in events:
                    if isinstance(event, Reset):
                        continue  # some events are lost to us: read the list again
                    print(event.offset, event.skill.name)

        `since` is `now` (default), `earliest`, an offset or a position. With `agent` (here or CIN_AGENT for the client)
        the server remembers what was acknowledged and goes on from there; `acknowledge=False` leaves that alone.
        `position_file` keeps the place on this side; once it holds one, `since` is not used.
        Filters: `tags`, `error_types`, `events`. Raises what the server refuses (4xx); with `strict` that includes a
        position that is gone (410), which otherwise comes as a `Reset`.
        """
        name = agent or self.agent
        wish = Wish(since=since, agent=name, strict=strict, position_file=position_file, filters=filters)
        tell = Acknowledger(partial(self._acknowledge_once, name)) if name and acknowledge else None
        return Subscription(self._http, Route(wish, self.url, self._timeout), tell)

    def _acknowledge_once(self, name: str, position: str) -> None:
        self._send(calls.acknowledge(name, position), tries=1)

    # Agents and delivery

    def register(self, name: str | None = None, capabilities: Sequence[str] = ("skill_broadcast",)) -> AgentStatus:
        """Make an agent known to the network, or refresh it; `name` is the client's agent unless given.

        cin.register("builder")
        """
        return self._send(calls.register(name or self.agent, capabilities))

    def agents(self) -> tuple[AgentStatus, ...]:
        """All agents of the network.

        behind = [agent.name for agent in cin.agents() if agent.lag]
        """
        return self._send(calls.agents())

    def acknowledge(self, position: str, agent: str | None = None) -> None:
        """Say that an agent has dealt with everything up to a position; it never moves back.

        cin.acknowledge(event.id)
        """
        self._send(calls.acknowledge(agent or self.agent, position))

    def delivery(self, skill_id: str) -> Delivery:
        """How many of the subscribing agents have acknowledged a skill.

        if not cin.delivery(skill.id).complete: ...
        """
        return self._send(calls.delivery(skill_id))

    def info(self) -> dict[str, object]:
        """What the server says of itself: version, tier, storage, epoch, head, durability.

        print(cin.info()["version"])
        """
        return self._send(calls.info())

    def _send(self, call: Call[T], tries: int | None = None) -> T:
        attempts = Tries(call, tries or self._tries)
        while True:
            try:
                return self._send_once(call)
            except CINError as error:
                wait_seconds = attempts.wait_after(error)
                if wait_seconds is None:
                    raise
            time.sleep(wait_seconds)

    def _send_once(self, call: Call[T]) -> T:
        if self._http.is_closed:
            raise CINError("This client is closed; make another one.")
        try:
            response = self._http.send(build(self._http, call, self._timeout))
        except httpx.RequestError as error:
            raise connection_failed(self.url, error) from error
        raise_for_problem(response)
        return call.read(response)
