"""The documentation in the browser: all that it needs comes from the server itself."""

import re

import httpx
import pytest

from tests.server import Server

LINKS = re.compile(r"""(?:src|href|url)\s*[=:]\s*["']([^"']+)["']""")


@pytest.fixture(scope="module")
def page(server: Server) -> httpx.Response:
    return httpx.get(f"{server.url}/docs")


def links(page: httpx.Response) -> list[str]:
    return [link for link in LINKS.findall(page.text) if not link.startswith("data:")]


def test_page_is_html(page: httpx.Response) -> None:
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")


def test_page_needs_no_internet(page: httpx.Response) -> None:
    assert len(links(page)) >= 4
    assert not [link for link in links(page) if re.match(r"(?:\w+:)?//", link)]
    assert "http://" not in page.text
    assert "https://" not in page.text


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("swagger-ui-bundle.js", "text/javascript"),
        ("swagger-ui.css", "text/css"),
        ("favicon.png", "image/png"),
    ],
)
def test_asset_of_the_page_is_served(server: Server, page: httpx.Response, name: str, media_type: str) -> None:
    (link,) = [link for link in links(page) if link.endswith(name)]
    answer = httpx.get(f"{server.url}{link}")
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, media_type)
    assert len(answer.content) > 500


def test_style_of_the_page_loads_nothing_from_elsewhere(server: Server) -> None:
    style = httpx.get(f"{server.url}/docs/assets/swagger-ui.css").text
    assert not re.search(r"url\(['\"]?(?:https?:)?//", style)
    assert "@import" not in style


def test_page_shows_the_document_of_this_server(server: Server, page: httpx.Response) -> None:
    assert "/openapi.json" in links(page)
    assert httpx.get(f"{server.url}/openapi.json").headers["content-type"] == "application/json"


@pytest.mark.parametrize("path", ["../../../../etc/passwd", "%2e%2e/%2e%2e/secrets", "/etc/passwd", "../docs.py"])
def test_assets_are_those_of_the_page_alone(server: Server, path: str) -> None:
    answer = httpx.get(f"{server.url}/docs/assets/{path}")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
