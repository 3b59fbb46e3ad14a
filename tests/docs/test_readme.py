"""The README is true: its commands and programs do what it shows, in the order in which it shows them."""

from pathlib import Path

from tests.docs.following import Reader, read_blocks
from tests.docs.programs import ROOT
from tests.server import Server

README = ROOT / "README.md"
INSTALL = "python3 -m venv "
RUN = {"sh", "console", "python"}
RECIPES = {"yaml", "bash"}
"""What test_recipes.py runs."""

SHOWN = {"text", "javascript"}
"""What a Python program prints, and what is for a browser."""


def test_readme_does_what_it_says(fresh_server: Server, tmp_path: Path) -> None:
    (tmp_path / "terminals").mkdir()
    blocks = [block for block in read_blocks(README) if not block.text.startswith(INSTALL)]
    Reader(tmp_path / "terminals", fresh_server).follow(blocks)


def test_readme_has_no_block_that_nobody_runs() -> None:
    assert {block.language for block in read_blocks(README)} <= RUN | RECIPES | SHOWN


def test_ci_runs_the_lines_that_install() -> None:
    lines = [block.text.strip() for block in read_blocks(README) if block.text.startswith(INSTALL)]
    script = (ROOT / ".ci" / "run").read_text()
    assert len(lines) == 2
    for line in lines:
        assert line in script
