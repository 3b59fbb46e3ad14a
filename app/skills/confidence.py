"""How far a skill can be trusted, from what agents reported of it. Documented in docs/reference/confidence.md."""

FAILURE_WEIGHT = 2
"""A failure costs the next agent more than a success saves it: cq and MemClaw arrived at 1.5 independently, we round up."""


def confidence(votes_for: int, votes_against: int) -> float:
    """Laplace's rule of succession with failures counted `FAILURE_WEIGHT` times: 0 to 1, and 0.5 before the first vote.

    A vote is an agent's latest outcome, so an agent that reports a hundred times still has one.
    """
    return (1 + votes_for) / (2 + votes_for + FAILURE_WEIGHT * votes_against)
