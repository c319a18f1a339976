"""What a search of archived logs finds: the same in a Loki and in a VictoriaLogs, simulated or real."""

import datetime as dt
import re

import httpx2
import msgspec
import pytest

from opsagent.clients import victorialogs as vl
from opsagent.clients.archive_query import nanoseconds
from opsagent.clients.victorialogs import logsql
from opsagent.model.archive import ArchivedLine, LogAnswer, LogSearch
from opsagent.model.entity import Entity, Kind
from opsagent.ports import Terminal
from opsagent.sim.archive_server import archive_serving
from opsagent.sim.victorialogs import VictoriaLogs
from tests.contracts.logs.environment import (
    HOUR,
    POD,
    Environment,
    Line,
    Start,
    everywhere,
    shelved,
)
from tests.fakes.hostile import MARKUP, STEERING
from tests.fakes.virtual_time import EPOCH
from tests.lab.victorialogs import insert

CART = Entity(Kind.DEPLOYMENT, "shop", "cart")
# What a careless query would read as its own: quotes, escapes, operators, comments, patterns, ends of lines.
WORDS = (
    'say "no"',
    "back\\slash \\n",
    "`tick` 'single'",
    'x" or "',
    '"} |= "',
    "a) | delete",
    "# comment",
    "| fields *",
    "(a|b).+[c]$",
    "50% * 2 = {x}",
    "new\nline\tand tab",
    "nul\x00 bell\x07",
    "<|im_end|> <script>",
    "ünïcode 漢字 😀",
    *(text for text in (*MARKUP, *STEERING) if len(text) <= 100 and text.isascii()),
    *(text for text in STEERING if len(text) <= 100 and not re.search("[\ud800-\udfff]", text)),
)


@everywhere
async def test_lines_of_the_span_come_oldest_first(
    environment: Environment, victorialogs: Start
) -> None:
    async with environment(victorialogs) as world:
        world.fill([Line(10, "b"), Line(-0.001, "before"), Line(0, "a"), Line(3600, "at the end")])
        world.fill([Line(10.5, "c"), Line(3599.999, "d")])
        answer = await world.found()
        assert [line.text for line in answer.lines] == ["a", "b", "c", "d"]
        assert answer.lines[2] == ArchivedLine(EPOCH + dt.timedelta(seconds=10.5), POD, "cart", "c")
        assert not answer.is_partial


@everywhere
async def test_nothing_found_is_whole(environment: Environment, victorialogs: Start) -> None:
    async with environment(victorialogs) as world:
        world.fill([Line(1, "a")])
        assert await world.found("b") == LogAnswer()
        assert await world.found(of=Entity(Kind.POD, "shop", "ghost")) == LogAnswer()
        assert await world.found(of=Entity(Kind.NAMESPACE, "", "elsewhere")) == LogAnswer()


@everywhere
async def test_a_pod_and_a_container_narrow_it(
    environment: Environment, victorialogs: Start
) -> None:
    async with environment(victorialogs) as world:
        world.fill([Line(1, "a"), Line(2, "b", container="proxy"), Line(3, "c", pod="cart-0")])
        world.fill([Line(4, "d", namespace="other")])
        pod = Entity(Kind.POD, "shop", POD)
        assert await world.texts(of=pod) == ["a", "b"]
        assert await world.texts(of=pod, container="proxy") == ["b"]
        assert await world.texts(container="cart") == ["a", "c"]


PODS = {
    Kind.DEPLOYMENT: ["web-6d4b75cb6d-x7k2p", "web-5f6c7-zzzzz"],
    Kind.REPLICA_SET: ["web-x7k2p"],
    Kind.STATEFUL_SET: ["web-0", "web-17"],
    Kind.CRON_JOB: ["web-29000000-x7k2p", "web-29000001-3-bbbbb"],
}
NEIGHBOURS = ["webs-6d4b75cb6d-x7k2p", "a-web-0", "web-admin-6d4b75cb6d-x7k2p", "web", "web-aaaaa"]


@everywhere
async def test_a_workload_stands_for_its_pods_and_for_no_neighbours(
    environment: Environment, victorialogs: Start
) -> None:
    names = [name for pods in PODS.values() for name in pods] + NEIGHBOURS
    async with environment(victorialogs) as world:
        world.fill([Line(number, "x", pod=name) for number, name in enumerate(names)])
        for kind, pods in PODS.items():
            answer = await world.found(of=Entity(kind, "shop", "web"))
            assert {line.pod for line in answer.lines} == set(pods), kind


@everywhere
async def test_long_names_and_names_with_full_stops_are_found(
    environment: Environment, victorialogs: Start
) -> None:
    long = "a" * 60
    async with environment(victorialogs) as world:
        world.fill([Line(1, "a", pod=f"{long[:58]}x7k2p"), Line(2, "b", pod="v1.2-x7k2p")])
        world.fill([Line(3, "c", pod="v1x2-x7k2p")])
        assert await world.texts(of=Entity(Kind.DEPLOYMENT, "shop", long)) == ["a"]
        assert await world.texts(of=Entity(Kind.DAEMON_SET, "shop", "v1.2")) == ["b"]


@everywhere
async def test_words_are_found_as_they_are_written_and_all_of_them(
    environment: Environment, victorialogs: Start
) -> None:
    async with environment(victorialogs) as world:
        world.fill([Line(1, "Error: timed out"), Line(2, "error: timeout"), Line(3, "terror")])
        assert await world.texts("error") == ["error: timeout", "terror"]
        assert await world.texts("rror", "timed") == ["Error: timed out"]
        assert await world.texts("time*") == []
        assert await world.texts("e.ror") == []


@everywhere
async def test_no_word_is_read_as_anything_but_a_word(
    environment: Environment, victorialogs: Start
) -> None:
    async with environment(victorialogs) as world:
        world.fill([Line(number, f"<{word}>") for number, word in enumerate(WORDS)])
        for word in WORDS:
            assert await world.texts(word) == [f"<{each}>" for each in WORDS if word in each]


@everywhere
async def test_of_too_many_lines_the_newest_are_shown_and_it_is_said(
    environment: Environment, victorialogs: Start
) -> None:
    async with environment(victorialogs) as world:
        world.fill([Line(number, f"line {number}") for number in range(12)])
        answer = await world.found(lines_max=3)
        assert [line.text for line in answer.lines] == ["line 9", "line 10", "line 11"]
        assert answer.warnings == ("there are more lines: these are the newest 3",)
        whole = await world.found(lines_max=12)
        assert len(whole.lines) == 12
        assert not whole.is_partial


@everywhere
async def test_a_long_answer_is_bounded_in_bytes(
    environment: Environment, victorialogs: Start
) -> None:
    async with environment(victorialogs) as world:
        world.fill([Line(number, f"{number} " + "é" * 3000) for number in range(100)])
        answer = await world.found(lines_max=100)
        size = sum(len(line.text.encode()) for line in answer.lines)
        assert 250_000 < size <= 256 * 2**10
        assert answer.lines[-1].text.startswith("99 ")
        assert answer.is_partial


@everywhere
async def test_secrets_do_not_come_out(environment: Environment, victorialogs: Start) -> None:
    async with environment(victorialogs) as world:
        world.fill([Line(1, "password=hunter2 user=bob")])
        assert await world.texts("user=bob") == ["password=[redacted] user=bob"]


@everywhere
async def test_a_tenant_sees_only_what_is_its_own(
    environment: Environment, victorialogs: Start
) -> None:
    async with environment(victorialogs) as world:
        world.fill([Line(1, "a")])
        search = LogSearch(Entity(Kind.NAMESPACE, "", "shop"), EPOCH, EPOCH + HOUR)
        assert len((await world.client.search(search)).lines) == 1
        assert await world.stranger.search(search) == LogAnswer()


@everywhere
@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"end": EPOCH}, "more than nothing"),
        ({"end": EPOCH + dt.timedelta(days=31)}, "up to 30 days"),
        ({"lines_max": 0}, "lines_max"),
        ({"lines_max": 1001}, "lines_max"),
        ({"words": ("",)}, "words"),
        ({"words": ("x" * 101,)}, "words"),
        ({"words": ("x",) * 9}, "words"),
        ({"words": ("\ud800",)}, "surrogate"),
        ({"of": Entity(Kind.POD, "shop", 'x"} or {a="')}, "not a Kubernetes name"),
        ({"of": Entity(Kind.POD, "shop", "x" * 254)}, "not a Kubernetes name"),
        ({"of": Entity(Kind.POD, "", "x")}, "not a Kubernetes name"),
        ({"of": Entity(Kind.NODE, "shop", "x")}, "a Node has no pods"),
        ({"container": "A"}, "not a Kubernetes name"),
    ],
)
async def test_a_search_that_makes_no_sense_never_reaches_the_archive(
    environment: Environment, victorialogs: Start, more: dict[str, object], said: str
) -> None:
    async with environment(victorialogs) as world:
        with pytest.raises(Terminal, match=said):
            await world.found(**more)


Answer = tuple[int, str, list[dict[str, str]]]


async def asked(http: httpx2.AsyncClient, url: str, **parameters: str) -> Answer:
    """Return status, content type and lines."""
    answer = await http.get(f"{url}{vl.QUERY}", params=parameters)
    rows = answer.content.splitlines() if answer.status_code == 200 else []
    return answer.status_code, answer.headers["content-type"], [*map(msgspec.json.decode, rows)]


@pytest.mark.lab
async def test_the_simulated_victorialogs_answers_as_the_real_one(victorialogs: Start) -> None:
    tenant, fields = "999:1", vl.FIELDS
    lines = [Line(number / 8, word) for number, word in enumerate((*WORDS, "plain"))]
    rows = [
        {"_time": each.at.isoformat(), "_msg": each.text, **each.fields(fields)} for each in lines
    ]
    insert(victorialogs(), rows, list(lines[0].fields(fields)), tenant)
    box = VictoriaLogs()
    shelved(box.shelf, fields, tenant)(lines)
    searches = [LogSearch(CART, EPOCH, EPOCH + HOUR, words=(word,)) for word in WORDS]
    searches.append(LogSearch(CART, EPOCH, EPOCH + HOUR))
    queries = ["", 'a:="b', '"a":="\\q" | fields "_msg"', "x) |", *map(logsql, searches)]
    span = {"start": nanoseconds(EPOCH), "end": nanoseconds(EPOCH + HOUR)}
    headers = {"accountid": "999", "projectid": "1"}
    async with (
        archive_serving(box) as url,
        httpx2.AsyncClient(trust_env=False, headers=headers) as http,
    ):
        for query in queries:
            for limit in ("1", "5", "x"):
                mine = await asked(http, url, query=query, limit=limit, **span)
                theirs = await asked(http, victorialogs(), query=query, limit=limit, **span)
                assert mine == theirs, query
