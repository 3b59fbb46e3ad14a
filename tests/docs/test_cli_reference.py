"""The command line in the docs is the command line."""

import subprocess
import sys

from docs.generate import ROOT, cli_page

PAGE = ROOT / "docs/reference/cli.md"


def test_cli_page_is_what_poe_docs_writes() -> None:
    assert PAGE.read_text() == cli_page()


def test_cli_page_has_every_command_that_help_lists() -> None:
    command = [sys.executable, "-m", "app.cli", "--help"]
    text = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    listed = text.partition("Commands:\n")[2].partition("\n\n")[0]
    names = {line.split()[0] for line in listed.splitlines()}
    assert names == {line[7:] for line in PAGE.read_text().splitlines() if line.startswith("## cin ")}
