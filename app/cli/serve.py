"""`cin serve`: the server, from the terminal to the last drained stream."""

import asyncio
import socket
import sys

from app.cli.descriptors import fit_streams, tell_limit
from app.cli.environment import read_settings
from app.cli.listening import describe, listener
from app.errors import StartupError
from app.logs import configure_logging
from app.settings import Settings


def serve(host: str | None, port: int | None, workers: int | None = None) -> int:
    """Run until SIGTERM or SIGINT. Returns the exit code: 0, or 2 when it cannot start, said in a sentence."""
    try:
        settings = read_settings(host=host, port=port, workers=workers)
        configure_logging(settings.log_format, settings.log_level)
        if settings.workers > 1:
            from app.cli.supervisor import supervise  # what serves is imported by the workers, and not here

            return supervise(settings)
        _serve_alone(settings)
    except StartupError as error:
        print(f"cin: {error.detail}", file=sys.stderr)
        return 2
    return 0


def _serve_alone(settings: Settings) -> None:
    with listener(settings) as bound:
        from app.cli.server import loop_factory

        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(_serve(settings, bound))


async def _serve(wanted: Settings, bound: socket.socket) -> None:
    from app.cli.server import Server
    from app.main import create_app

    settings = fit_streams(wanted)
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        tell_limit(wanted, settings)
        print(describe(bound), file=sys.stderr)
        await Server(app, settings).serve(sockets=[bound])
