"""The shared state against real servers that come late, are killed and come back."""

import multiprocessing
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from app.client import CINError, Client, Event, NotFound, Reset, SharedStateClient
from tests.docs.programs import ROOT
from tests.server import Server, wait_until

pytestmark = pytest.mark.usefixtures("soon")


class Seen:
    """What callbacks were given."""

    def __init__(self, shared: SharedStateClient) -> None:
        self.events: list[Event] = []
        self.resets: list[Reset] = []
        shared.on_reset(self.resets.append)
        shared.on_skill(self.events.append)

    @property
    def offsets(self) -> list[int]:
        return [event.offset for event in self.events]

    def wait(self, count: int) -> None:
        wait_until(lambda: len(self.events) >= count, 20, f"{count} events")


@pytest.fixture
def quick_server(tmp_path: Path) -> Iterator[Server]:
    """A server of this test's own, to which clients come back soon."""
    with Server(tmp_path, retry_milliseconds="100") as running:
        yield running


def socket_of(server: Server) -> str:
    return server.url.replace("http", "ws")


def capture(shared: SharedStateClient, number: int) -> None:
    shared.capture_later(pattern=f"error no {number}", resolution=f"Do {number}.")


def test_client_made_before_its_server_sends_what_was_kept_once_and_in_order(tmp_path: Path) -> None:
    server = Server(tmp_path, retry_milliseconds="100")
    with SharedStateClient(socket_of(server), agent="builder") as shared:
        shared.register_capability("skill_broadcast")
        seen = Seen(shared)
        for number in range(30):
            capture(shared, number)
        assert (shared.connected, shared.kept) == (False, 30)
        with server:
            assert shared.wait_connected(20)
            seen.wait(30)
            with Client(server.url) as cin:
                wait_until(lambda: [agent.lag for agent in cin.agents()] == [0])
                assert cin.agents()[0].capabilities == ("skill_broadcast",)
                assert {skill.captures for skill in cin.list()} == {1}
        assert [event.skill.resolution for event in seen.events] == [f"Do {number}." for number in range(30)]


def test_server_killed_under_two_clients_neither_loses_nor_doubles_anything(quick_server: Server) -> None:
    total = 100
    with SharedStateClient(quick_server.url) as writer, SharedStateClient(socket_of(quick_server)) as reader:
        assert writer.wait_connected()
        assert reader.wait_connected()
        seen, own = Seen(reader), Seen(writer)

        def write() -> None:
            for number in range(total):
                capture(writer, number)
                seen.wait(number - 5)  # so that some are on their way when it is killed

        writing = threading.Thread(target=write)
        writing.start()
        seen.wait(40)
        quick_server.restart()
        writing.join()
        seen.wait(total)
        own.wait(total)
        assert seen.offsets == own.offsets == list(range(1, total + 1))
        assert (seen.resets, own.resets) == ([], [])
    with Client(quick_server.url) as cin:
        assert {skill.captures for skill in cin.list()} == {1}


def test_two_clients_see_each_others_skills(server: Server) -> None:
    with SharedStateClient(socket_of(server), agent="a") as a, SharedStateClient(server.url, agent="b") as b:
        assert a.wait_connected()
        assert b.wait_connected()
        tag = str(uuid4())
        seen_by_a, seen_by_b = Seen(a), Seen(b)
        a.capture(pattern=f"{tag} a", resolution="By a.")
        b.capture(pattern=f"{tag} b", resolution="By b.")

        def told(seen: Seen) -> list[tuple[str, str]]:
            return [
                (each.skill.captured_by, each.skill.resolution)
                for each in seen.events
                if tag in (each.skill.pattern or "")
            ]

        for seen in (seen_by_a, seen_by_b):
            wait_until(lambda seen=seen: told(seen) == [("a", "By a."), ("b", "By b.")])  # type: ignore[misc]


def test_agent_goes_on_from_what_its_callbacks_have_seen(server: Server) -> None:
    agent, tag = f"builder-{uuid4()}", str(uuid4())

    def lag(cin: Client) -> int | None:
        return next(each.lag for each in cin.agents() if each.name == agent)

    with Client(server.url) as cin:
        with SharedStateClient(server.url, agent=agent) as shared:
            seen = Seen(shared)
            shared.capture(pattern=f"{tag} while there", resolution="Look.")
            seen.wait(1)
        wait_until(lambda: lag(cin) == 0)
        cin.capture(pattern=f"{tag} while away", resolution="Look again.")
        with SharedStateClient(server.url, agent=agent) as shared:
            seen = Seen(shared)
            seen.wait(1)
    assert [event.skill.pattern for event in seen.events] == [f"{tag} while away"]


def test_position_of_another_life_is_a_reset_and_then_live(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "position"
    file.write_text("zzzz-1\n")
    with SharedStateClient(server.url, position_file=file) as shared:
        seen = Seen(shared)
        wait_until(lambda: [reset.reason for reset in seen.resets] == ["epoch"])
        shared.capture(pattern=f"{uuid4()}", resolution="Live.")
        seen.wait(1)
        wait_until(lambda: file.read_text().strip() == seen.events[-1].id)


def test_filters_leave_out_what_is_not_wanted(server: Server) -> None:
    kind = f"Error{uuid4().hex[:8]}"
    with SharedStateClient(server.url, error_types=[kind]) as shared:
        assert shared.wait_connected()
        seen = Seen(shared)
        shared.capture(pattern=f"{uuid4()}", resolution="Not wanted.")
        shared.capture(pattern=f"{uuid4()}", error_type=kind, resolution="Wanted.")
        seen.wait(1)
        assert [event.skill.resolution for event in seen.events] == ["Wanted."]


def test_outcome_of_a_skill_is_told_at_once(server: Server) -> None:
    with SharedStateClient(server.url) as shared:
        skill = shared.capture(pattern=f"{uuid4()}", resolution="Stop it.").skill
        told = shared.outcome(skill.id, success=True)
        assert told is not None
        assert (told.success_count, shared.kept) == (1, 0)
        with pytest.raises(NotFound):
            shared.outcome(str(uuid4()), success=True)


def test_closing_from_a_callback_or_another_thread_ends_it(server: Server) -> None:
    in_callback, elsewhere = SharedStateClient(server.url), SharedStateClient(server.url)
    assert in_callback.wait_connected()
    assert elsewhere.wait_connected()
    in_callback.on_skill(lambda event: in_callback.close())
    in_callback.capture_later(pattern=f"{uuid4()}", resolution="Close.")
    closing = threading.Thread(target=elsewhere.close)
    closing.start()
    closing.join(5)
    for shared in (in_callback, elsewhere):
        wait_until(lambda shared=shared: not shared._listener._thread.is_alive())  # type: ignore[misc]
        shared.close()
        with pytest.raises(CINError, match="closed"):
            shared.capture_later(pattern="x", resolution="Too late.")
    assert not [thread for thread in threading.enumerate() if thread.name == "cin-shared-state"]


def test_closing_sends_what_was_captured_a_moment_before(server: Server) -> None:
    pattern = f"{uuid4()}"
    with SharedStateClient(server.url) as shared:
        answer = shared.capture_later(pattern=pattern, resolution="Just in time.")
    assert answer.result(0).skill.pattern == pattern


def test_process_that_never_closes_its_client_ends_and_has_sent_all(server: Server) -> None:
    pattern = f"{uuid4()}"
    program = """
        import sys
        from app.client import SharedStateClient
        for url in sys.argv[1:3]:
            shared = SharedStateClient(url)
            shared.on_skill(print)
            shared.capture_later(pattern=sys.argv[3], resolution="Said while leaving.")
    """
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(program), "ws://127.0.0.1:9", server.url, pattern]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=20, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    with Client(server.url) as cin:
        assert [match.skill.resolution for match in cin.match(pattern).matches] == ["Said while leaving."]


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_forked_child_leaves_the_connection_to_its_parent(server: Server) -> None:
    with SharedStateClient(server.url) as shared:
        assert shared.wait_connected()
        child = multiprocessing.get_context("fork").Process(target=_use_in_child, args=(shared,))
        child.start()
        child.join(10)
        assert child.exitcode == 0
        assert shared.capture(pattern=f"{uuid4()}", resolution="Still here.").created


def _use_in_child(shared: SharedStateClient) -> None:
    try:
        shared.capture_later(pattern="x", resolution="From a child.")
    except CINError as error:
        shared.close()
        sys.exit(0 if "belongs to the process that made it" in str(error) and not shared.connected else 2)
    sys.exit(3)
