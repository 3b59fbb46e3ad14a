"""A stream as most build it: sse-starlette as it comes, a queue and a generator for each connection, nothing durable."""

import asyncio
from collections.abc import AsyncIterator

from fastapi import FastAPI, Request
from sse_starlette import EventSourceResponse

app = FastAPI()
queues: set[asyncio.Queue[str]] = set()


@app.post("/skills", status_code=201)
async def publish(request: Request) -> dict[str, int]:
    body = (await request.body()).decode()
    for queue in queues:
        queue.put_nowait(body)
    return {"subscribers": len(queues)}


@app.get("/stream")
async def stream() -> EventSourceResponse:
    queue: asyncio.Queue[str] = asyncio.Queue()

    async def events() -> AsyncIterator[dict[str, str]]:
        queues.add(queue)
        try:
            yield {"event": "hello", "data": "{}"}
            while True:
                yield {"event": "skill.captured", "data": await queue.get()}
        finally:
            queues.discard(queue)

    return EventSourceResponse(events(), sep="\n")
