"""Follows a page as a person at a few terminals would: its shell lines, its transcripts and its Python programs, in order.

What a transcript shows must come out. `…` stands for anything on its line, and for any lines where it stands alone. Ids,
the epoch, times and `retry:` differ from run to run: where a page shows one the run's own is learned, and used instead
in what follows.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.docs.programs import ROOT, write_program, write_programs
from tests.server import Server, wait_until

EPOCH = "k3f9tm"
"""The epoch that pages show."""

FAILING_TESTS = """\
> vitest run
 FAIL  src/orders.test.ts
Error: connect ECONNREFUSED 10.0.0.7:5433
make: *** [Makefile:2: test] Error 1
"""
"""What `make test` prints where the reader works, before it exits with 2."""

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PROMPT = re.compile(r"^\$ ((?:.*\\\n)*.*(?:\n> .*)*)\n?", re.MULTILINE)
_ENDLESS = re.compile(r"^(?:\S*/)?cin (serve|watch(?!.*--count))|^curl -s?N")
_VARIES = re.compile(
    r"(?P<uuid>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
    rf"|(?P<epoch>\b{EPOCH}\b)"
    r"|(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)"
    r"|(?P<retry>(?<=retry: )\d+)"
    r"|(?P<lines>^…$)"
    r"|(?P<rest>…)",
    re.MULTILINE,
)
_ANY = {
    "uuid": "[0-9a-f-]{36}",
    "epoch": "[a-z0-9]{6}",
    "time": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z",
    "retry": r"\d+",
    "lines": r"(?s:.*?)",
    "rest": ".*?",
}


@dataclass(frozen=True)
class Block:
    """A fenced block of a page; `line` is where it begins."""

    language: str
    text: str
    line: int


def read_blocks(page: Path) -> list[Block]:
    text = page.read_text()
    return [Block(found[1], found[2], text.count("\n", 0, found.start()) + 1) for found in _FENCE.finditer(text)]


def read_transcript(text: str) -> Iterator[tuple[str, str]]:
    """The commands of a `console` block, each with what the page says it prints."""
    prompts = list(_PROMPT.finditer(text))
    ends = [prompt.start() for prompt in prompts[1:]] + [len(text)]
    for prompt, end in zip(prompts, ends, strict=True):
        yield prompt[1].replace("\n> ", "\n"), text[prompt.end() : end]


class Reader:
    """A person with a clone's virtual environment in `folder`, and `server` running in terminal 1."""

    def __init__(self, folder: Path, server: Server) -> None:
        self.folder = folder
        self._server = server
        self._learned: dict[str, str] = {}
        self._open: list[tuple[subprocess.Popen[bytes], Path, str]] = []
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith("CIN_")} | {
            "CIN_URL": server.url,
            "PATH": f"{folder / '.venv/bin'}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "XDG_STATE_HOME": str(folder / "state"),
        }
        self._make_environment()

    def follow(self, blocks: list[Block]) -> None:
        """Do all of it. Raises `AssertionError` where something else comes out than the page says."""
        try:
            for block, following in zip(blocks, [*blocks[1:], Block("", "", 0)], strict=True):
                if block.language == "console":
                    for command, expected in read_transcript(block.text):
                        self._type(command, expected)
                elif block.language == "sh":
                    self._type(block.text, "…")
                elif block.language == "python":
                    self._run_python(block.text, following.text if following.language == "text" else "…")
            for process, output, expected in self._open:
                self._await(process, output, expected)
        finally:
            for process, _, _ in self._open:
                process.kill()
                process.wait()

    def _type(self, command: str, expected: str) -> None:
        command = self._translate(command)
        if re.match(r"\S*cin serve", command):
            self._compare(self._server.log.read_text(), expected, command)
        elif _ENDLESS.match(command):
            self._start(["bash", "-c", f"exec {command}"], expected)
        else:
            ended = subprocess.run(
                ["bash", "-e", "-c", command],
                cwd=self.folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=60,
                check=False,
            )
            assert ended.returncode == 0, f"{command}\nended with {ended.returncode} and said\n{ended.stdout}"
            self._compare(ended.stdout, expected, command)

    def _run_python(self, program: str, expected: str) -> None:
        command = [sys.executable, "-W", "error", "-c", self._translate(program)]
        if "subscribe(" in program:
            process, output = self._start(command, expected)
            self._await(process, output, expected)
            return
        ended = subprocess.run(
            command, cwd=self.folder, env=self._environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert (ended.returncode, ended.stderr) == (0, ""), program
        self._compare(ended.stdout, expected, program)

    def _start(self, command: list[str], expected: str) -> tuple[subprocess.Popen[bytes], Path]:
        """Start what ends only when it is told to, and wait until its stream is open."""
        opened = self._count_streams()
        output = self.folder / f"terminal-{len(self._open) + 2}"
        with output.open("wb") as out:
            process = subprocess.Popen(
                command, cwd=self.folder, env=self._environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out
            )
        self._open.append((process, output, expected))
        wait_until(lambda: self._count_streams() > opened or process.poll() is not None, what=f"a stream for {command}")
        assert process.poll() is None, f"{command}\nended and said\n{output.read_text()}"
        return process, output

    def _await(self, process: subprocess.Popen[bytes], output: Path, expected: str) -> None:
        """Wait until the page's lines are there; more may follow them."""
        wait_until(self._shown(output, expected), what=f"{expected!r} in {output.read_text()!r}")
        assert process.poll() is None, output.read_text()

    def _shown(self, output: Path, expected: str) -> Callable[[], bool]:
        return lambda: re.match(self._pattern(expected), self._translate_back(output.read_text())) is not None

    def _compare(self, actual: str, expected: str, command: str) -> None:
        actual = self._translate_back(actual).rstrip()
        found = re.fullmatch(self._pattern(expected), "\n".join(line.rstrip() for line in actual.splitlines()))
        assert found, f"{command}\nsaid\n{actual}\nand the page says\n{expected}"
        for name, value in found.groupdict().items():
            shown = _from_group(name)
            assert value not in self._learned.values(), f"{command}\nshows {shown} for what the page called otherwise"
            self._learned[shown] = value

    def _pattern(self, expected: str) -> str:
        parts, at = [], 0
        expected = expected.rstrip()
        for varying in _VARIES.finditer(expected):
            parts.append(re.escape(expected[at : varying.start()]))
            parts.append(self._any(str(varying.lastgroup), varying[0], seen="".join(parts)))
            at = varying.end()
        return "".join([*parts, re.escape(expected[at:])])

    def _any(self, kind: str, shown: str, seen: str) -> str:
        if kind not in ("uuid", "epoch"):
            return _ANY[kind]
        if shown in self._learned:
            return re.escape(self._learned[shown])
        group = _to_group(shown)
        return f"(?P={group})" if f"(?P<{group}>" in seen else f"(?P<{group}>{_ANY[kind]})"

    def _translate(self, command: str) -> str:
        """What the page says, in this run's words."""
        for shown, real in self._learned.items():
            command = command.replace(shown, real)
        for host in ("127.0.0.1", "localhost"):
            command = command.replace(f"{host}:8005", f"{host}:{self._server.port}")
        return command

    def _translate_back(self, output: str) -> str:
        return output.replace(f"127.0.0.1:{self._server.port}", "127.0.0.1:8005")

    def _count_streams(self) -> float:
        return self._server.metric("cin_streams")

    def _make_environment(self) -> None:
        programs = self.folder / ".venv" / "bin"
        write_programs(programs)
        write_program(programs, "make", f"cat <<'END'\n{FAILING_TESTS}END\nexit 2")
        (programs / "activate").touch()


def _to_group(shown: str) -> str:
    return f"_{shown.replace('-', '_')}"


def _from_group(group: str) -> str:
    return group[1:].replace("_", "-")
