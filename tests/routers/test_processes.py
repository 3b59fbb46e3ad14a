"""Several processes on one database, asked the same at the same moment: it happens once, and all of it is counted."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx

from tests.factories import make_skill
from tests.inside import Inside, application, run, until
from tests.postgres import Postgres


@asynccontextmanager
async def processes(postgres: Postgres, folder: Path, number: int = 3) -> AsyncIterator[list[Inside]]:
    """So many applications on one new database."""
    url = postgres.new()
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(application(folder, database_url=url)) for _ in range(number)]


async def head_of(cin: Inside) -> int:
    return int((await cin.client.get("/skills")).json()["position"].split("-")[1])


def test_same_skill_captured_by_all_at_once_is_one_skill_and_one_event(postgres: Postgres, tmp_path: Path) -> None:
    async def go() -> None:
        async with processes(postgres, tmp_path) as all_of_them:
            for _ in range(5):
                body = make_skill()
                before = await head_of(all_of_them[0])
                answers = await asyncio.gather(
                    *(cin.client.post("/skills", json=body) for cin in all_of_them for _ in range(4))
                )
                assert sorted(answer.status_code for answer in answers) == [200] * 11 + [201]
                assert len({answer.json()["id"] for answer in answers}) == 1
                assert sorted(answer.json()["captures"] for answer in answers) == list(range(1, 13))
                assert await head_of(all_of_them[0]) == before + 1

    run(go())


def test_process_that_starts_later_finds_what_the_others_captured(postgres: Postgres, tmp_path: Path) -> None:
    async def go() -> None:
        url = postgres.new()
        async with application(tmp_path, database_url=url) as first:
            made = {(await first.capture(make_skill(tags=["later"])))["id"] for _ in range(30)}
            async with application(tmp_path, database_url=url) as second:
                for asked in ({"tag": "later", "limit": 100}, {"q": "install", "limit": 100}):
                    found = (await second.client.get("/skills", params=asked)).json()["skills"]  # type: ignore[arg-type]
                    assert {skill["id"] for skill in found} == made

    run(go())


def test_one_name_goes_to_one_of_all(postgres: Postgres, tmp_path: Path) -> None:
    async def go() -> list[int]:
        async with processes(postgres, tmp_path) as all_of_them:
            answers = await asyncio.gather(
                *(cin.client.post("/skills", json=make_skill(name="wanted")) for cin in all_of_them for _ in range(3))
            )
            return sorted(answer.status_code for answer in answers)

    assert run(go()) == [201] + [409] * 8


def test_one_key_sent_to_all_at_once_happens_once(postgres: Postgres, tmp_path: Path) -> None:
    async def go() -> None:
        async with processes(postgres, tmp_path) as all_of_them:
            for round_ in range(5):
                body = make_skill()
                ask = {"json": body, "headers": {"Idempotency-Key": f"key-{round_}"}}
                answers = await asyncio.gather(*(cin.client.post("/skills", **ask) for cin in all_of_them))  # type: ignore[arg-type]
                assert {answer.status_code for answer in answers} <= {201, 409}
                assert len({answer.content for answer in answers if answer.status_code == 201}) == 1
                again = await all_of_them[0].client.post("/skills", **ask)  # type: ignore[arg-type]
                assert (again.status_code, again.json()["captures"]) == (201, 1)

    run(go())


def test_outcomes_reported_to_all_at_once_are_counted_exactly(postgres: Postgres, tmp_path: Path) -> None:
    async def go() -> tuple[int, int]:
        async with processes(postgres, tmp_path) as all_of_them:
            skill = await all_of_them[0].capture(make_skill())
            path = f"/skills/{skill['id']}/outcomes"
            reports = [
                cin.client.post(path, json={"success": n % 3 > 0, "agent": f"agent-{n % 5}"})
                for n in range(20)
                for cin in all_of_them
            ]
            assert {answer.status_code for answer in await asyncio.gather(*reports)} == {201}
            after = (await all_of_them[1].client.get(f"/skills/{skill['id']}")).json()
            return after["usage_count"], after["success_count"]

    assert run(go()) == (60, 39)


def test_all_change_the_same_skills_at_once_and_none_waits_for_another_for_ever(
    postgres: Postgres, tmp_path: Path
) -> None:
    """Captures of known skills, outcomes, revisions and acknowledgements, each process in an order of its own."""

    async def go() -> None:
        async with processes(postgres, tmp_path) as all_of_them:
            bodies = [make_skill() for _ in range(8)]
            skills = [await all_of_them[0].capture(body) for body in bodies]
            await all_of_them[0].client.put("/agents/reader", json={})
            asked = []
            for cin in all_of_them:
                for index in random.sample(range(8), 8):
                    id = skills[index]["id"]
                    asked += [
                        cin.client.post("/skills", json=bodies[index]),
                        cin.client.post("/skills", json=make_skill()),
                        cin.client.post(f"/skills/{id}/outcomes", json={"success": True}),
                        cin.client.put(f"/skills/{id}", json=make_skill(), headers={"If-Match": "*"}),
                        cin.client.put("/agents/reader/position", json={"position": skills[index]["position"]}),
                    ]
            statuses = [answer.status_code for answer in await asyncio.gather(*asked)]
            assert set(statuses) <= {200, 201, 204}, statuses
            assert [
                postgres.execute("SELECT sum(deadlocks) FROM pg_stat_database WHERE datname LIKE 'cin%'")[0][0]
            ] == [0]

    run(go())


def test_acknowledgement_sent_to_all_never_moves_back(postgres: Postgres, tmp_path: Path) -> None:
    async def go() -> None:
        async with processes(postgres, tmp_path) as all_of_them:
            positions = [(await all_of_them[0].capture(make_skill()))["position"] for _ in range(30)]
            head = await head_of(all_of_them[0])
            for cin in all_of_them:
                await until(lambda cin=cin: cin.parts.hub.bounds.head >= head)  # type: ignore[misc]
            made = await asyncio.gather(*(cin.client.put("/agents/reader", json={}) for cin in all_of_them))
            assert sorted(answer.status_code for answer in made) == [200, 200, 201]

            async def acknowledge(cin: Inside) -> list[httpx.Response]:
                shuffled = random.sample(positions, len(positions))
                return [await cin.client.put("/agents/reader/position", json={"position": p}) for p in shuffled]

            answers = await asyncio.gather(*(acknowledge(cin) for cin in all_of_them))
            assert {answer.status_code for each in answers for answer in each} == {204}
            (agent,) = (await all_of_them[1].client.get("/agents")).json()["agents"]
            assert (agent["acknowledged"], agent["lag"]) == (positions[-1], 0)

    run(go())


def test_odd_text_is_answered_as_on_sqlite(postgres: Postgres, tmp_path: Path) -> None:
    asked = [
        ("GET", "/skills/%00", None),
        ("GET", "/skills/%00/versions", None),
        ("GET", "/skills/%00/delivery", None),
        ("GET", "/skills/x/versions/99999999999999999999", None),
        ("GET", "/skills/x/versions/3000000000", None),
        ("GET", "/skills?error_type=%00", None),
        ("GET", "/skills?agent=%00&sort=usage", None),
        ("GET", "/skills?tag=%00&sort=usage", None),
        ("GET", "/skills?error_type=%ED%A0%80&sort=usage", None),
        ("GET", "/agents/%00", None),
        ("PUT", "/agents/%00", {}),
        ("PUT", "/skills/%00", make_skill()),
        ("DELETE", "/skills/%00", None),
        ("POST", "/skills/%00/outcomes", {"success": True}),
        ("POST", "/skills", make_skill(metadata={"a": "\x00"})),
        ("POST", "/skills", make_skill(metadata={"a": 2**64 - 1, "b": 1e308, "\uffff": "\U0001f600"})),
        ("POST", "/match", {"message": "\x00"}),
    ]

    async def ask(cin: Inside) -> list[int]:
        headers = {"If-Match": "*"}
        return [
            (await cin.client.request(method, path, json=body, headers=headers)).status_code
            for method, path, body in asked
        ]

    async def go() -> tuple[list[int], list[int]]:
        async with (
            application(tmp_path) as plain,
            application(tmp_path, database_url=postgres.new()) as shared,
        ):
            return await ask(plain), await ask(shared)

    plain, shared = run(go())
    assert shared == plain
    assert all(status < 500 for status in plain)
