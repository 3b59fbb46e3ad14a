"""The settings in the docs are the settings of the program."""

from app.settings import Settings
from docs.generate import ROOT, readme, settings_page


def test_settings_page_is_what_poe_docs_writes() -> None:
    assert (ROOT / "docs/reference/settings.md").read_text() == settings_page()


def test_readme_has_the_settings_that_poe_docs_writes() -> None:
    assert (ROOT / "README.md").read_text() == readme()


def test_settings_are_all_described() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []
