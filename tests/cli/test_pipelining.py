"""Requests sent one behind the other on one connection: captures share commits, and every answer comes in its turn."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import pytest

from tests.server import Server, wait_until


def capture(pattern: str) -> bytes:
    return request("POST /skills", {"error_type": "ImportError", "pattern": pattern, "resolution": "install it"})


def request(line: str, body: object | None = None, *headers: str) -> bytes:
    data = b"" if body is None else json.dumps(body).encode()
    lines = [f"{line} HTTP/1.1", "Host: x", f"Content-Length: {len(data)}", "Content-Type: application/json", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + data


class Pipe:
    """A connection, and the answers that come on it."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def send(self, *requests: bytes) -> None:
        self._connection.sendall(b"".join(requests))

    def answers(self, number: int) -> list[tuple[int, str]]:
        """The next answers: status and body."""
        found: list[tuple[int, str]] = []
        with self._connection.makefile("rb", buffering=0) as raw:
            for _ in range(number):
                head = b""
                while not head.endswith(b"\r\n\r\n"):
                    byte = raw.read(1)
                    assert byte, f"the connection ended after {len(found)} answers"
                    head += byte
                length = int(head.lower().partition(b"content-length:")[2].split()[0])
                body = b""
                while len(body) < length:
                    body += raw.read(length - len(body)) or b""
                found.append((int(head.split()[1]), body.decode()))
        return found

    def is_at_end(self) -> bool:
        return self._connection.recv(1) == b""


@contextmanager
def pipe(server: Server) -> Iterator[Pipe]:
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        yield Pipe(connection)


def patterns(answers: list[tuple[int, str]]) -> list[str]:
    return [json.loads(body)["pattern"] for _, body in answers]


def offsets(answers: list[tuple[int, str]]) -> list[int]:
    return [int(json.loads(body)["position"].partition("-")[2]) for _, body in answers]


@pytest.fixture
def words() -> list[str]:
    return [f"No module named '{uuid4().hex}'" for _ in range(300)]


def test_captures_in_a_row_are_answered_in_order_and_share_commits(server: Server, words: list[str]) -> None:
    before = server.metric("cin_commits_total")
    with pipe(server) as client:
        client.send(*map(capture, words))
        answers = client.answers(len(words))
    assert {status for status, _ in answers} == {201}
    assert patterns(answers) == words
    assert offsets(answers) == sorted(offsets(answers))
    assert server.metric("cin_commits_total") - before < len(words) / 2


def test_same_capture_in_a_row_is_new_once(server: Server, words: list[str]) -> None:
    with pipe(server) as client:
        client.send(*[capture(words[0])] * 20)
        assert [status for status, _ in client.answers(20)] == [201, *[200] * 19]


def test_captures_that_arrive_in_pieces_keep_their_order(server: Server, words: list[str]) -> None:
    sent = b"".join(map(capture, words[:40]))
    with pipe(server) as client:
        for start in range(0, len(sent), 97):
            client.send(sent[start : start + 97])
        answers = client.answers(40)
    assert patterns(answers) == words[:40]
    assert offsets(answers) == sorted(offsets(answers))


def test_refused_capture_is_answered_in_its_turn(server: Server, words: list[str]) -> None:
    with pipe(server) as client:
        client.send(capture(words[0]), request("POST /skills", {}), capture(words[1]))
        assert [status for status, _ in client.answers(3)] == [201, 422, 201]
        client.send(capture(words[1]))
        assert [status for status, _ in client.answers(1)] == [200]


def test_other_requests_wait_for_the_captures_before_them(server: Server, words: list[str]) -> None:
    listed = request("GET /skills?limit=1&sort=newest")
    with pipe(server) as client:
        client.send(*map(capture, words[:3]), listed, *map(capture, words[3:5]), listed)
        answers = client.answers(7)
    assert [status for status, _ in answers] == [201, 201, 201, 200, 201, 201, 200]
    assert words[2] in answers[3][1].replace("\\u0027", "'")
    assert patterns(answers[4:6]) == words[3:5]
    assert words[4] in answers[6][1]


def test_connection_is_closed_after_the_answer_to_who_asks_for_it(server: Server, words: list[str]) -> None:
    last = request("POST /skills", {"pattern": words[2], "resolution": "install it"}, "Connection: close")
    with pipe(server) as client:
        client.send(capture(words[0]), capture(words[1]), last)
        assert patterns(client.answers(3)) == words[:3]
        assert client.is_at_end()


CHUNKED = (
    b"POST /skills HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n"
)
UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


@pytest.mark.parametrize("odd", [b"\x00garbage\r\n\r\n", CHUNKED, UPGRADE], ids=["garbage", "chunk", "upgrade"])
def test_what_is_no_request_is_answered_in_its_turn(server: Server, words: list[str], odd: bytes) -> None:
    with pipe(server) as client:
        client.send(*map(capture, words[:5]), odd)
        answers = client.answers(6)
        assert [status for status, _ in answers] == [201] * 5 + [400]
        assert patterns(answers[:5]) == words[:5]
        assert client.is_at_end()
    with pipe(server) as client:
        client.send(request("GET /healthz"), odd)
        assert [status for status, _ in client.answers(2)] == [200, 400]


def test_headers_without_end_are_refused(server: Server) -> None:
    with pipe(server) as client, suppress(ConnectionError):
        client.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: ")
        for _ in range(64):
            client.send(b"a" * 16_384)
        assert client.answers(1)[0][0] == 400


def test_server_that_stops_answers_what_it_has_begun(tmp_path: Path, words: list[str]) -> None:
    with Server(tmp_path) as server, pipe(server) as client:
        client.send(*map(capture, words[:100]))
        first = client.answers(1)
        server.stop()
        assert first[0][0] == 201
        assert client.answers(99)[-1][0] == 201
        assert client.is_at_end()


def test_client_that_leaves_disturbs_nobody(tmp_path: Path, words: list[str]) -> None:
    with Server(tmp_path) as server:
        with pipe(server) as client:
            client.send(*map(capture, words[:50]))
        wait_until(lambda: server.metric("cin_commits_total") > 0)
        with pipe(server) as client:
            client.send(capture(words[60]))
            assert client.answers(1)[0][0] == 201
        assert "Traceback" not in server.log.read_text()
