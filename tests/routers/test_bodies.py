"""Bad input: each a problem with a sentence, whatever the route, and nothing changed."""

import json
import socket
from uuid import uuid4

import httpx
import pytest

from tests.factories import make_skill
from tests.routers.answers import capture, figures, head, places, problem
from tests.server import Server

JSON = {"Content-Type": "application/json"}
MIB = 1024 * 1024

ROUTES = [
    pytest.param("POST", "/skills", id="capture"),
    pytest.param("POST", "/skills/batch", id="batch"),
    pytest.param("PUT", "/skills/{skill}", id="revise"),
    pytest.param("POST", "/skills/{skill}/outcomes", id="outcome"),
    pytest.param("PUT", "/agents/{agent}", id="register"),
    pytest.param("PUT", "/agents/{agent}/position", id="acknowledge"),
]


@pytest.fixture(scope="module")
def there(api: httpx.Client) -> dict[str, str]:
    """A skill and an agent that are there."""
    agent = f"agent-{uuid4()}"
    api.put(f"/agents/{agent}", json={})
    return {"skill": capture(api)["id"], "agent": agent}


def send(
    api: httpx.Client, method: str, path: str, there: dict[str, str], body: bytes, **headers: str
) -> httpx.Response:
    sent = JSON | {"If-Match": "*"} | {name.replace("_", "-"): value for name, value in headers.items()}
    return api.request(method, path.format(**there), content=body, headers=sent)


# On every route that takes a body


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b"nul",
        b"{'a':1}",
        b"{} {}",
        b'{"a":1,}',
        b"\xff\xfe",
        b'{"a":"\xff"}',
        b'{"a":"\xc3"}',
        b"\x00",
        b"<a/>",
    ],
    ids=repr,
)
def test_body_that_is_no_json_is_refused(
    api: httpx.Client, there: dict[str, str], method: str, path: str, body: bytes
) -> None:
    before = figures(api)
    assert places(send(api, method, path, there, body)) == {"body"}
    assert figures(api) == before


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize("body", [b"null", b"17", b"true", b'"text"', b"1e999", b"NaN"], ids=bytes.decode)
def test_body_of_another_kind_is_refused(
    api: httpx.Client, there: dict[str, str], method: str, path: str, body: bytes
) -> None:
    before = figures(api)
    problem(send(api, method, path, there, body), 422, "invalid-input")
    assert figures(api) == before


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize("opening", [b"[", b'{"a":'], ids=["arrays", "objects"])
def test_body_nested_ten_thousand_deep_is_refused(
    api: httpx.Client, there: dict[str, str], method: str, path: str, opening: bytes
) -> None:
    is_small = path == "/agents/{agent}" or path.endswith(("/outcomes", "/position"))  # 64 KiB are taken there
    body = opening * (10_000 if is_small else 100_000)
    problem(send(api, method, path, there, body), 422, "invalid-input")


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize(
    "media_type",
    [
        "application/x-www-form-urlencoded",
        "text/plain",
        "multipart/form-data; boundary=x",
        "application/xml",
        "",
        "json",
        "é",
    ],
)
def test_body_of_another_media_type_is_refused(
    api: httpx.Client, there: dict[str, str], method: str, path: str, media_type: str
) -> None:
    before = figures(api)
    answer = api.request(
        method, path.format(**there), content=b"{}", headers={b"Content-Type": media_type.encode(), b"If-Match": b"*"}
    )
    assert "application/json" in problem(answer, 415, "media-type-unsupported")["detail"]
    assert figures(api) == before


@pytest.mark.parametrize(
    "media_type", ["application/json", "Application/JSON", "application/json; charset=utf-8", None]
)
def test_json_by_any_of_its_names_is_taken(api: httpx.Client, media_type: str | None) -> None:
    headers = {"Content-Type": media_type} if media_type else {}
    assert api.post("/skills", content=json.dumps(make_skill()), headers=headers).status_code == 201


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_body_of_20_mib_is_too_large(api: httpx.Client, there: dict[str, str], method: str, path: str) -> None:
    before = figures(api)
    problem(send(api, method, path, there, b" " * 20 * MIB), 413, "body-too-large")
    assert figures(api) == before


def test_body_that_does_not_say_its_length_is_too_large_all_the_same(api: httpx.Client) -> None:
    chunks = (b" " * MIB for _ in range(5))
    problem(api.post("/skills", content=chunks, headers=JSON), 413, "body-too-large")


def test_connection_is_good_after_a_body_that_was_too_large(api: httpx.Client) -> None:
    problem(api.post("/skills", content=b" " * 5 * MIB, headers=JSON), 413, "body-too-large")
    assert api.get("/healthz").status_code == 200


def test_client_that_leaves_in_the_middle_of_its_body_harms_nobody(server: Server, api: httpx.Client) -> None:
    before = figures(api)
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(
            b"POST /skills HTTP/1.1\r\nHost: cin\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
        )
    assert api.get("/healthz").status_code == 200
    assert figures(api) == before
    assert "request_failed" not in server.log.read_text()


# Fields of a skill


@pytest.mark.parametrize("field", ["description", "error_type", "pattern", "resolution", "context"])
@pytest.mark.parametrize("value", [1, 1.5, True, [], {}, "", "  ", "a\0b", "a\x1bb", "a\x7fb", "a\x85b"], ids=repr)
def test_text_field_takes_clean_text_alone(api: httpx.Client, field: str, value: object) -> None:
    before = head(api)
    assert places(api.post("/skills", json=make_skill(**{field: value}))) == {f"body.{field}"}
    assert head(api) == before


@pytest.mark.parametrize("field", ["description", "pattern", "resolution", "error_type", "context"])
def test_lone_surrogate_is_refused(api: httpx.Client, field: str) -> None:
    body = json.dumps(make_skill(**{field: "a"})).replace('"a"', '"a\\ud800b"')
    assert places(api.post("/skills", content=body, headers=JSON)) == {"body"}


def test_pair_of_surrogates_is_one_character(api: httpx.Client) -> None:
    body = json.dumps(make_skill(description="a")).replace('"a"', '"\\ud83d\\ude00"')
    assert api.post("/skills", content=body, headers=JSON).json()["description"] == "\U0001f600"


@pytest.mark.parametrize(
    ("field", "value", "place"),
    [
        ("tags", "python", "body.tags"),
        ("tags", [1], "body.tags.0"),
        ("tags", ["a", ""], "body.tags.1"),
        ("tags", ["a\0"], "body.tags.0"),
        ("tags", None, "body.tags"),
        ("metadata", [], "body.metadata"),
        ("metadata", "{}", "body.metadata"),
        ("metadata", None, "body.metadata"),
        ("metadata", {"a": "\0"}, "body.metadata"),
        ("metadata", {"n": 2**64}, "body.metadata"),
        ("metadata", {"n": -(2**63) - 1}, "body.metadata"),
        ("name", "A", "body.name"),
        ("name", "", "body.name"),
        ("name", "a\r\nb", "body.name"),
        ("name", 7, "body.name"),
        ("agent", "a\r\nX-Injected: 1", "body.agent"),
        ("agent", "", "body.agent"),
    ],
    ids=repr,
)
def test_other_field_takes_what_it_is_for(api: httpx.Client, field: str, value: object, place: str) -> None:
    before = head(api)
    assert places(api.post("/skills", json=make_skill(**{field: value}))) == {place}
    assert head(api) == before


@pytest.mark.parametrize(
    "field", ["id", "version", "captures", "network", "status", "position", "Resolution", "attributes", "a b"]
)
def test_unknown_field_is_refused_and_named(api: httpx.Client, field: str) -> None:
    before = head(api)
    found = problem(api.post("/skills", json=make_skill(**{field: "x"})), 422, "invalid-input")
    assert found["errors"] == [{"loc": f"body.{field}", "msg": "is not a field that is known here"}]
    assert head(api) == before


def test_every_broken_rule_is_told_at_once(api: httpx.Client) -> None:
    body = {"resolution": "", "tags": [1, ""], "colour": "red", "name": "A B"}
    found = places(api.post("/skills", json=body))
    assert found == {"body.resolution", "body.tags.0", "body.tags.1", "body.colour", "body.name"}


def test_problem_does_not_repeat_what_was_sent(api: httpx.Client) -> None:
    secret = f"secret-{uuid4()}"
    answer = api.post("/skills", json=make_skill(tags=[{"password": secret}], metadata=secret, name=secret.upper()))
    assert answer.status_code == 422
    assert secret.lower() not in answer.text.lower()


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "18446744073709551616", "1" + "0" * 5_000])
def test_number_that_cannot_be_kept_is_refused(api: httpx.Client, number: str) -> None:
    before = head(api)
    body = json.dumps(make_skill(metadata={"n": "here"})).replace('"here"', number)
    assert places(api.post("/skills", content=body, headers=JSON)) <= {"body.metadata", "body"}
    assert head(api) == before


def test_field_that_comes_twice_has_one_meaning(api: httpx.Client) -> None:
    body = json.dumps(make_skill())[:-1] + ',"description":"one","description":"two"}'
    assert api.post("/skills", content=body, headers=JSON).json()["description"] == "two"


# Paths, methods and headers


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/nothing",
        "/skill",
        "/skills/a/b",
        "/skills/a/versions/1/2",
        "/stream/x",
        "/docs/x",
        "/docs/assets/x",
        "/.env",
    ],
)
def test_unknown_path_is_a_problem(api: httpx.Client, path: str) -> None:
    assert "/docs" in problem(api.get(path), 404, "route-not-found")["detail"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PATCH", "/skills", "GET, POST"),
        ("DELETE", "/skills", "GET, POST"),
        ("POST", "/skills/x", "DELETE, GET, PUT"),
        ("POST", "/skills/x/versions", "GET"),
        ("GET", "/skills/x/outcomes", "POST"),
        ("POST", "/stream", "GET"),
        ("POST", "/agents", "GET"),
        ("GET", "/agents/x", "PUT"),
        ("POST", "/healthz", "GET"),
        ("PROPFIND", "/skills", "GET, POST"),
    ],
)
def test_wrong_method_is_told_all_that_are_right(api: httpx.Client, method: str, path: str, allowed: str) -> None:
    answer = api.request(method, path)
    assert allowed in problem(answer, 405, "method-not-allowed")["detail"]
    assert answer.headers["allow"] == allowed


@pytest.mark.parametrize("path", ["/skills/", "/stream/", "/healthz/", "//skills"])
def test_path_with_a_slash_too_many_leads_nowhere(api: httpx.Client, path: str) -> None:
    answer = api.get(httpx.URL(str(api.base_url)).copy_with(raw_path=path.encode()))
    problem(answer, 404, "route-not-found")


@pytest.mark.parametrize("path", ["/skills", "/skills/none", "/healthz", "/info", "/openapi.json", "/docs", "/nothing"])
def test_head_is_answered_as_get_without_the_body(api: httpx.Client, path: str) -> None:
    head_, get = api.head(path), api.get(path)
    assert (head_.status_code, head_.content) == (get.status_code, b"")
    for name in ("content-type", "etag", "cache-control"):
        assert head_.headers.get(name) == get.headers.get(name)


@pytest.mark.parametrize("value", ["keep-me.1_2-3", "a" * 64])
def test_request_id_of_the_caller_is_kept(api: httpx.Client, value: str) -> None:
    answer = api.get("/skills/none", headers={"X-Request-ID": value})
    assert answer.headers["x-request-id"] == answer.json()["instance"] == value


@pytest.mark.parametrize("value", ["", "a b", "a" * 65, "<script>", "a;b", "é", '"'])
def test_request_id_that_could_do_harm_is_replaced(api: httpx.Client, value: str) -> None:
    answer = api.get("/skills/none", headers={b"X-Request-ID": value.encode()})
    assert answer.headers["x-request-id"] == answer.json()["instance"] != value
    assert len(answer.headers["x-request-id"]) == 32


def test_header_cannot_be_smuggled_into_an_answer(api: httpx.Client) -> None:
    for path in ("/skills/%0d%0aX-Injected:%201", "/agents/%0d%0aX-Injected:%201/position", "/%0d%0aX-Injected:%201/"):
        assert "x-injected" not in api.get(path).headers


def raw(server: Server, request: bytes) -> bytes:
    """What the server answers to bytes that no client library would send."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        found = b""
        while more := connection.recv(65_536):
            found += more
        return found


@pytest.mark.parametrize(
    "request_",
    [
        b"nonsense\r\n\r\n",
        b"GET /skills HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nbad header\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
    ],
    ids=repr,
)
def test_bytes_that_are_no_http_are_answered_without_html(server: Server, request_: bytes) -> None:
    answer = raw(server, request_).lower()
    assert not answer or b" 400 " in answer.splitlines()[0] or b" 404 " in answer.splitlines()[0]
    assert b"<html" not in answer
    assert b"traceback" not in answer


def test_server_said_nothing_of_faults_of_its_own(server: Server) -> None:
    """Runs last in this file: whatever was sent above was the sender's fault, and is told to the sender."""
    log = server.log.read_text()
    assert "Traceback" not in log
    assert "request_failed" not in log
