"""Clients that do what clients should not do cost only themselves."""

import socket

import httpx
import pytest

from tests.server import Server, wait_until


def _connect(server: Server, *requests: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=10)
    connection.sendall(b"".join(requests))
    return connection


def test_stream_with_a_request_behind_it_ends_when_its_client_has_gone(fresh_server: Server) -> None:
    stream = b"GET /stream?agent=odd HTTP/1.1\r\nHost: x\r\n\r\n"
    connections = [_connect(fresh_server, stream, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n") for _ in range(5)]
    wait_until(lambda: fresh_server.metric("cin_streams") == 5, what="five streams")

    for connection in connections:
        connection.close()

    wait_until(lambda: fresh_server.metric("cin_streams") == 0, what="no stream")
    assert fresh_server.stop() == 0
    assert "Traceback" not in fresh_server.log.read_text()


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_unfinished_bodies_do_not_hold_up_the_drain(fresh_server: Server, log_format: str) -> None:
    fresh_server.kill()
    fresh_server.start(log_format=log_format, drain_seconds="4")
    head = b"POST /skills HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"
    connections = [_connect(fresh_server, head, b'{"pat') for _ in range(100)]

    assert fresh_server.stop() == 0  # within the 20 s that a test waits

    for connection in connections:
        connection.close()
    assert "Traceback" not in fresh_server.log.read_text()


def test_link_to_a_file_that_is_open_is_refused(fresh_server: Server) -> None:
    link = fresh_server.folder / "link"
    link.mkdir()
    (link / "cin.db").symlink_to(fresh_server.database)

    with pytest.raises(RuntimeError, match="Another process has"), Server(link):
        pass


def test_head_is_answered_as_get_without_its_body(server: Server) -> None:
    answered = httpx.head(f"{server.url}/healthz")

    assert answered.status_code == 200
    assert answered.content == b""
    assert answered.headers["content-length"] == httpx.get(f"{server.url}/healthz").headers["content-length"]


def test_item_with_an_endless_number_harms_no_other(server: Server) -> None:
    bad = b'{"resolution":"r","pattern":"p","metadata":{"a":' + b"9" * 5000 + b"}}"
    good = b'{"resolution":"r","pattern":"an endless number beside it"}'

    answered = httpx.post(
        f"{server.url}/skills/batch",
        content=b"[" + good + b"," + bad + b"]",
        headers={"Content-Type": "application/json"},
    )

    assert [item["status"] for item in answered.json()["results"]] == [201, 422]


def test_path_with_a_slash_too_many_is_not_redirected(server: Server) -> None:
    answered = httpx.get(f"{server.url}/skills/", headers={"Host": "evil.example"})

    assert answered.status_code == 404
    assert answered.headers["content-type"] == "application/problem+json"


def test_filter_on_a_tag_hears_of_the_revision_that_takes_it_away(server: Server) -> None:
    captured = httpx.post(f"{server.url}/skills", json={"resolution": "r", "pattern": "tag goes", "tags": ["goes"]})
    position = captured.headers["CIN-Position"]
    content = {"resolution": "r", "pattern": "tag goes", "tags": []}
    revised = httpx.put(f"{server.url}{captured.headers['Location']}", json=content, headers={"If-Match": '"1"'})
    assert revised.status_code == 200

    with httpx.stream("GET", f"{server.url}/stream", params={"since": position, "tag": "goes"}) as stream:
        assert any(line == "event: skill.revised" for line in stream.iter_lines())
