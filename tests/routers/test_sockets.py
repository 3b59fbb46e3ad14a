"""WebSockets: captures, acknowledgements and errors on one connection. What streams do on it is in `test_subscription`."""

import asyncio
import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from starlette.types import Message
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from app.main import create_app
from app.settings import Settings
from tests.factories import make_skill
from tests.inside import application, database_in, run
from tests.routers.answers import capture, head, offset
from tests.server import Server, wait_until
from tests.streams import READ_SECONDS, SocketStream

BROADCAST = {"type": "register_capability", "capability": "skill_broadcast"}


def open_socket(server: Server, path: str = "/ws", headers: dict[str, str] | None = None) -> ClientConnection:
    url = server.url.replace("http", "ws", 1) + path
    return connect(url, additional_headers=headers, max_size=None, ping_interval=None)


@pytest.fixture
def ws(server: Server) -> Iterator[ClientConnection]:
    """A connection on which nothing has been said."""
    with open_socket(server) as opened:
        yield opened


def hear(ws: ClientConnection) -> dict[str, Any]:
    return dict(json.loads(ws.recv(READ_SECONDS)))


def say(ws: ClientConnection, **message: Any) -> dict[str, Any]:
    """The answer to a message."""
    ws.send(json.dumps(message))
    return hear(ws)


def problem_of(answer: dict[str, Any]) -> tuple[int, str, set[str]]:
    """Status, slug, and the places where rules were broken."""
    assert answer["type"] == "error"
    found = answer["problem"]
    assert all(found[name] for name in ("title", "detail", "instance"))
    return found["status"], found["type"], {rule["loc"] for rule in found.get("errors", [])}


def close_of(ws: ClientConnection) -> tuple[list[dict[str, Any]], int | None]:
    """What comes before the server closes, and the code with which it does."""
    messages = []
    with suppress(ConnectionClosed):
        while True:
            messages.append(hear(ws))
    return messages, ws.protocol.close_rcvd.code if ws.protocol.close_rcvd else None


# Handshakes


def test_crowd_of_sockets_is_let_in_one_in_a_turn_of_the_loop(tmp_path: Path) -> None:
    """So that a capture beside it waits for a handshake or two, and not for all of them."""

    async def go() -> tuple[int, int]:
        async with application(tmp_path) as cin:
            let_in, goes_away, most = list[int](), asyncio.Event(), 0

            async def come(number: int) -> None:
                came: list[Message] = [{"type": "websocket.connect"}]

                async def receive() -> Message:
                    if came:
                        return came.pop()
                    await goes_away.wait()
                    return {"type": "websocket.disconnect", "code": 1000}

                async def send(message: Message) -> None:
                    assert message["type"] == "websocket.accept"
                    let_in.append(number)

                scope = {"type": "websocket", "path": "/ws", "headers": [], "query_string": b""}
                await cin.app(scope, receive, send)

            crowd = [asyncio.create_task(come(number)) for number in range(20)]
            while len(let_in) < 20:
                before = len(let_in)
                await asyncio.sleep(0)
                most = max(most, len(let_in) - before)
            streams = cin.parts.hub.streams
            goes_away.set()
            await asyncio.gather(*crowd)
            assert cin.parts.hub.streams == 0
            return most, streams

    assert run(go()) == (1, 20)


# Captures


def test_capture_is_answered_as_http_answers_it(ws: ClientConnection, api: httpx.Client) -> None:
    skill = make_skill()
    first = say(ws, type="capture", ref="a", skill=skill)
    assert set(first) == {"type", "ref", "skill", "created", "position"}
    assert (first["type"], first["ref"], first["created"]) == ("captured", "a", True)
    assert first["skill"] == api.get(f"/skills/{first['skill']['id']}").json()
    assert first["position"] == first["skill"]["position"] == head(api)
    again = say(ws, type="capture", ref=2, skill=skill)
    assert (again["ref"], again["created"], again["skill"]["captures"]) == (2, False, 2)
    assert again["skill"] == api.post("/skills", json=skill).json() | {"captures": 2}


def test_captures_in_a_row_are_answered_in_order_and_share_commits(server: Server, ws: ClientConnection) -> None:
    before = server.metric("cin_commits_total")
    for number in range(200):
        ws.send(json.dumps({"type": "capture", "ref": number, "skill": make_skill()}))
    answers = [hear(ws) for _ in range(200)]
    assert [answer["ref"] for answer in answers] == list(range(200))
    positions = [offset(answer["position"]) for answer in answers]
    assert positions == sorted(positions)
    assert server.metric("cin_commits_total") - before < 150


def test_key_that_comes_twice_in_a_row_captures_once(ws: ClientConnection) -> None:
    message = json.dumps({"type": "capture", "skill": make_skill(), "idempotency_key": f"{uuid4()}"})
    for _ in range(3):
        ws.send(message)
    first, *again = [hear(ws) for _ in range(3)]
    assert first["created"]
    assert again == [first, first]


def test_key_holds_whichever_way_a_retry_takes(ws: ClientConnection, api: httpx.Client) -> None:
    key, skill = f"{uuid4()}", json.dumps(make_skill(description="\u00e9 \U0001f600"), indent=1)
    ws.send(f'{{"type": "capture", "idempotency_key": "{key}", "skill": {skill}}}')
    answer = hear(ws)
    headers = {"Idempotency-Key": key, "Content-Type": "application/json"}
    retried = api.post("/skills", content=skill, headers=headers)
    assert (retried.status_code, retried.json()) == (201, answer["skill"])
    other = say(ws, type="capture", skill=make_skill(), idempotency_key=key)
    assert problem_of(other)[:2] == (422, "/problems/idempotency-key-reused")


@pytest.mark.parametrize(
    ("address", "header", "message", "captured_by"),
    [
        ("", None, None, "anonymous"),
        ("", "h", None, "h"),
        ("?agent=q", "h", None, "q"),
        ("?agent=q", "h", "m", "m"),
    ],
)
def test_capture_says_who_made_it(
    server: Server, address: str, header: str | None, message: str | None, captured_by: str
) -> None:
    with open_socket(server, f"/{address}", {"CIN-Agent": header} if header else None) as ws:
        answer = say(ws, type="capture", skill=make_skill(), **({"agent": message} if message else {}))
    assert answer["skill"]["captured_by"] == captured_by


@pytest.mark.parametrize(
    "over", [{"pattern": ""}, {"tags": ["", "b" * 1_000]}, {"colour": 1}, {"metadata": []}], ids=str
)
def test_bad_skill_breaks_the_same_rules_as_over_http(
    ws: ClientConnection, api: httpx.Client, over: dict[str, Any]
) -> None:
    skill = make_skill(**over)
    by_http = api.post("/skills", json=skill).json()["errors"]
    by_socket = say(ws, type="capture", skill=skill)["problem"]["errors"]
    assert by_socket == [{**rule, "loc": rule["loc"].replace("body", "message.skill", 1)} for rule in by_http]


def test_capture_of_a_client_that_goes_at_once_is_kept(server: Server, api: httpx.Client) -> None:
    before = offset(head(api))
    with open_socket(server) as ws:
        for _ in range(20):
            ws.send(json.dumps({"type": "capture", "skill": make_skill()}))
    wait_until(lambda: offset(head(api)) == before + 20)


# What is no message


@pytest.mark.parametrize(
    ("sent", "places"),
    [
        ("", {"message"}),
        ("{", {"message"}),
        ("[]", {"message"}),
        ("7", {"message"}),
        ("[" * 100_000, {"message"}),
        ('{"a":' * 100_000, {"message"}),
        ("{}", {"message.type"}),
        ('{"type":"match"}', {"message.type"}),
        ('{"type":["subscribe"]}', {"message.type"}),
        (r'{"type":"\ud800"}', {"message"}),
        ('{"type":"ack"}', {"message.position"}),
        ('{"type":"ack","position":5}', {"message.position"}),
        ('{"type":"ack","position":"k-1","seq":1}', {"message.seq"}),
        ('{"type":"subscribe","ref":{}}', {"message.ref"}),
        ('{"type":"subscribe","ref":true}', {"message.ref"}),
        ('{"type":"subscribe","agent":"a b"}', {"message.agent"}),
        ('{"type":"capture"}', {"message.skill"}),
        ('{"type":"capture","skill":7}', {"message.skill"}),
        ('{"type":"register_capability","capability":""}', {"message.capability"}),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_no_message_is_an_error_and_the_connection_goes_on(
    ws: ClientConnection, sent: str, places: set[str]
) -> None:
    ws.send(sent)
    assert problem_of(hear(ws)) == (422, "/problems/invalid-input", places)
    assert say(ws, **BROADCAST, ref="next")["type"] == "hello"


@pytest.mark.parametrize("ref", ["r", "", 0, -5, 2**53])
def test_error_names_the_message_it_is_about(ws: ClientConnection, ref: str | int) -> None:
    assert say(ws, type="nothing", ref=ref)["ref"] == ref


def test_key_that_is_none_is_refused(ws: ClientConnection) -> None:
    answer = say(ws, type="capture", skill=make_skill(), idempotency_key="a\nb")
    assert problem_of(answer)[2] == {"message.idempotency_key"}


def test_skill_over_the_limit_of_http_is_too_large(ws: ClientConnection) -> None:
    skill = make_skill(metadata={"x": "y" * (2 * 1024 * 1024)})
    assert problem_of(say(ws, type="capture", ref=1, skill=skill))[:2] == (413, "/problems/body-too-large")


def test_message_over_the_limit_ends_the_connection(ws: ClientConnection) -> None:
    ws.send("x" * 10 * 1024 * 1024)
    assert close_of(ws) == ([], 1009)


def test_message_without_end_is_not_read(ws: ClientConnection, api: httpx.Client) -> None:
    with suppress(ConnectionClosed):  # it may be closed before all is sent
        ws.send("x" * 40 * 1024 * 1024)
    assert close_of(ws)[1] in (1009, None)
    capture(api)


def test_binary_message_ends_the_connection_after_the_answers_before_it(ws: ClientConnection) -> None:
    ws.send(json.dumps({"type": "capture", "skill": make_skill()}))
    ws.send(b"{}")
    messages, code = close_of(ws)
    assert ([message["type"] for message in messages], code) == (["captured"], 1003)


# Subscribing and acknowledging


def test_connection_has_one_subscription(ws: ClientConnection) -> None:
    assert say(ws, type="subscribe")["type"] == "hello"
    assert hear(ws)["type"] == "position"
    second = say(ws, type="subscribe", ref="again")
    assert (problem_of(second)[:2], second["ref"]) == ((409, "/problems/already-subscribed"), "again")
    assert say(ws, **BROADCAST, ref=1) == {"type": "done", "ref": 1}


def test_refused_subscription_can_be_asked_for_again(ws: ClientConnection) -> None:
    assert problem_of(say(ws, type="subscribe", since="other-1", strict=True))[0] == 410
    assert say(ws, type="subscribe")["type"] == "hello"


def test_client_that_only_says_broadcast_hears_everything(server: Server, api: httpx.Client) -> None:
    with open_socket(server, "/") as ws:
        hello = say(ws, **BROADCAST)
        assert (hello["type"], hello["mode"]) == ("hello", "live")
        assert hear(ws) == {"type": "position", "id": head(api)}
        skill = capture(api)
        event = hear(ws)
    assert (event["type"], event["event"], event["id"]) == ("event", "skill.captured", skill["position"])
    assert event["data"]["skill"] == skill


def test_capability_registers_the_agent(server: Server, api: httpx.Client) -> None:
    name = f"agent-{uuid4()}"
    with open_socket(server, f"/ws?agent={name}") as ws:
        assert say(ws, type="register_capability", capability="one", ref=1) == {"type": "done", "ref": 1}
        assert say(ws, **BROADCAST, ref=2)["type"] == "hello"
        assert [hear(ws)["type"] for _ in range(2)] == ["position", "done"]
        found = api.get("/agents").json()["agents"]
    (agent,) = (each for each in found if each["name"] == name)
    assert (agent["capabilities"], agent["connections"]) == (["one", "skill_broadcast"], 1)


def test_agent_that_subscribes_is_whose_connection_it_is(server: Server, api: httpx.Client) -> None:
    name = f"agent-{uuid4()}"
    with open_socket(server) as ws:
        assert say(ws, type="subscribe", agent=name)["type"] == "hello"
        assert hear(ws)["type"] == "position"
        ws.send(json.dumps({"type": "capture", "skill": make_skill()}))
        heard = {message["type"]: message for message in (hear(ws), hear(ws))}
        assert heard["captured"]["skill"]["captured_by"] == name
        position = heard["event"]["id"]
        assert say(ws, type="ack", position=position, ref="a") == {"type": "done", "ref": "a"}
    (agent,) = (each for each in api.get("/agents").json()["agents"] if each["name"] == name)
    assert agent["acknowledged"] == position


def test_acknowledgement_moves_the_agent(server: Server, api: httpx.Client) -> None:
    name = f"agent-{uuid4()}"
    api.put(f"/agents/{name}", json={})
    position = capture(api)["position"]
    with open_socket(server) as ws:
        assert say(ws, type="ack", agent=name, position=position, ref="a") == {"type": "done", "ref": "a"}
        older = f"{position.rpartition('-')[0]}-{offset(position) - 1}"
        assert say(ws, type="ack", agent=name, position=older, ref="b") == {"type": "done", "ref": "b"}
    (agent,) = (each for each in api.get("/agents").json()["agents"] if each["name"] == name)
    assert agent["acknowledged"] == position


def test_acknowledgement_that_cannot_be_is_an_error(server: Server, api: httpx.Client) -> None:
    name, at = f"agent-{uuid4()}", capture(api)["position"]
    ahead = f"{at.rpartition('-')[0]}-{offset(at) + 100}"
    with open_socket(server, f"/ws?agent={name}") as ws:
        assert problem_of(say(ws, type="ack", position=at))[:2] == (404, "/problems/agent-not-found")
        assert say(ws, type="ack", position=ahead)["problem"]["reason"] == "ahead"
        assert say(ws, type="ack", position="other-1")["problem"]["reason"] == "epoch"
        assert problem_of(say(ws, type="ack", position="junk"))[2] == {"message.position"}
    with open_socket(server) as ws:
        assert problem_of(say(ws, type="ack", position=at))[2] == {"message.agent"}


# The handshake


def refusal(server: Server, path: str = "/ws", headers: dict[str, str] | None = None) -> dict[str, Any]:
    """The problem with which a handshake is refused."""
    with pytest.raises(InvalidStatus) as refused:
        open_socket(server, path, headers)
    response = refused.value.response
    assert response.headers["content-type"] == "application/problem+json"
    found = dict(json.loads(bytes(response.body or b"")))
    assert (found["status"], found["instance"]) == (response.status_code, response.headers["x-request-id"])
    return found


@pytest.mark.parametrize("origin", ["https://elsewhere.example", "null", "http://127.0.0.1:1", "://"])
def test_page_of_another_site_is_refused(server: Server, origin: str) -> None:
    assert refusal(server, headers={"Origin": origin})["type"] == "/problems/origin-refused"


def test_page_of_this_server_is_served(server: Server) -> None:
    with open_socket(server, headers={"Origin": server.url}) as ws:
        assert say(ws, type="subscribe")["type"] == "hello"


@pytest.mark.parametrize(("path", "place"), [("/ws?since=now", "query.since"), ("/?agent=a%20b", "query.agent")])
def test_wrong_address_is_refused_and_named(server: Server, path: str, place: str) -> None:
    assert [rule["loc"] for rule in refusal(server, path)["errors"]] == [place]


def test_connection_has_a_request_id_and_is_counted(server: Server) -> None:
    name = 'cin_request_seconds_count{method="GET",route="/ws",status="101"}'
    before = server.metric(name)
    with open_socket(server, headers={"X-Request-ID": "mine"}) as ws:
        assert ws.response is not None
        assert ws.response.headers["x-request-id"] == "mine"
        assert say(ws, type="x")["problem"]["instance"] == "mine"
    assert server.metric(name) == before + 1


@pytest.mark.parametrize("extensions", [{"websocket.http.response": {}}, {}])
def test_connection_is_refused_while_there_is_no_log(tmp_path: Path, extensions: dict[str, Any]) -> None:
    messages: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        messages.append(message)

    app = create_app(Settings(database_url=database_in(tmp_path)))
    scope = {"type": "websocket", "path": "/ws", "headers": [], "query_string": b"", "extensions": extensions}
    run(app(scope, receive, send))
    if extensions:
        assert (messages[0]["type"], messages[0]["status"]) == ("websocket.http.response.start", 503)
        assert (b"retry-after", b"2") in messages[0]["headers"]
    else:
        assert messages == [{"type": "websocket.close", "code": 1000, "reason": ""}]


# The end


def test_drain_says_when_to_come_back_and_answers_what_was_taken_up(fresh_server: Server) -> None:
    with (
        open_socket(fresh_server) as quiet,
        SocketStream(fresh_server.url) as stream,
        open_socket(fresh_server) as busy,
    ):
        for number in range(300):
            busy.send(json.dumps({"type": "capture", "ref": number, "skill": make_skill()}))
        hear(busy)
        with ThreadPoolExecutor() as pool:  # clients read while the server stops
            stopping = pool.submit(fresh_server.stop)
            messages, code = close_of(busy)
            goodbye = stream.rest()[-1]
            assert close_of(quiet)[1] == 1012
            assert stopping.result() == 0
    assert (int(goodbye.fields["retry"]) > 0, stream.close_code) == (True, 1012)
    assert code == 1012
    kinds = [message["type"] for message in messages]
    assert kinds.count("retry") == 1
    fresh_server.start()
    with httpx.Client(base_url=fresh_server.url) as api:
        assert offset(head(api)) == 1 + kinds.count("captured")
    assert "Traceback" not in fresh_server.log.read_text()


def handshake(server: Server) -> socket.socket:
    """A connection of a client that takes little at a time."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.settimeout(READ_SECONDS)
    raw.connect(("127.0.0.1", server.port))
    raw.sendall(
        b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    assert raw.recv(12) == b"HTTP/1.1 101"
    return raw


def masked(opcode: int, payload: bytes) -> bytes:
    """A short frame as a client sends it, under a mask of zeros."""
    assert len(payload) < 126
    return bytes([0x80 | opcode, 0x80 | len(payload)]) + bytes(4) + payload


def test_client_that_reads_no_answers_is_held_up_then_cut(tmp_path: Path) -> None:
    with Server(tmp_path, stall_seconds="1") as server, open_socket(server) as other, handshake(server) as flood:
        with suppress(OSError):  # held up, or cut
            while True:
                flood.sendall(masked(1, b"{") * 1_000)
        wait_until(lambda: server.metric("cin_evictions_total") == 1)
        wait_until(lambda: server.metric("cin_streams") == 1)
        assert say(other, type="subscribe")["type"] == "hello"
        assert "Traceback" not in server.log.read_text()


@pytest.mark.parametrize(
    "frames",
    [
        masked(1, b"\xff\xfe"),
        masked(3, b""),
        b"\x81\x02{}",
        b"GET / HTTP/1.1\r\n\r\n",
        masked(1, b"{")[:-1],
        masked(8, b"\x03\xe8bye"),
        masked(9, b"ping") + masked(8, b""),
        masked(10, b"pong") + masked(8, b""),
    ],
    ids=["utf8", "opcode", "unmasked", "http", "half", "close", "ping", "pong"],
)
def test_odd_frames_end_the_connection_quietly(fresh_server: Server, frames: bytes) -> None:
    with handshake(fresh_server) as raw:
        raw.sendall(frames)
        raw.shutdown(socket.SHUT_WR)
        while raw.recv(4096):
            pass
    wait_until(lambda: fresh_server.metric("cin_streams") == 0)
    refusal(fresh_server, headers={"Origin": "null"})
    assert fresh_server.stop() == 0
    log = fresh_server.log.read_text()
    assert "Traceback" not in log
    assert '"level": "error"' not in log
