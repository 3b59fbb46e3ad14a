"""Clients that are programs: npm's `eventsource` in Node, and `curl -N`. What they print is read by a thread."""

import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import orjson

from tests.journeys.real_clients import Look, Seen

PACKAGE = "eventsource@4"
CURL = [
    *("curl", "--silent", "--no-buffer"),
    *("--retry", "100", "--retry-connrefused", "--retry-delay", "1"),  # also what 503 and `Retry-After` ask for
]

_SCRIPT = Path(__file__).with_name("eventsource.mjs")


def install_eventsource(folder: Path) -> None:
    """Have npm put the package and our script into `folder`. Raises `CalledProcessError`."""
    command = ["npm", "install", "--no-audit", "--no-fund", "--loglevel", "error", "--prefix", str(folder), PACKAGE]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    shutil.copy(_SCRIPT, folder)


@contextmanager
def eventsource(folder: Path, url: str, since: str) -> Iterator[Look]:
    """npm's `eventsource`, which reconnects by itself."""
    command = ["node", str(folder / _SCRIPT.name), f"{url}/stream?since={since}"]
    seen: list[Seen] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        reading = Thread(target=_take, args=(process.stdout, seen))
        reading.start()
        try:
            yield lambda: list(seen)
        finally:
            process.kill()
            reading.join()


def _take(lines: Iterable[bytes], seen: list[Seen]) -> None:
    seen.extend(Seen(*orjson.loads(line)) for line in lines)


@contextmanager
def curl(url: str, since: str) -> Iterator[Look]:
    """`curl -N` in a loop that hands it the last id it has printed, as `Last-Event-ID`."""
    looping = _CurlLoop(f"{url}/stream?since={since}")
    thread = Thread(target=looping.run)
    thread.start()
    try:
        yield lambda: list(looping.seen)
    finally:
        looping.stop()
        thread.join()


class _CurlLoop:
    def __init__(self, url: str) -> None:
        self.seen: list[Seen] = []
        self._url = url
        self._last = ""
        self._stopped = Event()
        self._process: subprocess.Popen[str] | None = None

    def run(self) -> None:
        while not self._stopped.is_set():
            resume = ["--header", f"Last-Event-ID: {self._last}"] if self._last else []
            with subprocess.Popen([*CURL, *resume, self._url], stdout=subprocess.PIPE, text=True) as self._process:
                assert self._process.stdout is not None
                self._read(self._process.stdout)
            self._stopped.wait(0.2)

    def stop(self) -> None:
        self._stopped.set()
        if self._process is not None:
            self._process.kill()

    def _read(self, lines: Iterable[str]) -> None:
        """An id counts once the empty line behind it has come: what was cut before is sent again."""
        fields: dict[str, str] = {}
        for line in lines:
            name, _, value = line.rstrip("\n").partition(": ")
            if name:
                fields[name] = value
                continue
            self._last = fields.get("id", self._last)
            if "event" in fields:
                self.seen.append(Seen(fields["event"], self._last))
            fields = {}
