"""`cin match` and `cin search` against a real server, as people and programs use them."""

import os
import pty
import subprocess
from collections.abc import Callable
from uuid import uuid4

import msgspec
import pytest

from app.client import Client, Match, Skill
from app.client.calls import MESSAGE_BYTES
from tests.cli.running import Cin, Serving

Ask = Callable[[Cin, str], subprocess.CompletedProcess[str]]


def capture(
    server: Serving, *, resolution: str = "Close it.", error_type: str = "OSError", description: str | None = None
) -> Skill:
    """A skill whose pattern no other test has."""
    word = uuid4().hex.translate(str.maketrans("0123456789", "ghijklmnop"))
    with Client(server.url, agent="tester") as client:
        return client.capture(
            pattern=f"cannot open {word}", resolution=resolution, error_type=error_type, description=description
        ).skill


def log_with(skill: Skill) -> str:
    return f"> npm test\n\x1b[31mFAIL\x1b[0m\nOSError: {skill.pattern}\nmake: *** [test] Error 1\n"


def from_argument(cin: Cin, log: str) -> subprocess.CompletedProcess[str]:
    return cin("match", log)


def from_file(cin: Cin, log: str) -> subprocess.CompletedProcess[str]:
    (cin.folder / "build.log").write_text(log)
    return cin("match", "--file", "build.log")


def from_pipe(cin: Cin, log: str) -> subprocess.CompletedProcess[str]:
    return cin("match", stdin=log)


def from_named_standard_input(cin: Cin, log: str) -> subprocess.CompletedProcess[str]:
    return cin("match", "--file", "-", stdin=log)


@pytest.mark.parametrize("ask", [from_argument, from_file, from_pipe, from_named_standard_input])
def test_match_finds_the_skill_and_says_where(cin: Cin, server: Serving, ask: Ask) -> None:
    skill = capture(server, resolution="Close it:\n\tmake clean")
    ended = ask(cin, log_with(skill))
    assert (ended.returncode, ended.stderr) == (0, "")
    first, second, *others = ended.stdout.splitlines()[:7]
    assert first.startswith(f"1. {skill.name} (exact, ")
    assert first.endswith(", OSError)")
    assert second == f"   line 3: {skill.pattern}"
    assert others[1:] == ["   confidence 0.50", "   | Close it:", "   |     make clean", f"   skill {skill.id}"]


def test_match_as_json_is_a_value_per_line(cin: Cin, server: Serving) -> None:
    skill = capture(server)
    log = log_with(skill)
    ended = cin("match", "--json", "--error-type", "OSError", "--limit", "3", stdin=log)
    best, *_ = found = [msgspec.json.decode(line, type=Match) for line in ended.stdout.splitlines()]
    assert ended.returncode == 0
    assert len(found) <= 3
    assert (best.skill.id, best.kind) == (skill.id, "exact")
    assert best.span is not None
    assert log[best.span.start : best.span.end] == best.matched == skill.pattern


def test_match_that_finds_nothing_says_so_and_exits_with_1(fresh_cin: Cin) -> None:
    for log in ("no such error", "", "\n \n"):
        for flag in ([], ["--json"]):
            ended = fresh_cin("match", *flag, stdin=log)
            assert (ended.returncode, ended.stdout) == (1, "")
            assert ended.stderr.startswith("Nothing found.")


def test_match_of_bytes_that_are_no_text_is_no_trouble(cin: Cin, server: Serving) -> None:
    skill = capture(server)
    log = b"\xff\xfe\x00\x1b[2J" + os.urandom(1_000) + f"\n{skill.pattern}\n".encode()
    (cin.folder / "build.log").write_bytes(log)
    for line in ("cin match --file build.log", "cin match < build.log", "cat build.log | cin match"):
        ended = cin.shell(line)
        assert (ended.returncode, ended.stderr) == (0, "")
        assert skill.name in ended.stdout


def test_match_of_a_log_that_is_too_long_looks_at_its_end(cin: Cin, server: Serving) -> None:
    skill = capture(server)
    with (cin.folder / "build.log").open("w") as file:
        file.write("compiling\n" * (MESSAGE_BYTES // 9))
        file.write(log_with(skill))
    ended = cin("match", "--file", "build.log", "--limit", "1")
    assert (ended.returncode, ended.stderr) == (
        0,
        "build.log is longer than 8 MiB: only its end is matched, and lines are counted from there.\n",
    )
    assert skill.name in ended.stdout


def test_match_shows_what_strangers_wrote_and_does_not_obey_it(cin: Cin, server: Serving) -> None:
    skill = capture(server, resolution="ls \u202e\n1. a-forgery\n::error::x\n##[error]y")
    ended = cin("match", log_with(skill))
    assert "   | ls \\u202e\n   | 1. a-forgery\n   | ::error::x\n   | ##\\[error]y\n" in ended.stdout


def test_match_in_trouble_is_one_sentence(cin: Cin) -> None:
    for arguments, word in [
        (["x", "--file", "build.log"], "not both"),
        (["--file", "no-such.log"], "no-such.log: No such file"),
        (["x", "--url", "http://127.0.0.1:1"], "cin serve"),
        (["x", "--limit", "1000000"], "limit"),
        (["x", "--error-type", "E" * 300], "error_type"),
    ]:
        ended = cin("match", *arguments)
        assert (ended.returncode, ended.stdout) == (2, "")
        assert len(ended.stderr.splitlines()) == 1
        assert word in ended.stderr


def test_match_with_nothing_on_a_terminal_says_what_it_wants(cin: Cin) -> None:
    ours, theirs = pty.openpty()
    try:
        process = cin.start("match", stdin=theirs)
        _, err = process.communicate(timeout=60)
    finally:
        os.close(ours)
        os.close(theirs)
    assert process.returncode == 2
    assert err == "cin: Give a MESSAGE or --file, or pipe a log in: make test 2>&1 | cin match.\n"


def test_match_with_standard_input_closed_says_what_it_wants(cin: Cin) -> None:
    ended = cin.shell("cin match <&-")
    assert ended.returncode == 2
    assert "Give a MESSAGE" in ended.stderr


def test_search_finds_by_words(cin: Cin, server: Serving) -> None:
    skill = capture(server)
    assert skill.pattern is not None
    word = skill.pattern.split()[-1]
    ended = cin("search", "open", word, "--limit", "1")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines()[:2] == [f"1. {skill.name} (OSError)", f"   when: {skill.pattern}"]
    assert f"   | {skill.resolution}\n" in ended.stdout


def test_search_narrows_and_sorts(cin: Cin, server: Serving) -> None:
    older, newer = (capture(server, error_type="SearchError", description="narrowness") for _ in range(2))
    lines = cin("search", "narrowness", "--error-type", "SearchError", "--sort", "newest", "--json").stdout.splitlines()
    assert [msgspec.json.decode(line, type=Skill).id for line in lines] == [newer.id, older.id]
    for option in (["--tag", "no-such-tag"], ["--captured-by", "nobody"], ["--error-type", "NoSuchError"]):
        ended = cin("search", "narrowness", *option)
        assert (ended.returncode, ended.stdout) == (1, "")
        assert ended.stderr.startswith("Nothing found")


def test_search_in_trouble_is_one_sentence(cin: Cin) -> None:
    for arguments, word in [
        (["x", "--sort", "luck"], "sort"),
        (["x", "--url", "http://127.0.0.1:1"], "cin serve"),
        (["\udcff"], "UTF-8"),
    ]:
        ended = cin("search", *arguments)
        assert (ended.returncode, ended.stdout) == (2, "")
        assert len(ended.stderr.splitlines()) == 1
        assert word in ended.stderr


def test_search_takes_words_that_look_like_a_query(cin: Cin) -> None:
    for words in (['"'], ["AND", "OR", "NEAR("], ["a:b*"], ["--", "-x"], ["%", "_"]):
        assert cin("search", *words).returncode in (0, 1)
