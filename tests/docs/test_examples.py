"""The programs in examples/ do what their first lines say."""

import os
import re
import subprocess
import sys
from pathlib import Path

import httpx

from app.client import Client
from docs.generate import ROOT
from tests.server import Server, wait_until

EXAMPLES = ROOT / "examples"


def environment(server: Server) -> dict[str, str]:
    return {**os.environ, "CIN_URL": server.url, "CIN_AGENT": "example", "PYTHONPATH": str(ROOT)}


def test_share_a_fix_captures_what_failed(fresh_server: Server) -> None:
    failing = [sys.executable, "-c", "import no_such_module"]
    command = [sys.executable, str(EXAMPLES / "share_a_fix.py"), "pip install it", *failing]
    said = [subprocess.check_output(command, env=environment(fresh_server), text=True) for _ in range(2)]
    with Client(fresh_server.url) as cin:
        (skill,) = cin.list()
    assert said == [f"new: {skill.name}\n", f"captured 2 times: {skill.name}\n"]
    assert (skill.error_type, skill.pattern, skill.resolution, skill.captured_by) == (
        "ModuleNotFoundError",
        "No module named 'no_such_module'",
        "pip install it",
        "example",
    )


def test_listen_goes_on_where_it_was(fresh_server: Server, tmp_path: Path) -> None:
    notes = tmp_path / "learned.md"
    command = [sys.executable, str(EXAMPLES / "listen.py"), str(notes)]
    with Client(fresh_server.url) as cin:
        for number in range(3):
            cin.capture(pattern=f"pattern {number}", resolution=f"Do {number}.")
            listening = subprocess.Popen(command, env=environment(fresh_server), stdout=subprocess.DEVNULL)
            try:
                wait_until(lambda: _is_kept(cin, notes))
            finally:
                listening.kill()
                listening.wait()
    assert re.findall(r"Do: (.+)", notes.read_text()) == ["Do 0.", "Do 1.", "Do 2."]


def test_browser_page_uses_paths_and_events_that_exist(server: Server) -> None:
    page = (EXAMPLES / "browser.html").read_text()
    document = httpx.get(f"{server.url}/openapi.json").json()
    paths = re.findall(r'(?:fetch|EventSource)\("(/\w+)', page)
    assert sorted(paths) == ["/skills", "/stream"]
    assert set(paths) <= document["paths"].keys()
    events = set(re.findall(r'addEventListener\("([\w.]+)"', page)) - {"error"}
    assert all(f"`{event}`" in document["paths"]["/stream"]["get"]["description"] for event in events)
    for path in re.findall(r'"(/\w+\?[^"]+)"', page):
        with httpx.stream("GET", server.url + path) as answer:
            assert answer.status_code == 200


def _is_kept(cin: Client, notes: Path) -> bool:
    """Whether the place after the newest event is in the position file."""
    position = notes.with_name(f"{notes.name}.position")
    return position.exists() and position.read_text().strip() == cin.page(limit=1).position
