"""The wire: what goes out, what comes in, and what is no answer of ours."""

import httpx
import msgspec
import pytest

import app.client
from app.client import AnswerNotUnderstood, CINError, Client, InvalidInput
from app.client.wire import Address


def client(answer: httpx.Response, seen: list[httpx.Request] | None = None) -> Client:
    def handle(request: httpx.Request) -> httpx.Response:
        if seen is not None:
            seen.append(request)
        return answer

    return Client("http://cin.test/", agent="builder", api_key="sesame", transport=httpx.MockTransport(handle))


def test_client_names_its_agent_and_its_key() -> None:
    seen: list[httpx.Request] = []
    with client(httpx.Response(200, json={"agents": []}), seen) as cin:
        assert cin.agents() == ()
    assert seen[0].headers["CIN-Agent"] == "builder"
    assert seen[0].headers["Authorization"] == "Bearer sesame"
    assert str(seen[0].url) == "http://cin.test/agents"


def test_client_takes_what_is_not_given_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CIN_URL", "http://elsewhere.test:1/")
    monkeypatch.setenv("CIN_AGENT", "tester")
    with Client() as cin:
        assert (cin.url, cin.agent) == ("http://elsewhere.test:1", "tester")


@pytest.mark.parametrize(
    ("url", "proxy", "needs"),
    [("http://cin.test", "", False), ("https://cin.test", "", True), ("http://cin.test", "https://proxy.test", True)],
)
def test_certificates_are_read_where_tls_may_be_spoken(
    url: str, proxy: str, needs: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", proxy)
    assert Address.resolve(url, None, None).needs_certificates is needs


@pytest.mark.parametrize("url", ["localhost:8005", "ftp://x", "http://", "http://x:port"])
def test_client_refuses_what_is_no_url(url: str) -> None:
    with pytest.raises(CINError, match="is no URL"):
        Client(url)


def test_client_refuses_an_agent_that_no_header_can_carry() -> None:
    with pytest.raises(CINError, match="agent"):
        Client("http://cin.test", agent="x\r\nEvil: 1")


def test_capture_leaves_out_what_was_not_given() -> None:
    seen: list[httpx.Request] = []
    skill = {"id": "s", "name": "n", "resolution": "Do it.", "a_new_field": 1}
    with client(httpx.Response(200, json=skill, headers={"CIN-Position": "k3f9-7"}), seen) as cin:
        captured = cin.capture(pattern="x", resolution="Do it.", name=None)
    assert msgspec.json.decode(seen[0].content) == {"pattern": "x", "resolution": "Do it."}
    assert (captured.created, captured.position) == (False, "k3f9-7")


def test_capture_of_a_lone_surrogate_is_an_error_of_ours() -> None:
    with client(httpx.Response(500)) as cin, pytest.raises(CINError, match="cannot be sent"):
        cin.capture(pattern="\ud800", resolution="Do it.")


def test_path_of_an_id_cannot_leave_its_place() -> None:
    seen: list[httpx.Request] = []
    with client(httpx.Response(200, json={"id": "s", "name": "n", "resolution": "r"}), seen) as cin:
        cin.get("../agents?x=1")
    assert seen[0].url.raw_path == b"/skills/..%2Fagents%3Fx%3D1"


def test_problem_names_the_fields_it_has() -> None:
    body = {
        "title": "No",
        "status": 422,
        "detail": "A field is wrong.",
        "errors": [{"loc": "body.name", "msg": "too long"}],
    }
    with client(httpx.Response(422, json=body)) as cin, pytest.raises(InvalidInput) as caught:
        cin.capture(pattern="x", resolution="Do it.")
    assert str(caught.value) == "A field is wrong. (body.name: too long)"


@pytest.mark.parametrize("answer", [httpx.Response(404, text="<h1>nginx"), httpx.Response(200, text="hello")])
def test_answer_of_another_program_says_so(answer: httpx.Response) -> None:
    with client(answer) as cin, pytest.raises(AnswerNotUnderstood, match=r"not CIN's"):
        cin.get("s")


def test_package_exports_what_it_names() -> None:
    assert sorted(app.client.__all__) == app.client.__all__
    assert all(hasattr(app.client, name) for name in app.client.__all__)


@pytest.mark.parametrize(
    ("url", "http", "socket"),
    [
        ("ws://localhost:8005", "http://localhost:8005", "ws://localhost:8005/ws?agent=a%2Fb"),
        ("wss://cin.test/ws/", "https://cin.test", "wss://cin.test/ws?agent=a%2Fb"),
        ("https://cin.test/hub/", "https://cin.test/hub", "wss://cin.test/hub/ws?agent=a%2Fb"),
    ],
)
def test_address_names_a_server_by_either_scheme(url: str, http: str, socket: str) -> None:
    address = Address.resolve(url, "a/b", None)
    assert (address.url, address.socket_url) == (http, socket)
