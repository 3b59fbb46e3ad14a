"""The wire, written once for both clients: a `Call` says what to send and how to read the answer; it does no I/O."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Generic, TypeVar
from urllib.parse import quote
from urllib.request import getproxies

import httpx
import msgspec

from app.client.errors import AnswerNotUnderstood, CINError, ConnectionFailed, Problem, problem_error

T = TypeVar("T")

DEFAULT_URL = "http://127.0.0.1:8005"


@dataclass(frozen=True, kw_only=True)
class Call(Generic[T]):
    """One request and the reading of its answer.

    `replayable` calls may be sent again after any loss, because a second arrival changes nothing: reads, a PUT of the
    same value, and whatever carries an Idempotency-Key. Others are sent again only when the first surely never arrived.
    """

    method: str
    path: str
    read: Callable[[httpx.Response], T]
    params: Mapping[str, str | int] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    timeout_seconds: float | None = None
    replayable: bool = True


@dataclass(frozen=True, kw_only=True)
class Address:
    """Which server, as whom. What is not given comes from CIN_URL, CIN_AGENT and CIN_API_KEY."""

    url: str
    agent: str | None
    api_key: str | None = field(repr=False)

    @classmethod
    def resolve(cls, url: str | None, agent: str | None, api_key: str | None) -> "Address":
        address = cls(
            url=_over_http((url or os.environ.get("CIN_URL") or DEFAULT_URL).rstrip("/")),
            agent=agent or os.environ.get("CIN_AGENT") or None,
            api_key=api_key or os.environ.get("CIN_API_KEY") or None,
        )
        address.check()
        return address

    def check(self) -> None:
        """Raise `CINError` for a URL or a header value that cannot be sent, before anything is."""
        try:
            parts = httpx.URL(self.url)
        except httpx.InvalidURL as error:
            raise CINError(f"{self.url!r} is no URL ({error}); write it like {DEFAULT_URL}.") from error
        if parts.scheme not in ("http", "https") or not parts.host:
            raise CINError(f"{self.url!r} is no URL of a server; write it like {DEFAULT_URL}.")
        for name, value in (("agent", self.agent), ("api_key", self.api_key)):
            if value and not (value.isascii() and value.isprintable()):
                raise CINError(f"The {name} {value!r} cannot be sent: use printable ASCII characters.")

    @property
    def needs_certificates(self) -> bool:
        """Whether TLS may be spoken, to the server or to a proxy. Reading all authorities' certificates takes 40 ms."""
        return self.url.startswith("https:") or bool(getproxies())

    @property
    def socket_url(self) -> str:
        """Where the WebSocket is; the agent is named in the query."""
        named = f"?agent={quote(self.agent, safe='')}" if self.agent else ""
        return f"ws{self.url.removeprefix('http')}/ws{named}"

    def headers(self) -> dict[str, str]:
        named = {"CIN-Agent": self.agent, "Authorization": self.api_key and f"Bearer {self.api_key}"}
        return {"Accept": "application/json"} | {name: value for name, value in named.items() if value}


def _over_http(url: str) -> str:
    """ws:// and wss:// name the same servers as http:// and https://; /ws is where their socket is."""
    return f"http{url[2:].removesuffix('/ws')}" if url.startswith(("ws://", "wss://")) else url


def build(http: httpx.Client | httpx.AsyncClient, call: Call[T], timeout_seconds: float) -> httpx.Request:
    """The call as a request of either kind of client; both build alike."""
    return http.build_request(
        call.method,
        call.path,
        params=dict(call.params),
        headers=dict(call.headers),
        content=call.content,
        timeout=call.timeout_seconds or timeout_seconds,
    )


def read_json(into: type[T]) -> Callable[[httpx.Response], T]:
    """A reader of a 2xx JSON body."""
    decoder = msgspec.json.Decoder(into)

    def read(response: httpx.Response) -> T:
        try:
            return decoder.decode(response.content)
        except msgspec.DecodeError as error:
            raise AnswerNotUnderstood(str(response.request.url), response.status_code) from error

    return read


def read_nothing(response: httpx.Response) -> None:
    """The reader of an answer without a body."""


def raise_for_problem(response: httpx.Response) -> None:
    """Raise what a non-2xx answer says; its body must have been read."""
    if response.is_success:
        return
    try:
        problem = msgspec.json.decode(response.content, type=Problem)
    except msgspec.DecodeError:
        if response.status_code in (429, 502, 503, 504):  # a proxy between us and a server that is starting
            problem = Problem(status=response.status_code, detail=f"{response.request.url} is not ready.")
        else:
            raise AnswerNotUnderstood(str(response.request.url), response.status_code) from None
    raise problem_error(problem, response.status_code, retry_after_seconds(response))


def retry_after_seconds(response: httpx.Response) -> float | None:
    """Retry-After in seconds from now, given as a number or as an HTTP date (RFC 9110, 10.2.3)."""
    value = response.headers.get("Retry-After", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None


def connection_failed(url: str, error: Exception) -> ConnectionFailed:
    """httpx's transport errors as a sentence."""
    sent = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
    reason = "no answer in time" if isinstance(error, httpx.TimeoutException) else str(error) or type(error).__name__
    reason = re.sub(r"^\[Errno -?\d+\] ", "", reason)
    return ConnectionFailed(url, reason, sent=sent)
