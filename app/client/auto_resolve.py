"""Ask the network for a fix when something raises, and tell the network whether it helped."""

import asyncio
import functools
import inspect
import logging
import traceback
from collections.abc import Awaitable, Callable, Collection, Coroutine
from dataclasses import dataclass
from enum import Enum
from types import TracebackType
from typing import Any, ParamSpec, Protocol, TypeGuard, TypeVar, overload

from app.client.async_client import AsyncClient
from app.client.errors import CINError
from app.client.values import Match, MatchResult, Skill

log = logging.getLogger("app.client")

P = ParamSpec("P")
R = TypeVar("R")


class Verdict(Enum):
    """What a handler can say besides `Resolved`."""

    RETRY = "retry"
    NOT_TRIED = "not tried"


@dataclass(frozen=True)
class Resolved:
    """The exception is dealt with; a decorated function returns `value` instead. True says the same, with None."""

    value: object = None


class Asked(Protocol):
    """Whoever knows fixes: `Client`, `SharedStateClient`."""

    def match(self, message: str, *, error_type: str | None = None, limit: int = 5) -> MatchResult:
        """Skills that fix it, best first."""

    def outcome(self, skill_id: str, success: bool, detail: str | None = None) -> Skill | None:
        """Tell whether one helped."""


Said = Resolved | Verdict | bool | None
Handler = Callable[[Exception, Match], Said] | Callable[[Exception, Match], Awaitable[Said]]


class AutoResolve:
    """What `auto_resolve` returns: a context manager and a decorator, for plain and for async code; it can be shared."""

    def __init__(
        self,
        cin: Asked | AsyncClient,
        handler: Handler,
        *,
        retries: int,
        errors: type[Exception] | tuple[type[Exception], ...],
    ) -> None:
        self._cin = cin
        self._handler = handler
        self._retries = retries
        self._errors = errors

    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, Coroutine[Any, Any, R]]: ...

    @overload
    def __call__(self, function: Callable[P, R]) -> Callable[P, R]: ...

    def __call__(self, function: Callable[P, Any]) -> Callable[P, Any]:
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError("auto_resolve decorates functions; what raises in a generator does so when it is iterated.")
        if inspect.iscoroutinefunction(function):
            return self._around_async(function)
        self._check_blocking()
        return self._around(function)

    def __enter__(self) -> "AutoResolve":
        self._check_blocking()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if not self._is_for_us(error) or (match := self._ask(error, set())) is None:
            return False
        said = self._handle(error, match)
        self._tell(match, _helped(said))
        return isinstance(said, Resolved)

    async def __aenter__(self) -> "AutoResolve":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if not self._is_for_us(error) or (match := await self._ask_async(error, set())) is None:
            return False
        said = await self._handle_async(error, match)
        await self._tell_async(match, _helped(said))
        return isinstance(said, Resolved)

    def _around(self, function: Callable[P, Any]) -> Callable[P, Any]:
        @functools.wraps(function)
        def resolving(*args: P.args, **kwargs: P.kwargs) -> Any:
            tried: dict[str, Match] = {}
            match: Match | None = None
            while True:
                try:
                    value = function(*args, **kwargs)
                except Exception as error:
                    self._tell(match, False)
                    if not self._is_for_us(error) or (match := self._ask(error, tried)) is None:
                        raise
                    said = self._handle(error, match)
                    if said is not Verdict.RETRY or len(tried) == self._retries:
                        self._tell(match, _helped(said))
                        if isinstance(said, Resolved):
                            return said.value
                        raise
                    tried[match.skill.id] = match
                else:
                    self._tell(match, True)
                    return value

        return resolving

    def _around_async(self, function: Callable[P, Any]) -> Callable[P, Any]:
        @functools.wraps(function)
        async def resolving(*args: P.args, **kwargs: P.kwargs) -> Any:
            tried: dict[str, Match] = {}
            match: Match | None = None
            while True:
                try:
                    value = await function(*args, **kwargs)
                except Exception as error:
                    await self._tell_async(match, False)
                    if not self._is_for_us(error) or (match := await self._ask_async(error, tried)) is None:
                        raise
                    said = await self._handle_async(error, match)
                    if said is not Verdict.RETRY or len(tried) == self._retries:
                        await self._tell_async(match, _helped(said))
                        if isinstance(said, Resolved):
                            return said.value
                        raise
                    tried[match.skill.id] = match
                else:
                    await self._tell_async(match, True)
                    return value

        return resolving

    def _is_for_us(self, error: BaseException | None) -> TypeGuard[Exception]:
        return isinstance(error, Exception) and isinstance(error, self._errors)

    def _check_blocking(self) -> None:
        if isinstance(self._cin, AsyncClient) or inspect.iscoroutinefunction(self._handler):
            raise TypeError("An AsyncClient, or a handler that is async, is for `async with` and async functions.")

    # Trouble with the network, and in the handler, must not take the place of the exception: it is logged.

    def _ask(self, error: Exception, tried: Collection[str]) -> Match | None:
        assert not isinstance(self._cin, AsyncClient)
        try:
            found = self._cin.match(_text(error), error_type=type(error).__name__, limit=len(tried) + 1)
        except Exception as trouble:
            _not_asked(trouble)
            return None
        return _untried(found, tried)

    async def _ask_async(self, error: Exception, tried: Collection[str]) -> Match | None:
        if not isinstance(self._cin, AsyncClient):
            return await asyncio.to_thread(self._ask, error, tried)
        try:
            found = await self._cin.match(_text(error), error_type=type(error).__name__, limit=len(tried) + 1)
        except Exception as trouble:
            _not_asked(trouble)
            return None
        return _untried(found, tried)

    def _handle(self, error: Exception, match: Match) -> Said:
        try:
            return _understood(self._handler(error, match))
        except Exception as trouble:
            return _handler_failed(trouble)

    async def _handle_async(self, error: Exception, match: Match) -> Said:
        try:
            said = self._handler(error, match)
            return _understood(await said if inspect.isawaitable(said) else said)
        except Exception as trouble:
            return _handler_failed(trouble)

    def _tell(self, match: Match | None, helped: bool | None) -> None:
        assert not isinstance(self._cin, AsyncClient)
        if match is None or helped is None:
            return
        try:
            self._cin.outcome(match.skill.id, helped)
        except Exception as trouble:
            _not_told(match, trouble)

    async def _tell_async(self, match: Match | None, helped: bool | None) -> None:
        if match is None or helped is None:
            return
        if not isinstance(self._cin, AsyncClient):
            await asyncio.to_thread(self._tell, match, helped)
            return
        try:
            await self._cin.outcome(match.skill.id, helped)
        except Exception as trouble:
            _not_told(match, trouble)


def auto_resolve(
    cin: Asked | AsyncClient,
    handler: Handler,
    *,
    retries: int = 1,
    errors: type[Exception] | tuple[type[Exception], ...] = Exception,
) -> AutoResolve:
    """Ask for a fix when an exception is raised, and call `handler(exception, match)` with the best there is.

        def handler(error, match):
            return Verdict.RETRY if install(match.skill.resolution) else None

        @auto_resolve(cin, handler)
        def build(): ...

        with auto_resolve(cin, handler):
            build()

    `cin` is a `Client`, a `SharedStateClient` or, for `async with` and async functions, an `AsyncClient`; there the
    handler may be async too. What the handler returns decides:

    * `Resolved(value)` or `True`: the exception is swallowed, a decorated function returns `value` or None, and success
      is reported.
    * `Verdict.RETRY`: a decorated function is called again with the same arguments, `retries` times at most. Success is
      reported if it then returns, failure if it raises.
    * `Verdict.NOT_TRIED`: the exception goes on, and nothing is reported.
    * All else, `None` too: the exception goes on, and failure is reported.

    A call that raises again is asked about again; a skill that was tried in this call is not offered twice, and when
    none is left the last exception goes on. A block cannot be run again: there, and when the retries are used up,
    `Verdict.RETRY` lets the exception go on and reports nothing.

    Only what is an `Exception`, and one of `errors`, is looked at: `KeyboardInterrupt`, `CancelledError` and the like go
    their way, and nothing is reported of them. Trouble with CIN, and a handler that raises, is logged and never takes the
    place of the exception. Nothing is executed but the handler: skills are text that others wrote.
    """
    return AutoResolve(cin, handler, retries=retries, errors=errors)


def _text(error: Exception) -> str:
    """What Python would print last: the type, the message and the notes."""
    return "".join(traceback.format_exception_only(error)).strip()


def _untried(found: MatchResult, tried: Collection[str]) -> Match | None:
    return next((match for match in found.matches if match.skill.id not in tried), None)


def _understood(said: object) -> Said:
    """Only what is meant so swallows an exception: something merely true does not."""
    if said is True:
        return Resolved()
    return said if isinstance(said, Resolved | Verdict) else False


def _helped(said: Said) -> bool | None:
    """What is reported at once."""
    if isinstance(said, Verdict):
        return None
    return isinstance(said, Resolved)


def _not_asked(trouble: Exception) -> None:
    log.warning("No fix was asked for: %s", trouble, exc_info=not isinstance(trouble, CINError))


def _not_told(match: Match, trouble: Exception) -> None:
    log.warning(
        "The outcome of %s was not told: %s", match.skill.name, trouble, exc_info=not isinstance(trouble, CINError)
    )


def _handler_failed(trouble: Exception) -> Said:
    log.error("The handler of auto_resolve failed; the exception it was given goes on.", exc_info=trouble)
    return False
