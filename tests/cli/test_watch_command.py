"""`cin watch`: one line per skill, or a command per skill, and an end that forgets nothing."""

import signal
import subprocess
from collections.abc import Callable, Iterator
from uuid import uuid4

import msgspec
import pytest

from app.client import AgentStatus, Client
from tests.cli.running import Cin, Serving

Eventually = Callable[[Callable[[], object]], None]


class Log:
    """The log that tests share, as one test sees it: from `start` on, with an agent of its own."""

    def __init__(self, cin: Client) -> None:
        self._cin = cin
        self.agent = f"watcher-{uuid4().hex}"
        self.start = str(self._cin.info()["head"])

    def capture(self, pattern: str, resolution: str = "Do it.", error_type: str = "WatchError") -> str:
        """Capture a skill; returns its position."""
        pattern = f"{pattern} {self.agent}"
        return str(self._cin.capture(pattern=pattern, resolution=resolution, error_type=error_type).position)

    def status(self, name: str) -> AgentStatus | None:
        return next((agent for agent in self._cin.agents() if agent.name == name), None)

    def is_watched_by(self, name: str) -> bool:
        found = self.status(name)
        return found is not None and found.connections > 0

    @property
    def acknowledged(self) -> str | None:
        """How far the test's agent has come."""
        found = self.status(self.agent)
        return found.acknowledged if found else None


@pytest.fixture
def log(server: Serving) -> Iterator[Log]:
    with Client(server.url) as client:
        yield Log(client)


def offset(position: str) -> int:
    return int(position.rpartition("-")[2])


def patterns(out: str) -> list[str]:
    """The first two words of the pattern of each event that was printed as JSON."""
    events = [msgspec.json.decode(line) for line in out.splitlines()]
    return [" ".join(event["skill"]["pattern"].split()[:2]) for event in events]


def test_watch_prints_a_line_per_skill(cin: Cin, log: Log) -> None:
    position = log.capture("watch line", "pip install x\nand more")
    ended = cin("watch", "--since", log.start, "--count", "1")
    assert ended.returncode == 0
    _, number, kind, error_type, _, resolution = ended.stdout.rstrip("\n").split("  ")
    assert (number, kind, error_type) == (str(offset(position)), "skill.captured", "WatchError")
    assert resolution == "pip install x"


def test_watch_shows_live_skills_to_everybody_who_watches(cin: Cin, log: Log, eventually: Eventually) -> None:
    names = [f"{log.agent}-{number}" for number in range(2)]
    watching = [cin.start("watch", "--json", "--count", "3", "--agent", name) for name in names]
    eventually(lambda: all(map(log.is_watched_by, names)))
    for word in "abc":
        log.capture(f"live {word}")
    for process in watching:
        out, _ = process.communicate(timeout=20)
        assert patterns(out) == ["live a", "live b", "live c"]


def test_watch_filters(cin: Cin, log: Log) -> None:
    log.capture("filter a", error_type="A")
    log.capture("filter b", error_type="B")
    ended = cin("watch", "--since", log.start, "--error-type", "B", "--count", "1", "--json")
    assert patterns(ended.stdout) == ["filter b"]


def test_watch_escapes_what_would_drive_the_terminal(cin: Cin, log: Log) -> None:
    log.capture("hostile", "right-to-left \u202e override")
    out = cin("watch", "--since", log.start, "--count", "1").stdout
    assert "right-to-left \\u202e override" in out


def test_watch_goes_on_from_its_position_file(cin: Cin, log: Log) -> None:
    for pattern in ("file a", "file b", "file c"):
        log.capture(pattern)
    arguments = ("watch", "--since", log.start, "--position-file", "position", "--count", "1", "--json")
    assert [patterns(cin(*arguments).stdout) for _ in range(3)] == [["file a"], ["file b"], ["file c"]]


def test_watch_executes_a_command_per_skill_and_acknowledges_it(cin: Cin, log: Log) -> None:
    log.capture("exec a", resolution="$(touch evil); `touch evil`")
    position = log.capture("exec b")
    arguments = ("watch", "--since", log.start, "--agent", log.agent, "--count", "2")
    ended = cin(*arguments, "--exec", "tee -a 'skills with space'")
    assert ended.returncode == 0, ended.stderr
    written = [msgspec.json.decode(line) for line in (cin.folder / "skills with space").read_bytes().splitlines()]
    assert [skill["pattern"][:6] for skill in written] == ["exec a", "exec b"]
    assert not (cin.folder / "evil").exists()
    assert log.acknowledged == position


def test_watch_reports_a_command_that_failed_and_goes_on(cin: Cin, log: Log) -> None:
    failed = log.capture("fail a")
    position = log.capture("fail b")
    arguments = ("watch", "--since", log.start, "--agent", log.agent, "--count", "2")
    ended = cin(*arguments, "--exec", "sh -c 'grep -q \"fail b\" || exit 3'")
    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 1
    assert "sh ended with 3" in ended.stderr
    assert f"(offset {offset(failed)})" in ended.stderr
    assert log.acknowledged == position


def test_watch_that_stops_at_a_failure_gets_the_skill_again(cin: Cin, log: Log) -> None:
    first = log.capture("stop a")
    log.capture("stop b")
    arguments = ("watch", "--since", log.start, "--agent", log.agent, "--count", "2")
    ended = cin(*arguments, "--exec-stop", "--exec", "grep -q 'stop a'")
    assert ended.returncode == 1
    assert log.acknowledged == first
    again = cin("watch", "--agent", log.agent, "--count", "1", "--json")
    assert patterns(again.stdout) == ["stop b"]


@pytest.mark.parametrize("command", ["no-such-program-anywhere", "", "echo 'open"])
def test_watch_refuses_a_command_it_cannot_run(cin: Cin, command: str) -> None:
    ended = cin("watch", "--exec", command)
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_watch_ends_cleanly_when_interrupted(
    cin: Cin, log: Log, eventually: Eventually, number: signal.Signals
) -> None:
    position = log.capture("interrupted")
    process = cin.start("watch", "--since", log.start, "--agent", log.agent)
    assert process.stdout is not None
    assert "interrupted" in process.stdout.readline()
    eventually(lambda: log.acknowledged == position)
    process.send_signal(number)
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (130, "")


def test_watch_whose_reader_leaves_is_quiet(cin: Cin, log: Log) -> None:
    for pattern in ("pipe a", "pipe b"):
        log.capture(pattern)
    process = cin.start("watch", "--since", log.start, "--json")
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    log.capture("pipe c")
    assert process.wait(20) == 0
    assert process.stderr is not None
    assert process.stderr.read() == ""


def test_watch_goes_on_when_the_server_comes_back(fresh_cin: Cin, fresh_server: Serving) -> None:
    process = fresh_cin.start("watch", "--since", "earliest", "--json", "--count", "2")
    assert process.stdout is not None
    with Client(fresh_server.url) as client:
        log = Log(client)
        log.capture("outage before")
        assert patterns(process.stdout.readline()) == ["outage before"]
        fresh_server.kill()
        fresh_server.restart()
        log.capture("outage after")
    out, err = process.communicate(timeout=30)
    assert patterns(out) == ["outage after"]
    assert "was lost" in err
    assert process.returncode == 0


def test_watch_says_when_the_place_asked_for_is_gone(cin: Cin, log: Log, eventually: Eventually) -> None:
    log.capture("gone first")
    process = cin.start("watch", "--since", "zzzz-7", "--agent", log.agent, "--count", "1", "--json")
    eventually(lambda: log.is_watched_by(log.agent))
    log.capture("gone second")
    out, err = process.communicate(timeout=20)
    assert patterns(out) == ["gone second"]
    assert "(epoch): events may be missing" in err


def test_watch_of_a_place_that_is_none_is_trouble(cin: Cin) -> None:
    ended: subprocess.CompletedProcess[str] = cin("watch", "--since", "yesterday")
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1
