"""The daemon learns by itself who calls whom, and shows it; it goes on without, and whatever the traces say."""

import asyncio
import datetime as dt
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from opsagent.clients.rest import BODY_BYTES_MAX
from opsagent.controllers.learn_calls import ADVICE, TRACES_MAX
from opsagent.controllers.report import Report
from opsagent.model.entity import Kind
from opsagent.model.topology import Edge, EdgeType, Vertex
from opsagent.ports import Transient
from opsagent.settings_telemetry import TraceArchiveSettings
from opsagent.sim.tempo import SimSpan, Tempo
from tests.edge.beset_daemon import LAG_SECONDS_MAX, Outcome, Trouble, beset, memory_bounded
from tests.fakes.archives import InProcess, tempo_in_process
from tests.fakes.hostile import MARKUP, STEERING
from tests.fakes.measured_shop import MeasuredShop, measured_shop
from tests.fakes.virtual_time import EPOCH, run

WEB, CART = (Vertex(Kind.DEPLOYMENT, "shop", name) for name in ("web", "cart"))
SECTION = TraceArchiveSettings(url="http://in.this.process")
MINUTE = 60.0


def put_call(tempo: Tempo, trace: int, caller: str, callee: str, **more: Any) -> None:
    """Let ``caller`` call ``callee`` at the minute ``trace``."""
    common = {"at": EPOCH + dt.timedelta(minutes=trace), "duration": dt.timedelta(seconds=1)} | more
    ids = (f"{trace:032x}", f"{1:016x}"), (f"{trace:032x}", f"{2:016x}")
    tempo.put(SimSpan(*ids[0], caller, "GET /", kind="client", **common))
    tempo.put(SimSpan(*ids[1], callee, "GET /", kind="server", parent_id=ids[0][1], **common))


def calls(report: Report) -> set[tuple[str, str]]:
    assert report.term is not None
    topology = report.term.pipeline.inventory.topology
    edges = {edge for vertex in (WEB, CART) for edge in topology.edges(vertex)}
    return {(e.source.name, e.target.name) for e in edges if e.type is EdgeType.CALLS}


async def calls_status(report: Report) -> Any:
    return (await report.status())["calls"]


def test_a_call_that_traces_show_is_in_the_topology_and_in_the_status(tmp_path: Path) -> None:
    tempo = Tempo()
    put_call(tempo, 4, "web", "cart")

    async def scene(here: MeasuredShop) -> None:
        archive = tempo_in_process(InProcess(tempo))
        asked = {"trace_archive": SECTION}
        async with here.daemon(tmp_path, asked, trace_archive=archive) as report:
            await asyncio.sleep(2 * MINUTE)
            assert calls(report) == set()
            await asyncio.sleep(10 * MINUTE)
            assert calls(report) == {("web", "cart")}
            assert report.term is not None
            around = report.term.pipeline.inventory.topology.neighbours(WEB, 1)
            assert Edge(WEB, EdgeType.CALLS, CART) in around.edges
            status = await calls_status(report)
            assert status.pop("lag_seconds") <= 6 * MINUTE
            assert status == {
                "known": 1,
                "traces_total": 1,
                "partial_total": 0,
                "unmapped_total": 0,
                "dropped_total": 0,
                "failures_total": 0,
                "last_error": "",
            }
            assert not (await report.status())["restarts"]

    run(_in_shop(scene))


def test_an_archive_that_fails_costs_the_calls_alone(tmp_path: Path) -> None:
    rest = InProcess(Tempo())
    rest.failure = Transient("trace_archive: ConnectError")

    async def scene(here: MeasuredShop) -> None:
        asked = {"trace_archive": SECTION}
        async with here.daemon(tmp_path, asked, trace_archive=tempo_in_process(rest)) as report:
            await asyncio.sleep(5 * MINUTE)
            await here.break_web()
            await asyncio.sleep(20 * MINUTE)
            status = await calls_status(report)
            assert (status["last_error"], status["advice"]) == (str(rest.failure), ADVICE)
            assert status["failures_total"] >= 4
            whole = await report.status()
            assert whole["incidents_open"] == 1
            assert not whole["restarts"]

    run(_in_shop(scene))


@pytest.mark.parametrize(
    "asked", [{}, {"trace_archive": SECTION.model_copy(update={"follow": False})}]
)
def test_where_nobody_wants_it_nothing_is_asked(tmp_path: Path, asked: Mapping[str, Any]) -> None:
    rest = InProcess(Tempo())

    async def scene(here: MeasuredShop) -> None:
        async with here.daemon(tmp_path, asked, trace_archive=tempo_in_process(rest)) as report:
            await asyncio.sleep(20 * MINUTE)
            assert await calls_status(report) == "not followed"

    run(_in_shop(scene))
    assert rest.asked == []


async def _in_shop(scene: Any) -> None:
    async with measured_shop() as here:
        await scene(here)


# Whatever the traces say


def whole(spans: list[dict[str, Any]], **resource: Any) -> bytes:
    attributes = [{"key": key.replace("_", "."), "value": value} for key, value in resource.items()]
    batch = {"resource": {"attributes": attributes}, "scopeSpans": [{"spans": spans}]}
    return json.dumps({"batches": [batch]}).encode()


def a_span(number: int, parent: int, **more: Any) -> dict[str, Any]:
    stamps = {"startTimeUnixNano": "1", "endTimeUnixNano": "2"}
    ids = {"spanId": f"{number:016x}", "parentSpanId": f"{parent:016x}"}
    return ids | stamps | {"kind": "SPAN_KIND_SERVER"} | more


def text(value: object) -> dict[str, object]:
    return {"stringValue": value}


def traps() -> Iterator[bytes]:
    """Yield answers about one trace that want to do harm, or are none."""
    yield b"[" * 100_000
    yield b"\xff\xfe"
    yield b"{}"
    yield b'{"batches":null}'
    yield b'{"batches":[' + b"{}," * 100_000 + b"{}]}"
    yield whole([a_span(1, 1), a_span(2, 3), a_span(3, 2)])  # rings
    yield whole([a_span(1, 2)] * 1_000)  # one id for all
    yield whole([a_span(number, number - 1) for number in range(1, 30_000)])  # a chain
    yield whole(
        [{"spanId": 7}, {"spanId": ""}, {"spanId": None}, a_span(1, 0, startTimeUnixNano="9" * 40)]
    )
    yield whole([a_span(1, 0)], service_name={"arrayValue": {}}, k8s_pod_name=text("../../etc"))
    yield whole([a_span(1, 0)], **{f"k8s_{n}": text("x") for n in range(10_000)})
    yield whole([a_span(1, 0, name="x" * 10_000_000)])


def unharmed(outcome: Outcome) -> None:
    assert not outcome.status["restarts"]
    assert len(outcome.opened) == 1
    assert 0 <= outcome.lag_seconds < LAG_SECONDS_MAX


def test_traces_that_are_none_cost_themselves_alone(tmp_path: Path) -> None:
    tempo, bodies = Tempo(), list(traps())
    rest = InProcess(tempo)
    for number, body in enumerate(bodies, 100):
        put_call(tempo, number, "web", "cart", at=EPOCH)
        rest.crooked[f"/api/traces/{number:032x}"] = (200, body)
    put_call(tempo, 1, "web", "cart", at=EPOCH)
    with memory_bounded(150 * 2**20):
        outcome = beset(tmp_path, Trouble(traces=tempo_in_process(rest)))
    unharmed(outcome)
    status = outcome.status["calls"]
    assert status["known"] == 1
    assert status["traces_total"] + status["failures_total"] == len(bodies) + 1
    assert (status["failures_total"], status["partial_total"]) == (5, 2)
    assert status["last_error"] == ""


def test_forged_names_join_nobody_and_are_counted(tmp_path: Path) -> None:
    tempo = Tempo()
    forged = [
        name
        for name in (*MARKUP, *STEERING, "../web", "shop/web", "WEB", "web\0")
        if "\ud800" not in name
    ]
    for number, name in enumerate(forged[: TRACES_MAX - 1], 1):
        said = {"k8s.namespace.name": "shop", "k8s.pod.name": name, "k8s.deployment.name": name}
        put_call(tempo, number, "web", name, at=EPOCH, resource=said)
    outcome = beset(tmp_path, Trouble(traces=tempo_in_process(InProcess(tempo))))
    unharmed(outcome)
    status = outcome.status["calls"]
    assert (status["traces_total"], status["known"]) == (TRACES_MAX - 1, 0)
    assert status["unmapped_total"] == TRACES_MAX - 1
    assert (
        outcome.status["topology"]["edges"]
        == beset(tmp_path / "2", Trouble()).status["topology"]["edges"]
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[" * 100_000,
        b'{"traces":7}',
        b'{"traces":[' + b"7," * 1_000_000 + b"7]}",
        b'{"traces":[{"traceID":"../../config","startTimeUnixNano":"1"}]}',
        b"x" * BODY_BYTES_MAX,
    ],
)
def test_a_search_that_answers_nonsense_is_counted(tmp_path: Path, body: bytes) -> None:
    rest = InProcess(Tempo())
    rest.crooked["/api/search"] = (200, body)
    outcome = beset(tmp_path, Trouble(traces=tempo_in_process(rest)))
    unharmed(outcome)
    status = outcome.status["calls"]
    assert (status["known"], status["failures_total"]) == (0, 1)
    assert status["last_error"].startswith("trace_archive: an answer in no known form")
    assert all(each.startswith("/api/search?") for each in rest.asked)
