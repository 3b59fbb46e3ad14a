"""Redis beside real servers: they share answers, wakes and presence by it, and no request fails whatever becomes of it."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from uuid import uuid4

import httpx
import orjson
import pytest

from app.metrics import Metrics
from app.query.answer_cache import AnswerCache
from app.query.matcher import Matcher
from app.query.question import MatchQuestion
from app.query.rendering import as_json
from app.query.shared_answers_redis import RedisAnswers
from app.storage.redis import open_redis
from tests.inside import application, run, within
from tests.postgres import Postgres
from tests.proxy import proxy_to
from tests.server import Server, wait_until
from tests.streams import EventStream
from tests.valkey import Valkey

LONGEST_SECONDS = 1.0
"""What a request may take while something is wrong with Redis: it waits for it 0.02 s, the rest is a busy machine."""


@pytest.fixture(scope="module")
def servers(
    postgres: Postgres, shared_valkey: Valkey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Server, Server]]:
    """Two processes on one database, which look at the log by themselves once in a minute."""
    database = postgres.new()

    def made(name: str) -> Server:
        return Server(
            tmp_path_factory.mktemp(name),
            database_url=database,
            redis_url=shared_valkey.url,
            index_folder="memory",
            poll_seconds="60",
        )

    with made("one") as one, made("other") as other:
        for server in (one, other):
            wait_until(lambda server=server: server.metric("cin_redis_up") == 1)  # type: ignore[misc]
        yield one, other


def capture(server: Server, **skill: object) -> dict[str, object]:
    answer = httpx.post(f"{server.url}/skills", json={"resolution": f"do {uuid4()}", **skill})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def match(server: Server, message: str, **headers: str) -> dict[str, object]:
    answer = httpx.post(f"{server.url}/match", json={"message": message}, headers=headers)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def shared(server: Server) -> float:
    return server.metric('cin_answers_total{tier="shared"}')


# Two processes


def test_question_answered_on_one_is_shared_with_the_other(servers: tuple[Server, Server]) -> None:
    one, other = servers
    message = f"error: no {uuid4()} here"
    skill = capture(one, pattern=message)
    before = shared(other)
    answered = match(one, message)
    again = match(other, message, **{"CIN-Min-Position": str(skill["position"])})
    assert again == answered
    assert shared(other) == before + 1


def test_captures_of_one_wake_the_other(servers: tuple[Server, Server]) -> None:
    one, other = servers
    with EventStream(other.url) as stream:
        stream.start()
        seconds = []
        for _ in range(20):
            started = time.perf_counter()
            skill = capture(one, pattern=f"wake {uuid4()}")
            (event,) = stream.events(1)
            seconds.append(time.perf_counter() - started)
            assert event.data["skill"]["id"] == skill["id"]
    assert sorted(seconds)[10] < 0.2


def test_agents_are_shown_with_their_connections_to_both(servers: tuple[Server, Server]) -> None:
    one, other = servers
    name = f"agent-{uuid4()}"

    def shown(server: Server, connections: int) -> bool:
        agents = httpx.get(f"{server.url}/agents").json()["agents"]
        return [agent["connections"] for agent in agents if agent["name"] == name] == [connections]

    with EventStream(one.url, {"agent": name}) as stream:
        stream.start()
        wait_until(lambda: shown(one, 1) and shown(other, 1))
        with EventStream(other.url, {"agent": name}) as second:
            second.start()
            wait_until(lambda: shown(one, 2) and shown(other, 2))
        wait_until(lambda: shown(one, 1) and shown(other, 1))


def test_info_says_whether_redis_answers(servers: tuple[Server, Server], server: Server) -> None:
    assert httpx.get(f"{servers[0].url}/info").json()["redis"] is True
    assert httpx.get(f"{server.url}/info").json()["redis"] is None


def test_answers_of_another_process_are_never_older_than_the_own_index(
    postgres: Postgres, shared_valkey: Valkey, tmp_path: Path
) -> None:
    """One process changes skills and is asked, the other holds what it finds in Redis against its own index."""
    url, redis_url = postgres.new(), shared_valkey.url
    chance = Random(7)
    messages = [f"error[E{number}]: module {number} is missing" for number in range(8)]

    async def go(other: Server, api: httpx.Client) -> tuple[float, float]:
        async with application(tmp_path, database_url=url, redis_url=redis_url, index_folder="memory") as cin:
            parts, metrics = cin.parts, Metrics()
            async with open_redis(redis_url, f"cin:{parts.network.epoch}", metrics) as redis:
                await within(redis.up())
                tier = RedisAnswers(redis, parts.network)
                sharing = Matcher(parts.network, parts.follower, AnswerCache(metrics, max_bytes=0, shared=tier))
                plain = Matcher(parts.network, parts.follower, AnswerCache(Metrics(), max_bytes=0))
                for _ in range(100):
                    await asyncio.to_thread(change, api)
                    for message in chance.sample(messages, 2):
                        question = MatchQuestion(message, None, 5)
                        await asyncio.to_thread(match, other, message)
                        before = await plain.match(question, as_json)
                        answered = await sharing.match(question, as_json)
                        right = await plain.match(question, as_json)  # the change may have come meanwhile
                        everything = await plain.match(MatchQuestion(message, None, 50), as_json)
                        assert answered.body in (before.body, right.body) or is_newer(answered.body, everything.body)
                taken, found = (
                    metrics.registry.get_sample_value("cin_answers_total", {"tier": tier}) or 0
                    for tier in ("shared", "found")
                )
                return taken, found

    ids: list[str] = []

    def change(api: httpx.Client) -> None:
        what = chance.random()
        if what < 0.3 or not ids:
            skill = {"pattern": chance.choice(messages), "resolution": f"install {chance.randrange(30)}"}
            ids.append(api.post("/skills", json=skill).json()["id"])
        elif what < 0.4:
            api.delete(f"/skills/{ids.pop(chance.randrange(len(ids)))}")
        elif what < 0.5:
            skill = {"pattern": chance.choice(messages), "resolution": f"revise {uuid4()}"}
            api.put(f"/skills/{chance.choice(ids)}", json=skill, headers={"If-Match": "*"})
        elif what < 0.7:
            api.post(f"/skills/{chance.choice(ids)}/outcomes", json={"success": True, "agent": f"a{chance.random()}"})

    with (
        Server(tmp_path, database_url=url, redis_url=redis_url, index_folder="memory") as other,
        httpx.Client(base_url=other.url) as api,
    ):
        taken, found = run(go(other, api))
    assert taken > 50
    assert found > 0


def is_newer(answered: bytes, everything: bytes) -> bool:
    """Whether it has skills as they are, with counters that are newer here and there and none that are older."""
    theirs, ours = (
        {m["skill"]["id"]: m["skill"] for m in orjson.loads(each)["matches"]} for each in (answered, everything)
    )
    counters = [
        (theirs[id][name], ours[id][name]) for id in theirs.keys() & ours.keys() for name in ("captures", "usage_count")
    ]
    return (
        theirs.keys() <= ours.keys()
        and all(theirs[id]["position"] == ours[id]["position"] for id in theirs)
        and all(their >= our for their, our in counters)
        and any(their > our for their, our in counters)
    )


# Harm


class Harm:
    """What is done to a Valkey, and how it is undone."""

    def __init__(self, do: Callable[[Valkey], object], undo: Callable[[Valkey], object], *, is_down: bool) -> None:
        self.do = do
        self.undo = undo
        self.is_down = is_down


def command(*words: str) -> Callable[[Valkey], object]:
    def send(valkey: Valkey) -> object:
        with valkey.client() as client:
            return client.execute_command(*words)

    return send


def fill_up(valkey: Valkey) -> None:
    command("CONFIG", "SET", "maxmemory-policy", "noeviction")(valkey)
    command("CONFIG", "SET", "maxmemory", "1")(valkey)


def restart(valkey: Valkey) -> None:
    valkey.kill()
    valkey.start()


HARMS = {
    "killed": Harm(Valkey.kill, Valkey.start, is_down=True),
    "halted": Harm(Valkey.halt, Valkey.go_on, is_down=True),
    "restarted": Harm(restart, lambda _: None, is_down=False),
    "read-only": Harm(command("REPLICAOF", "127.0.0.1", "1"), command("REPLICAOF", "NO", "ONE"), is_down=False),
    "full": Harm(fill_up, command("CONFIG", "SET", "maxmemory", "0"), is_down=False),
}


@contextmanager
def served(valkey_url: str, folder: Path) -> Iterator[tuple[Server, httpx.Client]]:
    with Server(folder, redis_url=valkey_url) as server, httpx.Client(base_url=server.url, timeout=10) as api:
        wait_until(lambda: server.metric("cin_redis_up") == 1)
        yield server, api


def use(api: httpx.Client, rounds: int) -> float:
    """Ask, capture and look; none of it fails. Returns the longest time that one took."""
    longest = 0.0
    for _ in range(rounds):
        for method, path, body in (
            ("POST", "/match", {"message": f"never seen: {uuid4()}"}),
            ("POST", "/skills", {"pattern": f"pattern {uuid4()}", "resolution": "x"}),
            ("GET", "/agents", None),
            ("GET", "/readyz", None),
        ):
            started = time.perf_counter()
            answer = api.request(method, path, json=body)
            longest = max(longest, time.perf_counter() - started)
            assert answer.is_success, (method, path, answer.text)
    return longest


@pytest.mark.parametrize("name", HARMS)
def test_harm_to_redis_fails_no_request(name: str, valkey: Valkey, tmp_path: Path) -> None:
    harm = HARMS[name]
    with served(valkey.url, tmp_path) as (server, api):
        use(api, 5)
        harm.do(valkey)
        longest = use(api, 20)
        if harm.is_down:
            wait_until(lambda: server.metric("cin_redis_up") == 0)
            longest = max(longest, use(api, 5))
        harm.undo(valkey)
        wait_until(lambda: server.metric("cin_redis_up") == 1)
        use(api, 2)
        with valkey.client() as client:
            client.flushall()
            match(server, f"seen again {uuid4()}")
            wait_until(lambda: bool(client.keys("*:answer:*")), what="an answer in Redis")
    print(f"{name}: {longest * 1000:.0f} ms at most")
    assert longest < LONGEST_SECONDS


def test_slow_redis_fails_no_request(valkey: Valkey, tmp_path: Path) -> None:
    async def slow() -> float:
        async with proxy_to(valkey.socket) as proxy:
            running = served(f"redis://127.0.0.1:{proxy.port}", tmp_path)
            server, api = await asyncio.to_thread(running.__enter__)
            try:
                proxy.delay_seconds = 0.1
                longest = await asyncio.to_thread(use, api, 20)
                await asyncio.to_thread(wait_until, lambda: server.metric("cin_redis_up") == 0)
                proxy.delay_seconds = 0.0
                await asyncio.to_thread(wait_until, lambda: server.metric("cin_redis_up") == 1)
                return longest
            finally:
                await asyncio.to_thread(running.__exit__, None, None, None)

    assert run(slow()) < LONGEST_SECONDS
