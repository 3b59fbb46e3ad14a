"""Chromium's own `EventSource`, in a page of the server, watched through the DevTools protocol."""

import itertools
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from websockets.sync.client import ClientConnection, connect

from tests.journeys.real_clients import Look, Seen
from tests.server import wait_until

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
START_SECONDS = 30.0

_SUBSCRIBE = """
seen = [];
source = new EventSource(URL);
for (const type of ['hello', 'skill.captured', 'skill.revised', 'skill.retired', 'reset'])
  source.addEventListener(type, (event) => seen.push([event.type, event.lastEventId]));
source.onerror = () => { if (source.readyState === EventSource.CLOSED) seen.push(['gave up', '']) };
"""


def find_chromium() -> str | None:
    """The program, if this machine has one."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


@contextmanager
def chromium(program: str, url: str, since: str) -> Iterator[Look]:
    """A page of the server, whose origin a stream must have, that subscribes and remembers what it is shown."""
    with (
        tempfile.TemporaryDirectory(prefix="cin-chromium-", ignore_cleanup_errors=True) as folder,
        _browser(program, Path(folder)) as port,
        connect(_page(port), max_size=None) as socket,
    ):
        page = _Page(socket)
        page.open(f"{url}/healthz")
        page.evaluate(_SUBSCRIBE.replace("URL", json.dumps(f"/stream?since={since}")))
        yield lambda: [Seen(*each) for each in page.evaluate("seen")]


class _Page:
    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)

    def open(self, url: str) -> None:
        self._call("Page.navigate", url=url)
        wait_until(lambda: self.evaluate("document.readyState + location.href") == f"complete{url}", what=url)

    def evaluate(self, script: str) -> Any:
        """The value of the script's last expression."""
        answer = self._call("Runtime.evaluate", expression=script, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"])
        return answer["result"].get("value")

    def _call(self, method: str, **parameters: object) -> dict[str, Any]:
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while (message := json.loads(self._socket.recv(timeout=START_SECONDS))).get("id") != number:
            pass
        return dict(message["result"])


@contextmanager
def _browser(program: str, folder: Path) -> Iterator[int]:
    """A browser without a window; the port that it is driven through."""
    command = [program, "--headless=new", "--disable-gpu", "--no-first-run", "--remote-debugging-port=0"]
    if os.geteuid() == 0:
        command.append("--no-sandbox")  # it refuses to run as root with one
    command += [f"--user-data-dir={folder}", "about:blank"]
    port = folder / "DevToolsActivePort"
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            wait_until(lambda: port.exists() and bool(port.read_text()), START_SECONDS, "Chromium's port")
            yield int(port.read_text().split()[0])
        finally:
            process.terminate()


def _page(port: int) -> str:
    """The socket of the page that the browser began with."""
    targets = httpx.get(f"http://127.0.0.1:{port}/json/list").json()
    return next(str(target["webSocketDebuggerUrl"]) for target in targets if target["type"] == "page")
