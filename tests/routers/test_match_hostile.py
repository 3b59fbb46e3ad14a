"""Messages made to hurt: each is answered within seconds, finds what it should, and keeps nobody else waiting."""

import asyncio
from collections.abc import Callable, Iterator

import httpx
import pytest

from benchmarks.usage import cpu_seconds
from tests.factories import make_skill
from tests.inside import run, within
from tests.routers.answers import capture
from tests.routers.matches import JSON, MIB, TEXT, ask, found, of, unique, word
from tests.server import Server

HEALTH_SECONDS = 1.0
"""How long others may have to wait for an answer that needs nothing, on a machine that tests share; 0.2 s alone."""

WHOLE = (
    "one letter",
    "newlines",
    "ANSI codes",
    "NULs",
    "bad UTF-8",
    "every pattern in a line",
    "every pattern in lines",
)
"""Messages that are tried at the greatest length; an eighth of it shows of the others whether their time is bounded."""

ANSWER_SECONDS = 8.0
"""Of the server's processor: what else the machine does is none of the message's doing. By the clock, `WAIT_SECONDS`."""

WAIT_SECONDS = 30


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, list[JSON]]]:
    """A server with 2,000 skills, and what they say."""
    shapes = (
        "cannot open {0}",
        "{0} lost 10.0.0.1:80",
        "no {0}\nin {1}",
        "{0}",
        "File '/srv/{0}.py', line 7",
        "{1}{0}",
    )
    skills = [
        make_skill(pattern=shapes[n % len(shapes)].format(word(), word()[: 3 + n % 5]), error_type=f"E{n % 50}Error")
        for n in range(1_990)
    ] + [make_skill(pattern=letters * n) for letters in ("a", "12") for n in (3, 4, 5, 20, 40)]
    with Server(tmp_path_factory.mktemp("full")) as server, httpx.Client(base_url=server.url, timeout=20) as client:
        for start in (0, 1_000):
            client.post("/skills/batch", json=skills[start : start + 1_000])
        client.post("/match", json={"message": "m"})
        yield server, skills


async def ask_and_look(server: Server, body: bytes, headers: dict[str, str]) -> tuple[httpx.Response, float]:
    """The answer, and how long `/healthz` took at most meanwhile, in seconds. Looks now and then, not to be the load."""
    async with (
        httpx.AsyncClient(base_url=server.url, timeout=60) as one,
        httpx.AsyncClient(base_url=server.url, timeout=60) as other,
    ):
        await other.get("/healthz")
        params = {"limit": 100} if headers is TEXT else {}
        asked = asyncio.create_task(one.post("/match", params=params, content=body, headers=headers))
        waits = []
        while not asked.done():
            waits.append((await other.get("/healthz")).elapsed.total_seconds())
            await asyncio.sleep(0.02)
        return await asked, max(waits)


def filled(piece: str, end: str = "") -> str:
    """8 MiB, or hardly less, of a text again and again, and `end` behind it."""
    return piece * ((8 * MIB - len(end.encode())) // len(piece.encode())) + end


def patterns(skills: list[JSON], by: str) -> str:
    return by.join(skill["pattern"].replace("\n", by) for skill in skills) + by


HOSTILE: dict[str, Callable[[list[JSON]], str | bytes]] = {
    "one letter": lambda skills: filled("a"),
    "newlines": lambda skills: filled("\n"),
    "newlines, then a pattern": lambda skills: filled("\n", skills[0]["pattern"]),
    "blanks": lambda skills: filled(" \t"),
    "carriage returns": lambda skills: filled("\r"),
    "ANSI codes": lambda skills: filled("\x1b[31m"),
    "ANSI codes that do not end": lambda skills: filled("\x1b[3;"),
    "ANSI titles that do not end": lambda skills: filled("\x1b]0;"),
    "ANSI codes, then a pattern": lambda skills: filled("\x1b[1;31m", skills[0]["pattern"]),
    "NULs": lambda skills: filled("\0"),
    "bad UTF-8": lambda skills: b"\xff\xfe\x80\xc3" * (2 * MIB),
    "every pattern in a line": lambda skills: filled(patterns(skills, " ")),
    "every pattern in lines": lambda skills: filled(patterns(skills, "\n")),
    "one pattern again and again": lambda skills: filled(skills[3]["pattern"]),
    "errors again and again": lambda skills: filled("error: it failed, fatal panic, cannot\n"),
    "an error in one line": lambda skills: filled("error fatal panic failed: "),
    "a pattern's beginning": lambda skills: filled(skills[1]["pattern"][:20]),
    "what is masked": lambda skills: filled("10.0.0.1:80 /a/b/c.py 'x' 0x7ffe12345678 "),
    "quotes that do not end": lambda skills: filled("'\""),
    "slashes": lambda skills: filled("/"),
    "digits": lambda skills: filled("1234567890:"),
    "words that nobody has": lambda skills: filled("".join(f"w{n:x} " for n in range(100_000))),
    "prefixes of runners": lambda skills: filled("2026-11-22T08:00:00.1234567Z ##[error] "),
    "emoji": lambda skills: filled("\U0001f600"),
    "newlines, then 20 patterns": lambda skills: filled("\n", patterns(skills[:20], "\n")),
    "ANSI codes, then 20 patterns": lambda skills: filled("\x1b[1;31m", patterns(skills[:20], " ")),
    "joiners": lambda skills: filled("\u200d\u0301"),
}


@pytest.mark.parametrize(("name", "make"), HOSTILE.items(), ids=HOSTILE)
def test_hostile_message_is_answered_and_keeps_nobody_else_waiting(
    full: tuple[Server, list[JSON]], name: str, make: Callable[[list[JSON]], str | bytes]
) -> None:
    server, skills = full
    message = make(skills)
    if name not in WHOLE:
        message = message[-len(message) // 8 :]
    sent = message if isinstance(message, bytes) else message.encode()
    before = cpu_seconds(server.pid)
    answer, waited = run(within(ask_and_look(server, sent, TEXT), WAIT_SECONDS))
    took = cpu_seconds(server.pid) - before
    assert answer.status_code == 200
    text = message if isinstance(message, str) else message.decode("utf-8", "replace")
    for each in answer.json()["matches"]:
        assert text[each["span"]["start"] : each["span"]["end"]] == each["matched"]
    assert (took < ANSWER_SECONDS, waited < HEALTH_SECONDS) == (True, True), (
        f"answered with {took:.2f} s of the processor, /healthz within {waited:.3f} s"
    )


SYNTAX = [
    '"',
    '"a',
    "*",
    "a*",
    "AND (",
    "a AND (b OR",
    "field:x",
    "title:/a.*/",
    "\\",
    "%",
    "a~9",
    "[a TO b}",
    "^^2",
    "-a",
    "+",
]
SYNTAX += [
    "${jndi:ldap://x}",
    "'; DROP TABLE skill; --",
    "../../etc/passwd",
    "{{7*7}}",
    "(" * 5_000,
    "?" * 5_000,
    "\ud7ff\uffff",
]


@pytest.mark.parametrize("text", SYNTAX, ids=lambda text: repr(text[:20]))
def test_syntax_of_queries_is_text(api: httpx.Client, text: str) -> None:
    answer = api.post("/match", json={"message": text})
    assert answer.status_code == 200
    skill = capture(api, pattern=f"{unique()} {text[:100]} end")
    assert found(of(ask(api, f"E: {skill['pattern']}!"), skill)) == [("exact", skill["id"])]


def test_body_of_nothing_but_escapes_is_read_and_keeps_nobody_else_waiting(
    full: tuple[Server, list[JSON]],
) -> None:
    body = b'{"message":"' + b"\\u0001" * (8 * MIB) + b'"}'
    answer, waited = run(within(ask_and_look(full[0], body, {"Content-Type": "application/json"}), 30))
    assert (answer.status_code, answer.json()["matches"]) == (200, [])
    assert waited < HEALTH_SECONDS
