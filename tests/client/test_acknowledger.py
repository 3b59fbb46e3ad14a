"""What is still to be acknowledged, and what the server's refusal means."""

import pytest

from app.client import ConnectionFailed, InvalidInput, Problem
from app.client.acknowledger import Ledger

REFUSED = InvalidInput(Problem(detail="That position is of another log."), 422)


def test_ledger_keeps_what_could_not_be_sent() -> None:
    ledger = Ledger()
    ledger.passed("k3f9-1")
    ledger.failed(ConnectionFailed("http://cin.test", "reset", sent=True))
    assert ledger.due == "k3f9-1"
    ledger.succeeded("k3f9-1")
    assert ledger.due is None


def test_ledger_raises_a_refusal_to_who_comes_back() -> None:
    ledger = Ledger()
    ledger.passed("k3f9-1")
    ledger.failed(REFUSED)
    assert ledger.due is None
    with pytest.raises(InvalidInput):
        ledger.passed("k3f9-1")


def test_ledger_forgets_a_refusal_of_a_log_that_is_no_more() -> None:
    ledger = Ledger()
    ledger.passed("old1-9")
    ledger.failed(REFUSED)
    ledger.passed("new2-3")
    assert ledger.due == "new2-3"
