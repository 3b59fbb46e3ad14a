"""HTTP/1.1 over sockets of our own: a request costs a tenth of what it costs in a general client, so load can be made
beside the server on the same machine. Answers must have a Content-Length, as all of CIN's have that are no streams.
"""

import asyncio
from typing import NamedTuple, Self
from urllib.parse import urlsplit

import orjson

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

TIMEOUT_SECONDS = 30.0


class Answer(NamedTuple):
    """Header names are in lower case."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    def json(self) -> dict[str, object]:
        return dict(orjson.loads(self.text))


class Http:
    """Connections to one server, kept and used again. Its methods raise `OSError` if the answer does not come."""

    def __init__(self, url: str) -> None:
        self._address = urlsplit(url)
        self._idle: list[Streams] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for _reader, writer in self._idle:
            writer.close()

    async def get(self, path: str) -> Answer:
        return await self._request(f"GET {path} HTTP/1.1\r\nHost: {self._address.netloc}\r\n\r\n".encode())

    async def post(self, path: str, body: bytes, headers: dict[str, str] | None = None) -> Answer:
        """Send JSON."""
        lines = [f"POST {path} HTTP/1.1", f"Host: {self._address.netloc}", "Content-Type: application/json"]
        lines += [f"Content-Length: {len(body)}", *(f"{name}: {value}" for name, value in (headers or {}).items())]
        return await self._request("\r\n".join([*lines, "", ""]).encode() + body)

    async def _request(self, request: bytes) -> Answer:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            streams = self._idle.pop() if self._idle else await self._connect()
            try:
                answer = await _exchange(streams, request)
            except BaseException:
                streams[1].close()
                raise
        self._idle.append(streams)
        return answer

    async def _connect(self) -> Streams:
        return await asyncio.open_connection(self._address.hostname, self._address.port, limit=2**24)


async def _exchange(streams: Streams, request: bytes) -> Answer:
    reader, writer = streams
    writer.write(request)
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:-2])}
        body = await reader.readexactly(int(headers["content-length"]))
    except asyncio.IncompleteReadError as cut:
        raise ConnectionResetError("the answer was cut") from cut
    return Answer(int(head[0].split(" ")[1]), headers, body.decode())
