"""The problems in the docs are those that a server answers with."""

import re

import httpx

from docs.generate import ROOT, problems_page
from tests.server import Server

PAGE = ROOT / "docs/reference/problems.md"


def test_problems_page_is_what_poe_docs_writes() -> None:
    assert PAGE.read_text() == problems_page()


def test_problems_of_the_openapi_document_are_on_the_page(server: Server) -> None:
    named = set(re.findall(r'"/problems/[a-z-]+"', httpx.get(f"{server.url}/openapi.json").text))
    documented = set(re.findall(r"`(/problems/[a-z-]+)`", PAGE.read_text()))
    assert {slug.strip('"') for slug in named} <= documented


def test_a_server_answers_with_what_the_page_says(server: Server) -> None:
    problem = httpx.get(f"{server.url}/skills/none").json()
    row = f"| {problem['status']} | `{problem['type']}` | {problem['title']} |"
    assert row in PAGE.read_text()
