"""The application in this process, behind a real socket: for what can only be done to the very connection that writes."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn

from app.dependencies import Parts
from app.main import create_app
from app.settings import Settings


@asynccontextmanager
async def serving(database: Path) -> AsyncIterator[tuple[str, Parts]]:
    """Its URL and its parts; whoever opened streams has closed them before the end of the block."""
    app = create_app(Settings(database_url=f"sqlite:///{database}", retry_milliseconds=100))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        async with app.router.lifespan_context(app), asyncio.TaskGroup() as tasks:
            server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None, timeout_graceful_shutdown=1))
            tasks.create_task(server.serve(sockets=[listener]))
            try:
                yield f"http://127.0.0.1:{listener.getsockname()[1]}", app.state.parts
            finally:
                server.should_exit = True


async def pragma(parts: Parts, text: str) -> str | int:
    """What the one connection that writes says to a PRAGMA."""
    return await parts.database.write(lambda tx: tx.connection.exec_driver_sql(f"PRAGMA {text}").scalar_one())
