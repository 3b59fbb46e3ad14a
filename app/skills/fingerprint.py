"""What makes two captures the same skill: error type, pattern and resolution, white space aside."""

import hashlib


def fingerprint(error_type: str | None, pattern: str | None, resolution: str) -> str:
    """64 hex digits, equal exactly for skills that are the same after normalising white space."""
    parts = (normalise(part or "") for part in (error_type, pattern, resolution))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def normalise(text: str) -> str:
    """`text` with every run of white space as one space, and none at the ends."""
    return " ".join(text.split())
