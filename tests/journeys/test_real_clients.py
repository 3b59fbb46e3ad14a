"""Journey: clients from PyPI that nobody here wrote see each event once, over kills, drains and a restored log.

`poe check-clients` has the same for those that come from elsewhere.
"""

from pathlib import Path

import pytest

from tests.journeys.pypi_clients import CLIENTS
from tests.journeys.real_clients import (
    Open,
    lose_the_server_before_the_first_event,
    wait_for_a_place,
    walk_through,
)
from tests.server import Server


def test_clients_see_each_event_once(fresh_server: Server) -> None:
    assert len(list(walk_through(fresh_server, *CLIENTS.values()))) == 7


def test_clients_that_have_seen_nothing_yet_miss_nothing(fresh_server: Server) -> None:
    assert list(lose_the_server_before_the_first_event(fresh_server, *CLIENTS.values()))


@pytest.mark.parametrize("open_client", CLIENTS.values(), ids=CLIENTS)
def test_client_that_is_refused_comes_back(tmp_path: Path, open_client: Open) -> None:
    with Server(tmp_path, max_streams="1") as server:
        assert list(wait_for_a_place(server, open_client))
