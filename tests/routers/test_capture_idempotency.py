"""Idempotency keys: the same request gets the first answer again, byte for byte, and happens once."""

import asyncio
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import sqlalchemy as sa

from tests.factories import make_skill
from tests.inside import Inside, application, run, until
from tests.routers.answers import ask_at_once, capture, head, offset, places, problem
from tests.server import Server

KEPT = ("location", "etag", "cin-position", "content-type", "content-length")


def parts_of(answer: httpx.Response) -> tuple[int, bytes, list[str | None]]:
    """What a replay repeats."""
    return answer.status_code, answer.content, [answer.headers.get(name) for name in KEPT]


def key() -> dict[str, str]:
    return {"Idempotency-Key": str(uuid4())}


async def counts(cin: Inside) -> tuple[int, int, int]:
    """Rows of skills, events and keys."""
    tables = ", ".join(f"(SELECT count(*) FROM {table})" for table in ("skill", "event", "idempotency_key"))
    skills, events, keys = await cin.parts.database.read(lambda c: c.execute(sa.text(f"SELECT {tables}")).one())
    return skills, events, keys


def test_same_key_and_body_gets_the_first_answer_byte_for_byte(api: httpx.Client) -> None:
    body, headers = make_skill(), key()
    first = api.post("/skills", json=body, headers=headers)
    capture(api)  # the network goes on, the answer does not
    again = [api.post("/skills", json=body, headers=headers) for _ in range(3)]
    assert first.status_code == 201
    assert [parts_of(answer) for answer in again] == [parts_of(first)] * 3
    assert api.get(first.headers["location"]).json()["captures"] == 1


def test_replay_has_a_request_id_of_its_own(api: httpx.Client) -> None:
    body, headers = make_skill(), key()
    ids = {api.post("/skills", json=body, headers=headers).headers["x-request-id"] for _ in range(2)}
    assert len(ids) == 2


def test_answer_is_replayed_after_a_restart(tmp_path: Path) -> None:
    body, headers = make_skill(), key()

    async def send() -> httpx.Response:
        async with application(tmp_path) as cin:
            return await cin.client.post("/skills", json=body, headers=headers)

    assert parts_of(run(send())) == parts_of(run(send()))


def test_known_skill_is_counted_once_a_key(api: httpx.Client) -> None:
    body = make_skill()
    api.post("/skills", json=body)
    headers = key()
    answers = [api.post("/skills", json=body, headers=headers) for _ in range(3)]
    assert [(answer.status_code, answer.json()["captures"]) for answer in answers] == [(200, 2)] * 3


def test_batch_is_replayed(api: httpx.Client) -> None:
    items, headers = [make_skill(), {"pattern": "bad"}, make_skill()], key()
    first, again = (api.post("/skills/batch", json=items, headers=headers) for _ in range(2))
    assert parts_of(again) == parts_of(first)
    assert api.get(f"/skills/{first.json()['results'][0]['id']}").json()["captures"] == 1


def test_revision_is_replayed_though_its_version_is_stale_by_now(api: httpx.Client) -> None:
    skill, body, headers = capture(api), make_skill(), key() | {"If-Match": '"1"'}
    first, again = (api.put(f"/skills/{skill['id']}", json=body, headers=headers) for _ in range(2))
    assert first.status_code == 200
    assert parts_of(again) == parts_of(first)


def test_outcome_is_replayed_and_counted_once(api: httpx.Client) -> None:
    skill, headers = capture(api), key()
    url = f"/skills/{skill['id']}/outcomes"
    first, again = (api.post(url, json={"success": True}, headers=headers) for _ in range(2))
    assert parts_of(again) == parts_of(first)
    assert api.get(f"/skills/{skill['id']}").json()["usage_count"] == 1


def test_same_key_with_another_body_is_refused(api: httpx.Client) -> None:
    headers = key()
    api.post("/skills", json=make_skill(), headers=headers)
    before = head(api)
    problem(api.post("/skills", json=make_skill(), headers=headers), 422, "idempotency-key-reused")
    assert head(api) == before


def test_same_key_on_another_path_is_refused(api: httpx.Client) -> None:
    body, headers = make_skill(), key()
    api.post("/skills", json=body, headers=headers)
    problem(api.post("/skills/batch", json=[body], headers=headers), 422, "idempotency-key-reused")


def test_request_that_failed_leaves_its_key_free(api: httpx.Client) -> None:
    headers, taken = key(), capture(api)
    body = make_skill(name=taken["name"])
    problem(api.post("/skills", json=body, headers=headers), 409, "skill-conflict")
    api.delete(f"/skills/{taken['id']}")
    assert api.post("/skills", json=body, headers=headers).status_code == 201


def test_other_keys_are_other_requests(api: httpx.Client) -> None:
    body = make_skill()
    captures = [api.post("/skills", json=body, headers=key()).json()["captures"] for _ in range(3)]
    assert captures == [1, 2, 3]


def test_one_key_from_32_clients_at_once_happens_once(server: Server, api: httpx.Client) -> None:
    before = offset(head(api))
    request = {"method": "POST", "url": "/skills", "json": make_skill(), "headers": key()}
    answers = ask_at_once(server.url, [request] * 32)
    made = [answer for answer in answers if answer.status_code == 201]
    for answer in answers:
        if answer.status_code != 201:
            problem(answer, 409, "idempotency-key-in-use")
            assert answer.headers["retry-after"] == "1"
    assert made
    assert len({str(parts_of(answer)) for answer in made}) == 1
    assert offset(head(api)) == before + 1
    assert api.get(made[0].headers["location"]).json()["captures"] == 1


def test_second_request_is_told_while_the_first_is_running(tmp_path: Path) -> None:
    async def go() -> list[httpx.Response]:
        async with application(tmp_path) as cin:
            body, headers = make_skill(), key()
            return await asyncio.gather(*(cin.client.post("/skills", json=body, headers=headers) for _ in range(3)))

    first, *others = run(go())
    assert first.status_code == 201
    for answer in others:
        problem(answer, 409, "idempotency-key-in-use")


def test_first_request_that_nobody_waits_for_still_happens_once(tmp_path: Path) -> None:
    async def go() -> tuple[int, tuple[int, int, int]]:
        async with application(tmp_path) as cin:
            body, headers = make_skill(), key()
            gone = asyncio.create_task(cin.client.post("/skills", json=body, headers=headers))
            await until(lambda: bool(cin.parts.recorder._running))
            gone.cancel()
            await asyncio.sleep(0)
            again = await cin.client.post("/skills", json=body, headers=headers)
            return again.json()["captures"], await counts(cin)

    assert run(go()) == (1, (1, 1, 1))


def test_key_is_written_with_what_it_answers_or_not_at_all(tmp_path: Path) -> None:
    """The disk has room for one page more each time, so that the transaction ends at one statement after another."""

    async def go() -> list[tuple[int, tuple[int, int, int]]]:
        async with application(tmp_path) as cin:

            async def pragma(text: str) -> int:
                return await cin.parts.database.write(
                    lambda tx: int(tx.connection.exec_driver_sql(f"PRAGMA {text}").scalar_one())
                )

            pages = await pragma("page_count")
            body, headers = make_skill(resolution="r" * 30_000), key()
            found = []
            for room in range(200):
                await pragma(f"max_page_count = {pages + room}")
                answer = await cin.client.post("/skills", json=body, headers=headers)
                found.append((answer.status_code, await counts(cin)))
                if answer.is_success:
                    break
            return found

    *failed, last = run(go())
    assert len(failed) > 10
    assert set(failed) == {(507, (0, 0, 0))}
    assert last == (201, (1, 1, 1))


@pytest.mark.parametrize(("hours", "status", "captures"), [(23.9, 201, 1), (24.1, 200, 2)])
def test_key_is_remembered_for_24_hours(tmp_path: Path, hours: float, status: int, captures: int) -> None:
    async def go() -> tuple[int, Any]:
        async with application(tmp_path) as cin:
            body, headers = make_skill(), key()
            await cin.client.post("/skills", json=body, headers=headers)
            older = f"strftime('%Y-%m-%dT%H:%M:%fZ', created_at, '-{hours * 3600:.0f} seconds')"
            await cin.parts.database.write(
                lambda tx: tx.connection.exec_driver_sql(f"UPDATE idempotency_key SET created_at = {older}")
            )
            again = await cin.client.post("/skills", json=body, headers=headers)
            return again.status_code, again.json()["captures"]

    assert run(go()) == (status, captures)


@pytest.mark.parametrize("text", ["k", "~" * 255, "a b", "!\"#$%&'()*+,-./:;<=>?@[]^_`{|}"])
def test_key_of_visible_characters_is_taken(api: httpx.Client, text: str) -> None:
    answer = api.post("/skills", json=make_skill(), headers={"Idempotency-Key": text})
    assert answer.status_code in (201, 422)  # another run on this server may have used it
    assert answer.status_code == 201 or answer.json()["type"] == "/problems/idempotency-key-reused"


@pytest.mark.parametrize("text", [b"", b"k" * 256, b"\xc3\xa9", b"a\tb", b"\xff"])
def test_other_key_is_refused(api: httpx.Client, text: bytes) -> None:
    before = head(api)
    answer = api.post("/skills", json=make_skill(), headers={b"Idempotency-Key": text})
    assert places(answer) == {"header.Idempotency-Key"}
    assert head(api) == before
