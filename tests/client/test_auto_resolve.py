"""`auto_resolve`: what is swallowed, what is tried again, what is reported, and that nothing takes the exception's place."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest

from app.client import AsyncClient, Client, Match, Resolved, Skill, Verdict, auto_resolve
from tests.server import Server


class Known(Exception):
    """What the tests raise; the network has a fix for it."""


class Fix:
    """A skill of the network, for an error of this test's own, and what became of it."""

    def __init__(self, cin: Client, url: str) -> None:
        self.cin = cin
        self.url = url
        self.text = f"build {uuid4().hex} broke"
        self.id = cin.capture(pattern=self.text, resolution="Mend it.", error_type="Known").skill.id

    @property
    def outcomes(self) -> tuple[int, int]:
        """Successes and failures."""
        skill: Skill = self.cin.get(self.id)
        return skill.success_count, skill.failure_count

    def failing(self, times: int) -> Callable[[], str]:
        """A function that raises so many times."""
        left = [Known(self.text)] * times

        def build() -> str:
            if left:
                raise left.pop()
            return "built"

        return build


@pytest.fixture
def fix(server: Server) -> Iterator[Fix]:
    with Client(server.url, tries=1) as cin:
        yield Fix(cin, server.url)


def always(said: object) -> Callable[[Exception, Match], object]:
    return lambda error, match: said


@pytest.mark.parametrize(
    ("said", "outcomes"),
    [
        (None, (0, 1)),
        (False, (0, 1)),
        ("yes", (0, 1)),
        (1, (0, 1)),
        (Verdict.RETRY, (0, 0)),
        (Verdict.NOT_TRIED, (0, 0)),
    ],
)
def test_block_lets_the_exception_go_on_unless_it_is_dealt_with(
    fix: Fix, said: object, outcomes: tuple[int, int]
) -> None:
    with pytest.raises(Known), auto_resolve(fix.cin, always(said)):  # type: ignore[arg-type]
        fix.failing(1)()
    assert fix.outcomes == outcomes


@pytest.mark.parametrize("said", [True, Resolved()])
def test_block_swallows_what_is_dealt_with(fix: Fix, said: bool | Resolved) -> None:
    with auto_resolve(fix.cin, lambda error, match: said):
        fix.failing(1)()
    assert fix.outcomes == (1, 0)


def test_handler_gets_the_exception_and_the_best_match(fix: Fix) -> None:
    got: list[tuple[str, str, str]] = []

    def handler(error: Exception, match: Match) -> None:
        got.append((str(error), match.skill.id, match.kind))

    with pytest.raises(Known), auto_resolve(fix.cin, handler):
        fix.failing(1)()
    assert got == [(fix.text, fix.id, "exact")]


def test_function_is_called_again_and_its_success_reported(fix: Fix) -> None:
    assert auto_resolve(fix.cin, always(Verdict.RETRY))(fix.failing(1))() == "built"  # type: ignore[arg-type]
    assert fix.outcomes == (1, 0)


def test_function_that_fails_again_raises_and_its_fix_is_not_offered_twice(fix: Fix) -> None:
    offered: list[str] = []

    def handler(error: Exception, match: Match) -> object:
        offered.append(match.skill.id)
        return Verdict.RETRY if match.skill.id == fix.id else Verdict.NOT_TRIED

    with pytest.raises(Known):
        auto_resolve(fix.cin, handler, retries=3)(fix.failing(9))()  # type: ignore[arg-type]
    assert offered.count(fix.id) == 1
    assert fix.outcomes == (0, 1)


def test_function_tries_the_next_fix_when_the_first_did_not_help(fix: Fix) -> None:
    second = fix.cin.capture(pattern=fix.text, resolution="Mend it otherwise.").skill.id
    assert auto_resolve(fix.cin, always(Verdict.RETRY), retries=2)(fix.failing(2))() == "built"  # type: ignore[arg-type]
    assert fix.outcomes == (0, 1)
    assert fix.cin.get(second).success_count == 1


def test_function_returns_the_value_it_was_resolved_with(fix: Fix) -> None:
    assert auto_resolve(fix.cin, lambda error, match: Resolved("instead"))(fix.failing(1))() == "instead"
    assert fix.outcomes == (1, 0)


def test_nothing_known_calls_no_handler(fix: Fix) -> None:
    def handler(error: Exception, match: Match) -> bool:
        raise AssertionError("there is nothing to handle")

    with pytest.raises(ZeroDivisionError), auto_resolve(fix.cin, handler):
        raise ZeroDivisionError(uuid4().hex)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, asyncio.CancelledError, GeneratorExit])
def test_what_is_no_error_goes_its_way_unreported(fix: Fix, kind: type[BaseException]) -> None:
    with pytest.raises(kind), auto_resolve(fix.cin, always(True)):  # type: ignore[arg-type]
        raise kind(fix.text)

    def interrupted(raises: Iterator[BaseException]) -> None:
        raise next(raises)

    with pytest.raises(kind):
        auto_resolve(fix.cin, always(Verdict.RETRY))(interrupted)(iter([Known(fix.text), kind()]))  # type: ignore[arg-type]
    assert fix.outcomes == (0, 0)


def test_only_the_errors_asked_for_are_looked_at(fix: Fix) -> None:
    with pytest.raises(Known), auto_resolve(fix.cin, always(True), errors=OSError):  # type: ignore[arg-type]
        fix.failing(1)()
    assert fix.outcomes == (0, 0)


@pytest.mark.parametrize("as_function", [False, True])
def test_trouble_with_the_network_never_takes_the_exceptions_place(
    as_function: bool, caplog: pytest.LogCaptureFixture
) -> None:
    def fails() -> None:
        raise Known("broke")

    with Client("http://127.0.0.1:9", tries=1) as cin, caplog.at_level(logging.WARNING, "app.client"):
        resolving = auto_resolve(cin, lambda error, match: True)

        def fails_in_block() -> None:
            with resolving:
                fails()

        run = resolving(fails) if as_function else fails_in_block
        with pytest.raises(Known, match="broke") as caught:
            run()
    assert caught.value.__context__ is None
    assert "No fix was asked for" in caplog.text


def test_handler_that_raises_is_logged_and_reported_as_failure(fix: Fix, caplog: pytest.LogCaptureFixture) -> None:
    def handler(error: Exception, match: Match) -> bool:
        raise RuntimeError("the handler is broken")

    with caplog.at_level(logging.ERROR, "app.client"), pytest.raises(Known), auto_resolve(fix.cin, handler):
        fix.failing(1)()
    assert "the handler is broken" in caplog.text
    assert fix.outcomes == (0, 1)


@pytest.mark.parametrize("blocking", [False, True])
def test_async_code_is_served_by_either_client(fix: Fix, blocking: bool) -> None:
    async def handler(error: Exception, match: Match) -> Resolved | object:
        await asyncio.sleep(0)
        return Verdict.RETRY if isinstance(error, Known) else None

    async def check() -> None:
        async with AsyncClient(fix.url, tries=1) as asynchronous:
            cin = fix.cin if blocking else asynchronous
            build = fix.failing(1)

            @auto_resolve(cin, handler)  # type: ignore[arg-type]
            async def building() -> str:
                return build()

            assert await building() == "built"
            async with auto_resolve(cin, lambda error, match: True):
                raise Known(fix.text)
            with pytest.raises(Known):
                async with auto_resolve(cin, lambda error, match: None):
                    raise Known(fix.text)
            with pytest.raises(asyncio.CancelledError):
                async with auto_resolve(cin, lambda error, match: True):
                    raise asyncio.CancelledError

    asyncio.run(check())
    assert fix.outcomes == (2, 1)


def test_what_cannot_work_is_said_at_once(fix: Fix) -> None:
    async def asynchronous(error: Exception, match: Match) -> bool:
        return True

    def generates() -> Iterator[int]:
        yield 1

    with pytest.raises(TypeError, match="async"):
        auto_resolve(fix.cin, asynchronous)(fix.failing(0))
    with pytest.raises(TypeError, match="generator"):
        auto_resolve(fix.cin, lambda error, match: True)(generates)
    with pytest.raises(TypeError, match="async"), auto_resolve(AsyncClient(fix.url), lambda error, match: True):
        pass
