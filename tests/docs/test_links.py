"""Links between the pages lead somewhere."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.generate import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")
_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def links(page: Path) -> Iterator[tuple[Path, str]]:
    """Where the page's relative links lead: a file or folder, and a heading in it, if any."""
    for path, heading in _LINK.findall(_FENCED.sub("", page.read_text())):
        yield (page.parent / path if path else page), heading


def headings(page: Path) -> set[str]:
    """The headings as links name them."""
    words = (
        re.sub(r"[^\w\- ]", "", heading.lower()) for heading in _HEADING.findall(_FENCED.sub("", page.read_text()))
    )
    return {heading.replace(" ", "-") for heading in words}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    for target, heading in links(page):
        assert target.exists(), target
        assert not heading or heading in headings(target), f"{target} has no heading {heading}"


def test_every_page_can_be_found_from_the_readme() -> None:
    found: set[Path] = set()
    ahead = [ROOT / "README.md"]
    while ahead:
        page = ahead.pop()
        if page in found:
            continue
        found.add(page)
        inside = [target.resolve() for target, _ in links(page)]
        ahead += [target for target in inside if target.suffix == ".md"]
        ahead += [each for target in inside if target.is_dir() for each in target.glob("*.md")]
    assert set(PAGES) <= found


def test_pages_that_the_program_names_exist() -> None:
    source = "\n".join(path.read_text() for path in (ROOT / "app").rglob("*.py"))
    for name in set(re.findall(r"(?<!/)docs/[\w/-]+(?:\.md)?", source)):
        assert list((ROOT / "docs").glob(f"{name.removeprefix('docs/')}*")), name


@pytest.mark.parametrize("page", sorted((ROOT / "docs/decisions").glob("*.md")), ids=lambda page: page.name)
def test_decisions_have_their_parts_and_name_what_exists(page: Path) -> None:
    text = page.read_text()
    parts = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert parts == ["Context", "Decision", "Consequences", "Alternatives", "Enforced by"]
    assert text.startswith(f"# {page.name[:4]}: ")
    for path in re.findall(r"`((?:app|tests|docs|benchmarks)/[\w/.]*)`", text):
        assert (ROOT / path).exists(), path
