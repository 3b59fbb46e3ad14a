"""Redis, whatever becomes of it: who asks is answered or told at once, and it is used again when it is well."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import pytest
import trustme

from app.errors import StartupError
from app.metrics import Metrics
from app.storage.breaker import FAILURES
from app.storage.redis import _MOST_UNANSWERED, PATIENCE_SECONDS, Redis, RedisTrouble, open_redis
from tests.inside import run, until, within
from tests.proxy import proxy_to
from tests.valkey import Valkey

T = TypeVar("T")


class Asked:
    """One Redis, and what was seen of it."""

    def __init__(self, redis: Redis, metrics: Metrics) -> None:
        self.redis = redis
        self._metrics = metrics

    def errors(self, kind: str) -> float:
        return self._metrics.registry.get_sample_value("cin_redis_errors_total", {"kind": kind}) or 0

    @property
    def is_up(self) -> bool:
        return self._metrics.registry.get_sample_value("cin_redis_up") == 1

    async def fail(self) -> float:
        """Ask in vain; returns the seconds that took."""
        started = time.perf_counter()
        with pytest.raises(RedisTrouble):
            await within(self.redis.ask("GET", "anything"))
        return time.perf_counter() - started

    async def down(self) -> None:
        await until(lambda: not self.redis.is_up)
        await until(lambda: not self.is_up)


@asynccontextmanager
async def asked(url: str) -> AsyncIterator[Asked]:
    metrics = Metrics()
    async with open_redis(url, "cin:test", metrics) as redis:
        yield Asked(redis, metrics)


def using(url: str, look: Callable[[Asked], Awaitable[T]]) -> T:
    """What `look` says of a Redis that is up."""

    async def go() -> T:
        async with asked(url) as here:
            await within(here.redis.up())
            return await look(here)

    return run(go())


def test_commands_are_answered_in_their_order(shared_valkey: Valkey) -> None:
    async def look(here: Asked) -> list[object]:
        here.redis.tell("SET", "told", "x")
        for number in range(50):
            here.redis.tell("SET", f"of-{number}", number)
        return await asyncio.gather(*(here.redis.ask("GET", f"of-{number}") for number in range(49)))

    assert using(shared_valkey.url, look) == [str(number).encode() for number in range(49)]


def test_who_stops_waiting_leaves_others_their_answers(shared_valkey: Valkey) -> None:
    async def look(here: Asked) -> object:
        await here.redis.ask("SET", "mine", "yes")
        others = asyncio.create_task(here.redis.ask("GET", "other"))
        mine = asyncio.create_task(here.redis.ask("GET", "mine"))
        await asyncio.sleep(0)
        others.cancel()
        return await within(mine)

    assert using(shared_valkey.url, look) == b"yes"


def test_what_is_refused_leaves_it_up(shared_valkey: Valkey) -> None:
    async def look(here: Asked) -> tuple[bool, float]:
        await here.redis.ask("SET", "text", "x")
        for _ in range(2 * FAILURES):
            with pytest.raises(RedisTrouble, match="WRONGTYPE"):
                await here.redis.ask("LPUSH", "text", "y")
        return here.redis.is_up, here.errors("refused")

    assert using(shared_valkey.url, look) == (True, 2 * FAILURES)


def test_crowd_goes_on_without_asking(shared_valkey: Valkey) -> None:
    async def look(here: Asked) -> tuple[int, bool, float]:
        asking = (here.redis.ask("PING") for _ in range(5 * _MOST_UNANSWERED))
        answers = await asyncio.gather(*asking, return_exceptions=True)
        for _ in range(_MOST_UNANSWERED + 7):
            here.redis.tell("PING")
        return answers.count(b"PONG"), here.redis.is_up, here.errors("dropped")

    assert using(shared_valkey.url, look) == (_MOST_UNANSWERED, True, 7)


def test_halted_server_is_waited_for_a_few_times_only(valkey: Valkey) -> None:
    async def look(here: Asked) -> tuple[list[float], float]:
        valkey.halt()
        waits = [await here.fail() for _ in range(FAILURES)]
        started = time.perf_counter()
        for _ in range(1_000):
            await here.fail()
        rest = time.perf_counter() - started
        await here.down()
        valkey.go_on()
        await within(here.redis.up())
        await within(here.redis.ask("PING"))
        return waits, rest

    waits, rest = using(valkey.url, look)
    assert all(wait < PATIENCE_SECONDS + 0.2 for wait in waits)
    assert rest < 0.5


def test_many_who_ask_a_halted_server_wait_no_longer(valkey: Valkey) -> None:
    async def look(here: Asked) -> float:
        valkey.halt()
        started = time.perf_counter()
        await asyncio.gather(*(here.fail() for _ in range(50)))
        return time.perf_counter() - started

    assert using(valkey.url, look) < PATIENCE_SECONDS + 0.5


def test_halted_server_is_noticed_without_a_question(valkey: Valkey) -> None:
    async def look(here: Asked) -> float:
        valkey.halt()
        await here.down()
        return await here.fail()

    assert using(valkey.url, look) < 0.1


def test_killed_server_is_noticed_at_once_and_found_again(valkey: Valkey) -> None:
    async def look(here: Asked) -> tuple[float, float]:
        valkey.kill()
        await here.down()
        wait = await here.fail()
        valkey.start()
        await within(here.redis.up())
        await within(here.redis.ask("PING"))
        return wait, here.errors("lost")

    wait, lost = using(valkey.url, look)
    assert wait < 0.1
    assert lost >= 1


def test_server_that_comes_later_is_found(valkey: Valkey) -> None:
    async def go() -> object:
        valkey.kill()
        async with asked(valkey.url) as here:
            await until(lambda: here.errors("lost") > 0)
            await here.fail()
            valkey.start()
            await within(here.redis.up())
            return await here.redis.ask("PING")

    assert run(go()) == b"PONG"


def test_slow_server_is_not_asked_until_it_is_quick_again(valkey: Valkey) -> None:
    async def go() -> tuple[float, bool]:
        async with proxy_to(valkey.socket) as proxy, asked(f"redis://127.0.0.1:{proxy.port}") as here:
            await within(here.redis.up())
            proxy.delay_seconds = 2 * PATIENCE_SECONDS
            for _ in range(FAILURES):
                await here.fail()
            await here.down()
            lost = here.errors("lost")
            await until(lambda: here.errors("lost") > lost + 1)  # probes are answered, but late
            wait = await here.fail()
            proxy.delay_seconds = 0
            await within(here.redis.up())
            return wait, await here.redis.ask("PING") == b"PONG"

    wait, is_well = run(go())
    assert wait < 0.1
    assert is_well


def test_silent_connection_is_replaced(valkey: Valkey) -> None:
    async def go() -> object:
        async with proxy_to(valkey.socket) as proxy, asked(f"redis://127.0.0.1:{proxy.port}") as here:
            await within(here.redis.up())
            proxy.swallow()
            await here.down()
            proxy.carry()
            await within(here.redis.up())
            return await here.redis.ask("PING")

    assert run(go()) == b"PONG"


def test_late_answer_is_not_taken_for_the_next(valkey: Valkey) -> None:
    async def look(here: Asked) -> list[object]:
        await here.redis.ask("MSET", "one", "1", "two", "2")
        valkey.halt()
        with pytest.raises(RedisTrouble):
            await here.redis.ask("GET", "one")
        valkey.go_on()
        return [await here.redis.ask("GET", "two", patience_seconds=5), await here.redis.ask("GET", "one")]

    assert using(valkey.url, look) == [b"2", b"1"]


def test_password_is_given_and_never_said(valkey: Valkey, capsys: pytest.CaptureFixture[str]) -> None:
    async def go(password: str) -> bool:
        async with asked(f"redis://:{password}@127.0.0.1:{valkey.port}") as here:
            await until(lambda: here.redis.is_up or here.errors("lost") > 0)
            return here.redis.is_up

    with valkey.client() as client:
        client.config_set("requirepass", "sesame")
    assert run(go("sesame"))
    assert not run(go("barley"))
    assert "barley" not in capsys.readouterr().out


def test_server_behind_tls_is_used_if_its_certificate_is_trusted(
    valkey: Valkey, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    async def go(query: str) -> bool:
        async with (
            proxy_to(valkey.socket, context) as proxy,
            asked(f"rediss://127.0.0.1:{proxy.port}/0{query}") as here,
        ):
            await until(lambda: here.redis.is_up or here.errors("lost") > 0)
            return here.redis.is_up and await within(here.redis.ask("PING")) == b"PONG"

    assert run(go(f"?ssl_ca_certs={tmp_path / 'authority.pem'}"))
    assert not run(go(""))
    assert "CERTIFICATE_VERIFY_FAILED" in capsys.readouterr().out


@pytest.mark.parametrize("url", ["localhost:6379", "http://localhost", "redis://host:port", ""])
def test_url_that_is_none_is_refused_at_the_start(url: str) -> None:
    with pytest.raises(StartupError, match="CIN_REDIS_URL"):
        using(url, lambda here: here.redis.up())


def test_server_may_be_named_by_a_socket() -> None:
    with TemporaryDirectory(prefix="cin-redis-") as folder, Valkey(Path(folder)) as valkey:
        assert using(f"unix://{valkey.socket}", lambda here: here.redis.ask("PING")) == b"PONG"
