"""The lines of a log that carry the failure: the cause first, in logs of many tools, however long they are."""

import pytest

from app.skills.build_log import read_log
from app.skills.failure_lines import LAST_SCREEN, MAX_FAILURE_LINES, failure_lines

GITHUB_PYTEST = """\
2024-01-02T10:00:00.1234567Z ##[group]Run pytest -q
2024-01-02T10:00:00.2234567Z \x1b[36;1mpytest -q\x1b[0m
2024-01-02T10:00:00.3234567Z ##[endgroup]
2024-01-02T10:00:01.1234567Z tests/test_error.py::test_failed \x1b[32mPASSED\x1b[0m [ 50%]
2024-01-02T10:00:01.2234567Z tests/test_x.py::test_y \x1b[31mFAILED\x1b[0m [100%]
2024-01-02T10:00:01.3234567Z     def test_y():
2024-01-02T10:00:01.4234567Z >       import django
2024-01-02T10:00:01.5234567Z \x1b[31mE       ModuleNotFoundError: No module named 'django'\x1b[0m
2024-01-02T10:00:01.6234567Z tests/test_x.py:2: ModuleNotFoundError
2024-01-02T10:00:01.7234567Z ===== 1 failed, 1 passed in 0.12s =====
2024-01-02T10:00:01.8234567Z ##[error]Process completed with exit code 1.
"""
GITLAB_NPM = """\
section_start:1704189600:step_script\r\x1b[0K\x1b[0Ksection with a name
\x1b[32;1m$ npm ci\x1b[0;m
npm WARN deprecated har-validator@5.1.5: this library is no longer supported
npm ERR! code ERESOLVE
npm ERR! ERESOLVE could not resolve
npm ERR! A complete log of this run can be found in: /root/.npm/_logs/2024-debug-0.log
section_end:1704189601:step_script\r\x1b[0K
\x1b[31;1mERROR: Job failed: exit code 1\x1b[0;m
"""
CARGO = """\
[10:00:00]    Compiling foo v0.1.0 (/app)
[10:00:01] error[E0308]: mismatched types
[10:00:01]  --> src/main.rs:12:5
[10:00:01]    |
[10:00:01] 12 |     "a"
[10:00:01] error: aborting due to previous error
[10:00:01] error: could not compile `foo` (bin "foo") due to previous error
"""
MAKE = """\
gcc -c main.c -o main.o
0 errors, 2 warnings
/usr/bin/ld: main.o: in function `main':
main.c:(.text+0x1b): undefined reference to `foo'
collect2: error: ld returned 1 exit status
make: *** [Makefile:12: all] Error 1
"""
GO_TEST = """\
=== RUN   TestFoo
    foo_test.go:12: got 1, want 2
--- FAIL: TestFoo (0.00s)
panic: runtime error: index out of range [5] with length 3
exit status 2
FAIL\tgithub.com/foo/bar\t0.012s
"""
DOCKER = """\
#11 [4/5] RUN npm ci
#12 0.345 Reading package lists...
#12 3.456 E: Unable to locate package foo
#12 ERROR: process "/bin/sh -c apt-get install foo" did not complete successfully: exit code: 100
"""
MAVEN = """\
[INFO] Tests run: 5, Failures: 0, Errors: 0, Skipped: 0
Exception in thread "main" java.lang.IllegalStateException: no context
\tat com.example.Foo.bar(Foo.java:12)
Caused by: java.net.ConnectException: Connection refused
[ERROR] Failed to execute goal org.apache.maven.plugins:maven-surefire-plugin:3.0.0:test
[INFO] BUILD FAILURE
"""
TRACEBACK = """\
Traceback (most recent call last):
  File "x.py", line 1, in <module>
    f()
KeyError: 'user_id'
"""


def failures(sent: str) -> list[str]:
    log = read_log(sent)
    return [log.lines[index].text[log.lines[index].body :] for index in failure_lines(log)]


@pytest.mark.parametrize(
    ("sent", "telling"),
    [
        (GITHUB_PYTEST, "E ModuleNotFoundError: No module named 'django'"),
        (GITLAB_NPM, "npm ERR! code ERESOLVE"),
        (CARGO, "error[E0308]: mismatched types"),
        (MAKE, "main.c:(.text+0x1b): undefined reference to `foo'"),
        (GO_TEST, "panic: runtime error: index out of range [5] with length 3"),
        (DOCKER, "E: Unable to locate package foo"),
        (MAVEN, 'Exception in thread "main" java.lang.IllegalStateException: no context'),
        (TRACEBACK, "KeyError: 'user_id'"),
    ],
    ids=["github", "gitlab", "cargo", "make", "go", "docker", "maven", "python"],
)
def test_failure_lines_begin_with_the_cause(sent: str, telling: str) -> None:
    assert failures(sent)[0] == telling


def test_closing_words_come_after_the_cause() -> None:
    told = failures(GITHUB_PYTEST)
    assert told.index("tests/test_x.py::test_y FAILED [100%]") < told.index("Process completed with exit code 1.")


@pytest.mark.parametrize(
    "line", ["0 errors, 2 warnings", "no error found", "Tests run: 5, Failures: 0, Errors: 0", "test_failed PASSED"]
)
def test_line_without_a_failure_is_weak_evidence_only(line: str) -> None:
    assert failures(f"{line}\nexit status 1")[-1] == line


def test_failure_lines_have_each_body_once_and_an_end() -> None:
    same = "\n".join(f"2024-01-02T10:00:{second:02}Z Error: the same" for second in range(60))
    assert failures(same) == ["Error: the same"]
    many = "\n".join(f"Error: number {index}" for index in range(5_000))
    assert len(failures(many)) == MAX_FAILURE_LINES


def test_failure_deep_inside_a_long_log_is_found() -> None:
    quiet = [f"downloading part {index}" for index in range(5_000)]
    told = failures("\n".join([*quiet, "fatal: not a git repository", *quiet]))
    assert told[0] == "fatal: not a git repository"
    assert len(told) == 1 + LAST_SCREEN


@pytest.mark.parametrize("before", range(64 * 1024 - 16, 64 * 1024 + 2))
def test_failure_is_found_wherever_a_long_log_is_cut(before: int) -> None:
    sent = f"{'x' * 80}\n" * 900
    sent = "\n".join([sent[: before - 1], "undefined reference to `f'", *["fine"] * 200])
    assert failures(sent)[0] == "undefined reference to `f'"


def test_rare_failure_is_found_among_very_many_of_another() -> None:
    lines = [f"it did fail at {number}" for number in range(12_000)]
    lines[6_000] = "thread 'main' panicked at src/main.rs:2"
    assert failures("\n".join(lines))[0] == lines[6_000]


def test_log_of_blank_lines_tells_nothing() -> None:
    assert failures("\n\n \n\t\n") == []
