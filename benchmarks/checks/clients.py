"""`poe check-clients`: clients that nobody here wrote, on a real server that is killed, stopped and restored.

Chromium, npm's `eventsource` and curl come from no wheel, so this is no test; those from PyPI are among the tests too, and
here for the table. A line for each client and step says what was seen. Exit code 1 if a client saw anything but each event
once and in order, 2 if one is missing on this machine.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from app.logs import configure_logging
from benchmarks.checks.chromium import chromium, find_chromium
from benchmarks.checks.programs import curl, eventsource, install_eventsource
from tests.journeys.pypi_clients import CLIENTS
from tests.journeys.real_clients import (
    Open,
    hear_of_a_restored_log,
    lose_the_server_before_the_first_event,
    wait_for_a_place,
    walk_through,
)
from tests.postgres import Postgres
from tests.server import SERVE, Server

HURRIED = {"retry_milliseconds": "10", "index_folder": "memory"}
"""Who comes back so soon comes between two lives of the log."""


class Missing(Exception):
    """What this machine has not, and where it comes from."""


def find(name: str, folder: Path) -> Open:
    """The client of that name. Raises `Missing`."""
    return FINDERS[name](folder)


def _find_chromium(folder: Path) -> Open:
    program = find_chromium()
    if program is None:
        raise Missing("there is no Chromium here. On Debian: apt install chromium")
    return partial(chromium, program)


def _find_eventsource(folder: Path) -> Open:
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise Missing("there is no Node.js with npm here. On Debian: apt install nodejs npm")
    try:
        install_eventsource(folder)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise Missing(f"npm could not install it: {error}") from error
    return partial(eventsource, folder)


def _find_curl(folder: Path) -> Open:
    if shutil.which("curl") is None:
        raise Missing("there is no curl here. On Debian: apt install curl")
    return curl


FINDERS: dict[str, Callable[[Path], Open]] = {
    "chromium": _find_chromium,
    "eventsource": _find_eventsource,
    "curl": _find_curl,
    **{name: lambda folder, found=client: found for name, client in CLIENTS.items()},  # type: ignore[misc]
}


def steps(open_client: Open, folder: Path) -> Iterator[str]:
    """All that a client goes through, each part on a server of its own. Raises `AssertionError`, `TimeoutError`."""
    for walk, settings in (
        (walk_through, {}),
        (lose_the_server_before_the_first_event, {}),
        (wait_for_a_place, {"max_streams": "1"}),
    ):
        place = folder / walk.__name__
        place.mkdir(parents=True)
        with Server(place, program=SERVE, **settings) as server:
            yield from walk(server, open_client)
    with (
        postgres_running() as postgres,
        Server(folder, program=SERVE, database_url=postgres.new(), **HURRIED) as server,
    ):
        yield from hear_of_a_restored_log(server, open_client)


@contextmanager
def postgres_running() -> Iterator[Postgres]:
    """A server for one client."""
    with tempfile.TemporaryDirectory(prefix="cin-pg-") as folder:
        postgres = Postgres(Path(folder))
        try:
            yield postgres
        finally:
            postgres.stop()


def check(name: str, folder: Path) -> int:
    """0, 1 or 2, as the program's exit code says."""
    try:
        for line in steps(find(name, folder), folder):
            print(f"{name:12} {line}", flush=True)
    except Missing as missing:
        print(f"{name:12} NOT CHECKED: {missing}", flush=True)
        return 2
    except (AssertionError, TimeoutError) as broken:
        print(f"{name:12} BROKEN: {broken}", flush=True)
        return 1
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="poe check-clients", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "names", nargs="*", metavar="client", help=f"some of {', '.join(FINDERS)}; all if none is named"
    )
    chosen = parser.parse_args().names or list(FINDERS)
    if unknown := set(chosen) - set(FINDERS):
        parser.error(f"{', '.join(unknown)} is none of {', '.join(FINDERS)}")
    configure_logging("console", "error")  # a part of the server runs here
    with tempfile.TemporaryDirectory(prefix="cin-clients-") as folder:
        codes = {name: check(name, Path(folder) / name) for name in chosen}
    return 1 if 1 in codes.values() else max(codes.values())


if __name__ == "__main__":
    sys.exit(main())
