"""The stream, on either wire: where it starts, what it filters, and how it says that something was missed."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from app.routers.subscription import StreamParams, find_start
from tests.factories import make_skill
from tests.inside import Inside, application, run
from tests.routers.answers import PROBLEM, capture, head, offset
from tests.server import Server, wait_until
from tests.streams import Block, Connect, EventStream


@pytest.fixture(scope="module")
def brisk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that soon sends heartbeats and takes three streams."""
    with Server(
        tmp_path_factory.mktemp("brisk"), heartbeat_seconds="0.2", max_streams="3", retry_milliseconds="400"
    ) as running:
        yield running


def epoch_of(position: str) -> str:
    return position.rpartition("-")[0]


def names(blocks: list[Block]) -> list[str]:
    return [block.data["skill"]["name"] for block in blocks]


# The bytes


def test_stream_is_what_the_contract_prints(server: Server, api: httpx.Client) -> None:
    before = head(api)
    with EventStream(server.url) as stream:
        hello, cursor = stream.start()
        skill = capture(api, pattern=f"one\u2028two\r\nthree {uuid4()}", tags=["t"])
        event = stream.block()
    retry, *rest = hello.raw.decode().split("\n")
    assert retry.startswith("retry: ")
    epoch = epoch_of(before)
    assert rest == [
        f"id: {before}",
        "event: hello",
        f'data: {{"network":"default","epoch":"{epoch}","head":"{before}","earliest":"{epoch}-1","mode":"live"}}',
        "",
        "",
    ]
    assert cursor.raw == f"id: {before}\n\n".encode()
    document = json.dumps(skill, ensure_ascii=False, separators=(",", ":")).replace("\u2028", "\\u2028")
    position = skill["position"]
    assert (
        event.raw
        == (
            f"id: {position}\n"
            f"event: skill.captured\n"
            f'data: {{"id":"{position}","offset":{offset(position)},"type":"skill.captured","at":"{skill["created_at"]}",'
            f'"skill":{document}}}\n'
            "\n"
        ).encode()
    )


def test_stream_has_the_headers_that_keep_proxies_from_holding_it_back(server: Server) -> None:
    with EventStream(server.url) as stream:
        assert stream.status == 200
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert "no-store" in stream.headers["cache-control"]
        assert stream.headers["x-accel-buffering"] == "no"
        assert stream.headers["x-request-id"]


def test_every_line_ends_with_lf_alone(server: Server, api: httpx.Client) -> None:
    with EventStream(server.url) as stream:
        skill = capture(api, resolution=f"a\r\nb\rc\u2028d\u2029e{uuid4()}", metadata={"k": "\r\n\u2028"})
        raw = b"".join(block.raw for block in [*stream.start(), *stream.events(1)])
    assert raw.decode().splitlines() == raw.decode().removesuffix("\n").split("\n")
    assert json.loads(raw.decode().split("data: ")[-1])["skill"]["resolution"] == skill["resolution"]


def test_retry_differs_from_stream_to_stream_around_what_was_set(brisk: Server) -> None:
    found = set()
    for _ in range(12):
        with EventStream(brisk.url) as stream:
            found.add(int(stream.block().fields["retry"]))
    assert len(found) > 3
    assert all(200 <= retry <= 600 for retry in found)


def test_change_is_an_event_of_its_kind(server: Server, api: httpx.Client, connect: Connect) -> None:
    with connect(server.url) as stream:
        skill = capture(api)
        revised = api.put(f"/skills/{skill['id']}", json=make_skill(), headers={"If-Match": '"1"'}).json()
        api.delete(f"/skills/{skill['id']}")
        captured, revision, retirement = stream.events(3)
    assert [block.event for block in (captured, revision, retirement)] == [
        "skill.captured",
        "skill.revised",
        "skill.retired",
    ]
    assert (captured.data["skill"], revision.data["skill"]) == (skill, revised)
    gone = retirement.data
    assert (gone["skill"]["status"], gone["skill"]["version"], gone["skill"]["position"]) == ("retired", 2, gone["id"])


def test_event_is_the_same_for_live_and_late_readers(server: Server, api: httpx.Client, connect: Connect) -> None:
    before = head(api)
    with connect(server.url) as live:
        skill = capture(api, metadata={"n": [1.5, "\u2028"]})
        api.post(f"/skills/{skill['id']}/outcomes", json={"success": True})  # the event says how it was then
        (first,) = live.events(1)
    with connect(server.url, {"since": before}) as late:
        (again,) = late.events(1)
    assert again.raw == first.raw


def test_known_skill_is_no_event(server: Server, api: httpx.Client, connect: Connect) -> None:
    body = make_skill()
    with connect(server.url) as stream:
        for _ in range(3):
            api.post("/skills", json=body)
        last = capture(api)
        assert names(stream.events(2)) == [api.get("/skills").json()["skills"][1]["name"], last["name"]]


# Where it starts


def test_stream_starts_now_unless_told_otherwise(server: Server, api: httpx.Client, connect: Connect) -> None:
    capture(api)
    for query in ({}, {"since": "now"}):
        with connect(server.url, query) as stream:
            skill = capture(api)
            assert names(stream.events(1)) == [skill["name"]]


def test_stream_from_the_earliest_has_every_event(server: Server, api: httpx.Client, connect: Connect) -> None:
    capture(api)
    last = offset(head(api))
    with connect(server.url, {"since": "earliest"}) as stream:
        hello, cursor = stream.start()
        assert (hello.data["mode"], cursor.offset) == ("replay", 0)
        assert [block.offset for block in stream.events(last)] == list(range(1, last + 1))


@pytest.mark.parametrize("form", ["offset", "position", "header"])
def test_stream_starts_right_after_a_place_in_the_log(
    server: Server, api: httpx.Client, form: str, connect: Connect
) -> None:
    skills = [capture(api) for _ in range(3)]
    place = skills[0]["position"]
    query = {"offset": {"since": str(offset(place))}, "position": {"since": place}, "header": {}}[form]
    headers = {"Last-Event-ID": place} if form == "header" else {}
    with connect(server.url, query, headers) as stream:
        assert stream.start()[1].id == place
        assert names(stream.events(2)) == [skill["name"] for skill in skills[1:]]


def test_last_event_id_wins_over_since(server: Server, api: httpx.Client) -> None:
    skills = [capture(api) for _ in range(2)]
    with EventStream(server.url, {"since": "earliest"}, {"Last-Event-ID": skills[0]["position"]}) as stream:
        assert names(stream.events(1)) == [skills[1]["name"]]


def test_stream_at_the_head_is_live_and_before_it_a_replay(server: Server, api: httpx.Client, connect: Connect) -> None:
    place = capture(api)["position"]
    before = f"{epoch_of(place)}-{offset(place) - 1}"
    modes = []
    for since in (place, before):
        with connect(server.url, {"since": since}) as stream:
            modes.append(stream.block().data["mode"])
    assert modes == ["live", "replay"]


@pytest.mark.parametrize("since", ["", "later", "-1", "1.5", "k3f9-", "9" * 19, "\0", "s" * 65])
def test_since_that_is_no_place_is_refused(server: Server, connect: Connect, since: str) -> None:
    with connect(server.url, {"since": since}) as stream:
        assert [rule["loc"] for rule in stream.problem()["errors"]] == ["since"]


# What cannot be served


@pytest.mark.parametrize(
    ("place", "reason"),
    [("{epoch}-{ahead}", "ahead"), ("other-1", "epoch"), ("junk", "epoch"), ("now", "epoch"), ("k3f9-", "epoch")],
)
def test_place_that_cannot_be_served_is_answered_with_reset_then_live(
    server: Server, api: httpx.Client, place: str, reason: str
) -> None:
    before = head(api)
    asked = place.format(epoch=epoch_of(before), ahead=offset(before) + 5)
    with EventStream(server.url, headers={"Last-Event-ID": asked}) as stream:
        hello, reset = stream.start()
        assert hello.data["mode"] == "live"
        assert (reset.event, reset.id) == ("reset", before)
        assert reset.data == {"reason": reason, "earliest": f"{epoch_of(before)}-1", "head": before}
        skill = capture(api)
        assert names(stream.events(1)) == [skill["name"]]


@pytest.mark.parametrize("since", ["{epoch}-{ahead}", "{ahead}", "other-1"])
def test_since_that_cannot_be_served_is_answered_with_reset_too(
    server: Server, api: httpx.Client, since: str, connect: Connect
) -> None:
    before = head(api)
    asked = since.format(epoch=epoch_of(before), ahead=offset(before) + 5)
    with connect(server.url, {"since": asked}) as stream:
        hello, reset = stream.start()
        assert hello.data["mode"] == "live"
        assert (reset.event, reset.id) == ("reset", before)
        assert (reset.data["earliest"], reset.data["head"]) == (f"{epoch_of(before)}-1", before)
        skill = capture(api)
        assert names(stream.events(1)) == [skill["name"]]


def test_place_that_is_no_longer_kept_is_expired(tmp_path: Path, connect: Connect) -> None:
    two = Server(
        tmp_path, retention_days="0", retention_events="2", retention_interval_seconds="0.05", poll_seconds="0.05"
    )
    with two as server, httpx.Client(base_url=server.url) as api:
        kept = [capture(api) for _ in range(5)][3:]
        epoch = epoch_of(kept[0]["position"])
        wait_until(lambda: str(api.get("/info").json()["earliest"]).endswith("-4"))
        for after, reason in ((0, "expired"), (2, "expired"), (3, None), (4, None), (5, None), (6, "ahead")):
            with connect(server.url, {"since": after}) as stream:
                _, second = stream.start()
                assert (second.data["reason"] if second.event else None) == reason
                assert second.id == f"{epoch}-{5 if reason else after}"
        with connect(server.url, {"since": "earliest"}) as stream:
            hello, _ = stream.start()
            assert hello.data["earliest"] == f"{epoch}-4"
            assert names(stream.events(2)) == [skill["name"] for skill in kept]


def test_resets_are_counted_by_reason(server: Server) -> None:
    name = 'cin_resets_total{reason="epoch"}'
    before = server.metric(name)
    with EventStream(server.url, headers={"Last-Event-ID": "junk"}) as stream:
        stream.start()
    assert server.metric(name) == before + 1


@pytest.mark.parametrize(("place", "reason"), [("{epoch}-{ahead}", "ahead"), ("other-1", "epoch"), ("junk", "epoch")])
def test_strict_stream_answers_410_instead(api: httpx.Client, place: str, reason: str) -> None:
    before = head(api)
    asked = place.format(epoch=epoch_of(before), ahead=offset(before) + 5)
    answer = api.get("/stream", params={"strict": "1"}, headers={"Last-Event-ID": asked})
    assert (answer.status_code, answer.headers["content-type"]) == (410, PROBLEM)
    found = answer.json()
    assert (found["type"], found["reason"], found["head"]) == ("/problems/position-unavailable", reason, before)
    assert found["earliest"] == f"{epoch_of(before)}-1"


@pytest.mark.parametrize(
    ("since", "reason"), [("{epoch}-{ahead}", "ahead"), ("{ahead}", "ahead"), ("other-1", "epoch")]
)
def test_strict_stream_says_why_there_is_none(
    server: Server, api: httpx.Client, connect: Connect, since: str, reason: str
) -> None:
    before = head(api)
    asked = since.format(epoch=epoch_of(before), ahead=offset(before) + 5)
    with connect(server.url, {"strict": "1", "since": asked}) as stream:
        found = stream.problem()
    assert (found["type"], found["status"], found["reason"]) == ("/problems/position-unavailable", 410, reason)
    assert (found["head"], found["earliest"]) == (before, f"{epoch_of(before)}-1")


def test_strict_stream_from_a_place_that_is_kept_is_a_stream(
    server: Server, api: httpx.Client, connect: Connect
) -> None:
    with connect(server.url, {"strict": "1", "since": head(api)}) as stream:
        assert stream.start()[1].event is None


# Filters


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ({"tag": "{a}"}, [0, 2]),
        ({"tag": ["{a}", "{b}"]}, [0, 1, 2]),
        ({"error_type": "{e}"}, [0, 1]),
        ({"error_type": ["{e}", "{f}"]}, [0, 1, 2, 3]),
        ({"tag": "{a}", "error_type": "{f}"}, [2]),
        ({"tag": "{a}", "error_type": ["{e}", "{f}"], "event": "skill.captured"}, [0, 2]),
    ],
    ids=str,
)
@pytest.mark.parametrize("late", [False, True], ids=["live", "replay"])
def test_filtered_stream_has_what_matches_and_no_more(
    server: Server, api: httpx.Client, query: dict[str, Any], wanted: list[int], late: bool, connect: Connect
) -> None:
    words = {word: f"{word}-{uuid4()}" for word in "abef"}
    query = {
        name: [v.format(**words) for v in ([value] if isinstance(value, str) else value)]
        for name, value in query.items()
    }
    before = head(api)

    def capture_all() -> list[str]:
        made = [([words["a"]], "e"), ([words["b"]], "e"), ([words["a"], words["b"]], "f"), ([], "f")]
        skills = [capture(api, tags=tags, error_type=words[error_type]) for tags, error_type in made]
        last = {"tags": [words["a"], words["b"]], "error_type": query.get("error_type", ["x"])[0]}
        return [skill["name"] for skill in (*skills, capture(api, **last))]  # the last one matches every filter

    made = capture_all() if late else []
    with connect(server.url, query | {"since": before}) as stream:
        made = made or capture_all()
        assert names(stream.events(len(wanted) + 1)) == [*(made[n] for n in wanted), made[4]]


def test_stream_may_be_of_some_kinds_of_events_alone(server: Server, api: httpx.Client, connect: Connect) -> None:
    query = {"event": ["skill.revised", "skill.retired"]}
    with connect(server.url, query) as stream:
        skill = capture(api)
        api.put(f"/skills/{skill['id']}", json=make_skill(), headers={"If-Match": "*"})
        api.delete(f"/skills/{skill['id']}")
        assert [block.event for block in stream.events(2)] == query["event"]


@pytest.mark.parametrize("late", [False, True], ids=["live", "replay"])
@pytest.mark.parametrize("field", ["tag", "error_type"])
def test_who_listens_to_what_a_skill_had_hears_that_it_has_it_no_more(
    server: Server, api: httpx.Client, late: bool, field: str, connect: Connect
) -> None:
    word = f"{uuid4()}"
    skill = capture(api, tags=[word], error_type=word)

    def revise() -> None:
        revised = make_skill(tags=["other"], error_type="Other")
        api.put(f"/skills/{skill['id']}", json=revised, headers={"If-Match": "*"}).raise_for_status()

    if late:
        revise()
    with connect(server.url, {field: word, "since": skill["position"]}) as stream:
        if not late:
            revise()
        (event,) = stream.events(1)
    told = event.data["skill"]
    assert (event.event, told["tags"], told["error_type"]) == ("skill.revised", ["other"], "Other")


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ({"event": "skill.captured2"}, "query.event.0"),
        ({"event": ["skill.captured", ""]}, "query.event.1"),
        ({"tag": ""}, "query.tag.0"),
        ({"tag": "\0"}, "query.tag.0"),
        ({"error_type": "e" * 201}, "query.error_type.0"),
        ({"tag": [str(n) for n in range(65)]}, "query.tag"),
        ({"agent": "a b"}, "query.agent"),
        ({"agent": ""}, "query.agent"),
        ({"strict": "maybe"}, "query.strict"),
        ({"colour": "red"}, "query.colour"),
    ],
)
def test_wrong_question_is_refused_and_named(
    server: Server, connect: Connect, query: dict[str, Any], place: str
) -> None:
    with connect(server.url, query) as stream:
        assert [f"query.{rule['loc']}" for rule in stream.problem()["errors"]] == [place]


@pytest.mark.parametrize("field", ["error_type", "tag"])
def test_filter_matches_text_however_it_is_composed(
    server: Server, api: httpx.Client, field: str, connect: Connect
) -> None:
    word = f"caf\u00e9-{uuid4()}"
    with connect(server.url, {field: word.replace("\u00e9", "e\u0301")}) as stream:
        skill = capture(api, **({"error_type": word} if field == "error_type" else {"tags": [word]}))
        assert names(stream.events(1)) == [skill["name"]]


# Heartbeats


def test_quiet_stream_is_told_the_head_now_and_then(brisk: Server, connect: Connect) -> None:
    with httpx.Client(base_url=brisk.url) as api, connect(brisk.url) as stream:
        at = head(api)
        beats = [stream.block() for _ in range(4)][2:]
    assert [beat.fields for beat in beats] == [{"id": at}] * 2


def test_filtered_stream_is_told_the_head_though_nothing_matches(brisk: Server, connect: Connect) -> None:
    with httpx.Client(base_url=brisk.url) as api, connect(brisk.url, {"tag": f"{uuid4()}"}) as stream:
        stream.start()
        position = capture(api)["position"]
        block = stream.block()
        while block.id != position:
            assert block.event is None
            block = stream.block()
    assert block.fields == {"id": position}


def test_resume_from_a_heartbeat_misses_nothing(brisk: Server, connect: Connect) -> None:
    tag = f"{uuid4()}"
    with httpx.Client(base_url=brisk.url) as api:
        with connect(brisk.url, {"tag": tag}) as stream:
            stream.start()
            position = capture(api)["position"]
            while (cursor := stream.block().id) != position:
                pass
        skill = capture(api, tags=[tag])
        with connect(brisk.url, {"tag": tag}, {"Last-Event-ID": str(cursor)}) as stream:
            assert names(stream.events(1)) == [skill["name"]]


# The limit


@pytest.fixture
def full(brisk: Server) -> Iterator[Server]:
    """A server whose streams are all taken."""
    wait_until(lambda: brisk.metric("cin_streams") == 0)
    streams = [EventStream(brisk.url) for _ in range(3)]
    yield brisk
    for stream in streams:
        stream.close()


def test_stream_over_the_limit_is_refused_with_a_time_to_come_back(full: Server, connect: Connect) -> None:
    with connect(full.url) as stream:
        assert (stream.status, stream.headers["content-type"]) == (503, PROBLEM)
        assert int(stream.headers["retry-after"]) > 0
        assert stream.problem()["type"] == "/problems/stream-limit-reached"


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Mode": "cors"}, {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64)"}])
def test_browser_over_the_limit_is_told_when_to_come_back_and_let_go(full: Server, headers: dict[str, str]) -> None:
    with EventStream(full.url, headers=headers) as stream:
        assert (stream.status, stream.headers["content-type"].partition(";")[0]) == (200, "text/event-stream")
        (only,) = stream.rest()
    assert set(only.fields) == {"retry"}
    assert int(only.fields["retry"]) >= 1_000  # five times what others are told


def test_refused_streams_are_counted(full: Server, connect: Connect) -> None:
    name = 'cin_streams_refused_total{reason="limit"}'
    before = full.metric(name)
    with connect(full.url) as stream:
        assert stream.status == 503
    assert full.metric(name) == before + 1


def test_refused_stream_takes_no_place(full: Server, connect: Connect) -> None:
    with connect(full.url) as refused:
        assert refused.status == 503
    assert full.metric("cin_streams") == 3


def test_reads_and_captures_go_on_when_all_streams_are_taken(full: Server) -> None:
    with httpx.Client(base_url=full.url) as api:
        capture(api)
        assert api.get("/healthz").status_code == api.get("/readyz").status_code == 200


def test_place_of_a_stream_that_ended_is_free_again(brisk: Server, connect: Connect) -> None:
    with connect(brisk.url) as stream:
        stream.start()
        assert brisk.metric("cin_streams") == 1
    wait_until(lambda: brisk.metric("cin_streams") == 0)


# What opening costs


def test_stream_that_the_ring_can_serve_reads_nothing_of_the_database(tmp_path: Path) -> None:
    async def go() -> int:
        async with application(tmp_path) as cin:
            here = cin.parts
            for _ in range(3):
                await cin.capture(make_skill())
            position = str(here.hub.bounds.position(1))
            reads = cin.count_reads()
            for agent, since, last in (
                (None, None, None),
                (None, "now", None),
                (None, position, None),
                (None, "2", position),
                ("a", "now", None),
                ("a", None, position),
            ):
                await find_start(here, StreamParams(since=since), agent, last)
            return reads.number

    assert run(go()) == 0


def test_agents_that_open_streams_at_once_share_commits(tmp_path: Path) -> None:
    async def go() -> tuple[float, int]:
        async with application(tmp_path) as cin:
            here = cin.parts
            before = commits(cin)
            await asyncio.gather(
                *(here.deliveries.joined_stream(here.network, f"agent-{number}", 0, None) for number in range(200))
            )
            return commits(cin) - before, len((await here.deliveries.agents(here.network))[0])

    def commits(cin: Inside) -> float:
        return cin.parts.metrics.registry.get_sample_value("cin_commits_total") or 0

    shared, agents = run(go())
    assert shared <= 3
    assert agents == 200
