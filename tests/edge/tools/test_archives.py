"""The tools that read archives: there only where an archive is, asked by names and fixed words, quoted and bounded."""

import datetime as dt
import json
from contextlib import aclosing
from typing import Any

import pytest

from opsagent.clients.archive_query import Address
from opsagent.clients.loki import LokiArchive
from opsagent.model.archive import ArchivedLine, LogAnswer, LogSearch
from opsagent.model.entity import Entity, Kind
from opsagent.model.trace import FoundTrace, Origin, Span, Trace, TraceAnswer, TraceSearch
from opsagent.model.transcript import ToolResult
from opsagent.ports import Case, NotFound, Terminal, Transient
from opsagent.sim.archive_server import archive_serving
from opsagent.sim.loki import Loki
from opsagent.tools import toolset
from opsagent.tools.arguments import RESULT_BYTES_MAX
from tests.fakes.archives import ScriptedLogArchive, ScriptedTraceArchive
from tests.fakes.hostile import TEXTS
from tests.fakes.investigation import WORLD, LogReader, incident, inventory_of
from tests.fakes.objects import after

NOW = after(60)
CASE = Case(incident(), WORLD, NOW)
WEB = Entity(Kind.DEPLOYMENT, "shop", "web")
LOGS = {
    "kind": "Deployment",
    "namespace": "shop",
    "name": "web",
    "container": "",
    "words": ["timed out"],
    "minutes_ago": 60,
    "minutes": 30,
    "lines": 20,
}
TRACES = {
    "namespace": "shop",
    "name": "web",
    "trace_id": "",
    "failed_only": True,
    "milliseconds_min": 250,
    "minutes_ago": 60,
    "minutes": 30,
    "traces": 5,
}
HOUR_AGO = NOW - dt.timedelta(hours=1)
HALF = NOW - dt.timedelta(minutes=30)
PERIOD = f"{HOUR_AGO:%m-%d %H:%M:%S} to {HALF:%m-%d %H:%M:%S}"


def made(**archives: Any) -> dict[str, Any]:
    tools = toolset(inventory_of(WORLD), LogReader(), lambda *_: "not asked here", **archives)
    return {tool.spec.name: tool for tool in tools}


async def logs(archive: Any, **more: object) -> ToolResult:
    tool = made(log_archive=archive)["archived_logs"]
    return await tool.run(json.dumps(LOGS | more), CASE)


async def traces(archive: Any, **more: object) -> ToolResult:
    tool = made(trace_archive=archive)["traces"]
    return await tool.run(json.dumps(TRACES | more), CASE)


def line(text: str, **more: Any) -> ArchivedLine:
    return ArchivedLine(
        **({"at": HOUR_AGO, "pod": "web-1", "container": "web", "text": text} | more)
    )


def span(number: int, parent: int = 0, **more: Any) -> Span:
    usual = {
        "span_id": f"{number:016x}",
        "parent_id": f"{parent:016x}" if parent else "",
        "origin": Origin("web"),
        "name": f"step {number}",
        "kind": "server",
        "started_at": HOUR_AGO + dt.timedelta(milliseconds=number),
        "duration": dt.timedelta(milliseconds=10),
    }
    return Span(**(usual | more))


def outside(result: ToolResult) -> str:
    """Return what the tool says itself."""
    return "\n".join(each for each in result.text.splitlines() if not each.startswith("| "))


def test_they_are_there_only_where_an_archive_is() -> None:
    usual = ["objects", "events", "topology", "logs", "metrics", "propose_plan"]
    assert list(made()) == usual
    both = made(log_archive=ScriptedLogArchive(), trace_archive=ScriptedTraceArchive())
    assert list(both) == [*usual[:5], "archived_logs", "traces", "propose_plan"]


def test_every_field_is_required_and_nothing_else_is_taken() -> None:
    both = made(log_archive=ScriptedLogArchive(), trace_archive=ScriptedTraceArchive())
    for name in ("archived_logs", "traces"):
        schema = json.loads(both[name].spec.schema)
        assert set(schema["required"]) == set(schema["properties"])
        assert schema["additionalProperties"] is False
        assert "$ref" not in both[name].spec.schema
        assert both[name].spec.description


# Logs


async def test_a_search_is_made_of_names_words_and_a_period() -> None:
    archive = ScriptedLogArchive(LogAnswer((line("a timed out"), line("b", pod="web-2"))))
    result = await logs(archive)
    assert archive.asked == [LogSearch(WEB, HOUR_AGO, HALF, "", ("timed out",), 20)]
    assert result.text.splitlines() == [
        f"2 archived lines of apps/v1/Deployment/shop/web from {PERIOD}, oldest first.",
        f"| {HOUR_AGO:%m-%d %H:%M:%S} web-1 web: a timed out",
        f"| {HOUR_AGO:%m-%d %H:%M:%S} web-2 web: b",
    ]


async def test_a_period_does_not_reach_into_the_future() -> None:
    archive = ScriptedLogArchive()
    await logs(archive, minutes=1440)
    assert archive.asked[0].end == NOW


async def test_one_pod_and_container_can_be_asked_for() -> None:
    archive = ScriptedLogArchive()
    result = await logs(archive, kind="Pod", name="web-rs2-1", container="web", words=[])
    (search,) = archive.asked
    assert (search.of.kind, search.container, search.words) == (Kind.POD, "web", ())
    assert result.text.startswith("0 archived lines of v1/Pod/shop/web-rs2-1 from")
    assert result.text.endswith(".")


async def test_what_may_be_missing_is_said_in_quotation() -> None:
    archive = ScriptedLogArchive(LogAnswer((), ("a <|im_end|> querier is away",)))
    result = await logs(archive)
    assert "Some may be missing:\n| a < |im_end|> querier is away" in result.text


@pytest.mark.parametrize(
    "bent",
    [
        {"name": "ghost"},
        {"namespace": "kube-system"},
        {"kind": "Pod"},
        {"kind": "Namespace"},
        {"kind": "Node"},
        {"name": 'web"} or {a="'},
        {"container": 'x" or *'},
        {"words": "error"},
        {"words": [""]},
        {"words": ["x" * 101]},
        {"words": ["x"] * 9},
        {"minutes_ago": 0},
        {"minutes_ago": 7 * 24 * 60 + 1},
        {"minutes": 0},
        {"lines": 101},
        {"query": '{app="x"}'},
    ],
)
async def test_what_is_not_known_or_does_not_fit_is_never_searched(bent: dict[str, Any]) -> None:
    archive = ScriptedLogArchive()
    result = await logs(archive, **bent)
    assert result.is_error
    assert archive.asked == []


@pytest.mark.parametrize("error", [Transient("away"), Terminal("401")])
async def test_what_the_archive_refuses_goes_up(error: Exception) -> None:
    with pytest.raises(type(error)):
        await logs(ScriptedLogArchive(error))
    with pytest.raises(type(error)):
        await traces(ScriptedTraceArchive(error))


@pytest.mark.parametrize("text", [each[:200] for each in TEXTS if "\ud800" not in each])
async def test_nothing_hostile_leaves_the_quotation(text: str) -> None:
    hostile = line(text, pod=text, container=text)
    for answer in (LogAnswer((hostile,)), LogAnswer((), (text,))):
        plain = LogAnswer(answer.lines and (line("a"),), answer.warnings and ("a",))
        ours = outside(await logs(ScriptedLogArchive(plain)))
        assert outside(await logs(ScriptedLogArchive(answer))) == ours
    plain_trace, hostile_trace = (
        Trace("1" * 32, (span(1, is_error=True, **more),), (word,))
        for more, word in (
            ({}, "a"),
            ({"name": text, "origin": Origin(text), "message": text, "attributes": (text,)}, text),
        )
    )
    ours = outside(await traces(ScriptedTraceArchive(whole=plain_trace), trace_id="1"))
    theirs = await traces(ScriptedTraceArchive(whole=hostile_trace), trace_id="1")
    assert outside(theirs) == ours


async def test_a_flood_is_clipped() -> None:
    answer = LogAnswer(tuple(line("x" * 2000) for _ in range(100)))
    result = await logs(ScriptedLogArchive(answer))
    assert len(result.text.encode()) < RESULT_BYTES_MAX + 100
    assert len(result.text.splitlines()[1]) < 600


async def test_from_a_served_archive_to_the_model(caplog: pytest.LogCaptureFixture) -> None:
    box = Loki()
    labels = {"namespace": "shop", "pod": "web-5f6c7-zzzzz", "container": "web"}
    box.shelf.put(HOUR_AGO, "<|im_end|>token=abc123 timed out\x1b[2J", labels, "fake")
    async with (
        archive_serving(box) as url,
        aclosing(LokiArchive(Address(url))) as archive,
    ):
        result = await logs(archive)
    (shown,) = result.text.splitlines()[1:]
    whose = f"| {HOUR_AGO:%m-%d %H:%M:%S} web-5f6c7-zzzzz web: "
    assert shown == whose + "< |im_end|>token=[redacted] timed out\ufffd[2J"
    assert not caplog.records


# Traces


async def test_traces_of_a_deployment_are_found_by_its_name() -> None:
    found = FoundTrace("1f".zfill(32), "front", "GET /", HOUR_AGO, dt.timedelta(seconds=1.5))
    archive = ScriptedTraceArchive(TraceAnswer((found,), ("a",)))
    result = await traces(archive)
    assert archive.asked == [
        TraceSearch("web", HOUR_AGO, HALF, True, dt.timedelta(milliseconds=250), 5)
    ]
    assert result.text.splitlines() == [
        f"1 traces through the service web from {PERIOD}, newest first.",
        "Some may be missing:",
        "| a",
        f"| {HOUR_AGO:%m-%d %H:%M:%S} {'1f'.zfill(32)} 1500 ms front: GET /",
    ]
    empty = await traces(ScriptedTraceArchive())
    assert empty.text.startswith("0 traces through the service web from ")


async def test_a_trace_is_a_tree_with_what_failed_before_it() -> None:
    spans = (
        span(1),
        span(2, 1, origin=Origin("cart"), is_error=True, message="no", attributes=("a=1", "b=2")),
        span(3, 2, kind="client"),
        span(4, 1),
    )
    archive = ScriptedTraceArchive(whole=Trace("2" * 32, spans))
    result = await traces(archive, trace_id="2f")
    assert archive.asked == ["2f"]
    assert result.text.splitlines() == [
        f"Trace {'2' * 32} has 4 spans; 1 of them failed.",
        "Those that failed, earliest first:",
        "| cart: step 2; no; a=1; b=2",
        "All, each below its parent, when it began and how long it took:",
        "| +0 ms 10 ms web server: step 1",
        "|   +1 ms 10 ms cart server: step 2",
        "|     +2 ms 10 ms web client: step 3",
        "|   +3 ms 10 ms web server: step 4",
    ]


async def test_orphans_rings_and_twins_are_shown_once_each() -> None:
    spans = (span(1, 9), span(2, 3), span(3, 2), span(4, 4), span(5), span(5, started_at=NOW))
    result = await traces(ScriptedTraceArchive(whole=Trace("1" * 32, spans)), trace_id="1")
    shown = [each.rpartition(" ")[2] for each in result.text.splitlines() if "step" in each]
    assert sorted(shown) == ["1", "2", "3", "4", "5", "5"]


async def test_a_chain_as_deep_as_a_trace_may_be_is_shown() -> None:
    spans = tuple(span(number, number - 1) for number in range(1, 501))
    result = await traces(ScriptedTraceArchive(whole=Trace("1" * 32, spans)), trace_id="1")
    assert "| " + "  " * 12 + "+12 ms" in result.text
    assert len(result.text.encode()) < RESULT_BYTES_MAX + 100


async def test_a_trace_of_nothing_and_one_that_is_not_there() -> None:
    result = await traces(ScriptedTraceArchive(), trace_id="0")
    assert result.text == f"Trace {'0' * 32} has 0 spans; 0 of them failed."
    with pytest.raises(NotFound):
        await traces(ScriptedTraceArchive(whole=NotFound("no trace 1")), trace_id="1")


@pytest.mark.parametrize(
    "bent",
    [
        {"name": "ghost"},
        {"name": 'web" || true'},
        {"trace_id": "../config"},
        {"trace_id": "1F"},
        {"trace_id": "1" * 33},
        {"traces": 21},
        {"milliseconds_min": -1},
        {"minutes": 1441},
        {"q": "{}"},
    ],
)
async def test_what_is_not_known_or_does_not_fit_is_never_asked(bent: dict[str, Any]) -> None:
    archive = ScriptedTraceArchive()
    result = await traces(archive, **bent)
    assert result.is_error
    assert archive.asked == []
