"""Names for skills that were captured without one: a slug made from what they say."""

import re
import unicodedata

MAX_NAME = 64
_NOT_SLUG = re.compile(r"[^a-z0-9]+")


def suggest_names(
    error_type: str | None, pattern: str | None, description: str | None, fingerprint: str
) -> tuple[str, str]:
    """A readable name, and a longer one for when that is taken: it ends in the fingerprint, so nobody else has it.

    >>> suggest_names("ImportError", "No module named 'django'", None, "8f14e45fceea167a")
    ('importerror-no-module-named-django', 'importerror-no-module-named-django-8f14e45fceea')
    """
    words = slug(" ".join(part for part in (error_type, pattern or description) if part)) or "skill"
    suffix = fingerprint[:12]
    return cut(words, MAX_NAME), f"{cut(words, MAX_NAME - len(suffix) - 1)}-{suffix}"


def slug(text: str) -> str:
    """`text` as lower-case ASCII words joined by hyphens; empty if it has no letter or digit that ASCII can show."""
    ascii_text = unicodedata.normalize("NFKD", text[:512]).encode("ascii", "ignore").decode().lower()
    return _NOT_SLUG.sub("-", ascii_text).strip("-")


def cut(name: str, length: int) -> str:
    """At most `length` characters of `name`, ended at a hyphen where one is near."""
    if len(name) <= length:
        return name
    head, _, _ = name[: length + 1].rpartition("-")
    return head if len(head) > length // 2 else name[:length].rstrip("-")
