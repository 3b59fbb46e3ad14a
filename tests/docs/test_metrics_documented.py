"""The metrics in the docs are those that a server exports."""

import re

import httpx

from docs.generate import ROOT, metrics_page
from tests.server import Server

PAGE = ROOT / "docs/reference/metrics.md"


def test_metrics_page_is_what_poe_docs_writes() -> None:
    assert PAGE.read_text() == metrics_page()


def test_metrics_page_has_what_a_server_exports(server: Server) -> None:
    exported = set(re.findall(r"^# TYPE (\w+) \w+$", httpx.get(f"{server.url}/metrics").text, re.MULTILINE))
    documented = set(re.findall(r"^\| `(\w+)`", PAGE.read_text(), re.MULTILINE))
    # Beside each counter and histogram the library exports the time at which it was made.
    assert {name for name in exported if not name.endswith("_created")} == documented
