"""A subscription against scripted answers: what it asks for, when it gives up, what it keeps."""

import asyncio
from collections import deque
from pathlib import Path

import httpx
import pytest

from app.client import AnswerNotUnderstood, AsyncClient, Client, Event, InvalidInput, Reset

STREAM = {"Content-Type": "text/event-stream"}
SKILL = '{"id":"s","name":"a-skill","resolution":"Do it."}'
HELLO = 'retry: 0\nevent: hello\ndata: {"network":"default","epoch":"k3f9","head":"k3f9-2"}\n\nid: k3f9-0\n\n'


def frame(offset: int) -> str:
    event = f'"id":"k3f9-{offset}","offset":{offset},"type":"skill.captured","at":"2026-11-22T08:00:00Z"'
    return f'id: k3f9-{offset}\nevent: skill.captured\ndata: {{{event},"skill":{SKILL}}}\n\n'


class Script:
    """Answers `GET /stream` one after the other and takes every acknowledgement."""

    def __init__(self, *answers: httpx.Response) -> None:
        self.streams: list[httpx.Request] = []
        self.acknowledged: list[str] = []
        self._answers = iter(answers)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "PUT":
            self.acknowledged.append(httpx.Response(200, content=request.content).json()["position"])
            return httpx.Response(204)
        self.streams.append(request)
        return next(self._answers)

    def client(self) -> Client:
        return Client("http://cin.test", transport=httpx.MockTransport(self))


def stream(*blocks: str) -> httpx.Response:
    return httpx.Response(200, headers=STREAM, text="".join(blocks))


def offsets(items: list[Event | Reset]) -> list[int]:
    return [item.offset for item in items if isinstance(item, Event)]


def test_subscription_goes_on_after_the_last_event_it_saw() -> None:
    script = Script(stream(HELLO, frame(1)), stream(HELLO, frame(1), frame(2)))
    with script.client() as cin, cin.subscribe(since="earliest", tags=["a", "b"]) as events:
        assert offsets([next(events), next(events)]) == [1, 2]
    first, second = script.streams
    assert first.url.params.multi_items() == [("since", "earliest"), ("tag", "a"), ("tag", "b")]
    assert "Last-Event-ID" not in first.headers
    assert second.headers["Last-Event-ID"] == "k3f9-1"
    assert "since" not in second.url.params


def test_subscription_waits_out_a_busy_server() -> None:
    busy = httpx.Response(503, headers={"Retry-After": "0"}, json={"detail": "All streams are taken."})
    gateway = httpx.Response(502, text="<h1>Bad gateway")
    script = Script(busy, gateway, stream(HELLO, frame(1)))
    with script.client() as cin, cin.subscribe() as events:
        assert offsets([next(events)]) == [1]


def test_subscription_raises_what_the_server_refuses() -> None:
    script = Script(httpx.Response(422, json={"detail": "`since` is no position."}))
    with script.client() as cin, cin.subscribe(since="yesterday") as events, pytest.raises(InvalidInput, match="since"):
        next(events)


def test_subscription_to_another_program_says_so() -> None:
    script = Script(httpx.Response(200, text="<h1>It works!"))
    with script.client() as cin, cin.subscribe() as events, pytest.raises(AnswerNotUnderstood):
        next(events)


def test_position_file_is_written_when_the_consumer_comes_back(tmp_path: Path) -> None:
    file = tmp_path / "position"
    script = Script(stream(HELLO, frame(1), frame(2)))
    with script.client() as cin, cin.subscribe(position_file=file) as events:
        next(events)
        assert file.read_text() == "k3f9-0\n"
        next(events)
        assert file.read_text() == "k3f9-1\n"
    assert file.read_text() == "k3f9-1\n"


def test_position_file_wins_over_since(tmp_path: Path) -> None:
    file = tmp_path / "position"
    file.write_text("k3f9-1\n")
    script = Script(stream(HELLO.replace("k3f9-0", "k3f9-1"), frame(2)))
    with script.client() as cin, cin.subscribe(since="earliest", position_file=file) as events:
        assert offsets([next(events)]) == [2]
        events.done()
    assert script.streams[0].headers["Last-Event-ID"] == "k3f9-1"
    assert file.read_text() == "k3f9-2\n"


def test_closing_acknowledges_what_is_done_and_nothing_more() -> None:
    script = Script(stream(HELLO, frame(1), frame(2)))
    with script.client() as cin, cin.subscribe(agent="builder") as events:
        next(events)
        next(events)
    assert script.acknowledged[-1] == "k3f9-1"
    assert script.streams[0].url.params["agent"] == "builder"


def test_many_events_are_acknowledged_together() -> None:
    script = Script(stream(HELLO, *map(frame, range(1, 501))))
    with script.client() as cin, cin.subscribe(agent="builder") as events:
        for item in events:
            assert isinstance(item, Event)
            if item.offset == 500:
                events.done()
                break
    assert script.acknowledged[-1] == "k3f9-500"
    assert len(script.acknowledged) < 10


def test_async_closing_acknowledges_what_is_done() -> None:
    script = Script(stream(HELLO, *map(frame, range(1, 501))))

    async def follow() -> None:
        async with (
            AsyncClient("http://cin.test", transport=httpx.MockTransport(script)) as cin,
            cin.subscribe(agent="builder") as events,
        ):
            async for item in events:
                assert isinstance(item, Event)
                if item.offset == 500:
                    break

    asyncio.run(asyncio.wait_for(follow(), 10))
    assert script.acknowledged[-1] == "k3f9-499"
    assert len(script.acknowledged) < 10


def test_acknowledgement_that_is_refused_is_raised_by_the_next_step() -> None:
    refusal = httpx.Response(422, json={"detail": "That is no position."})

    def handle(request: httpx.Request) -> httpx.Response:
        return refusal if request.method == "PUT" else stream(HELLO, frame(1), frame(2), frame(3))

    transport = httpx.MockTransport(handle)
    with (
        pytest.raises(InvalidInput, match="no position"),
        Client("http://cin.test", transport=transport) as cin,
        cin.subscribe(agent="builder") as events,
    ):
        deque(events, maxlen=0)
