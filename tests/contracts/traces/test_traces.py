"""What an archive of traces finds and shows.

There is no real Tempo in the lab: the suite runs on the simulated one alone, in this process and over HTTP, through
the product's own client. Its wire form is that of the published API documentation (grafana.com/docs/tempo, "Tempo HTTP API", and the
OTLP specification), and of what users tell of it: ids in base64, zeros at the beginning of an id left out.
"""

import datetime as dt
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass

import pytest

from opsagent.clients.archive_query import Address
from opsagent.clients.tempo import TempoArchive
from opsagent.model.entity import Kind
from opsagent.model.trace import FoundTrace, Origin, Span, TraceAnswer, TraceSearch
from opsagent.ports import NotFound, Terminal, TraceArchive
from opsagent.sim.archive_server import archive_serving
from opsagent.sim.tempo import SimSpan, Tempo
from tests.fakes.archives import InProcess, tempo_in_process
from tests.fakes.hostile import MARKUP, STEERING
from tests.fakes.virtual_time import EPOCH

HOUR = dt.timedelta(hours=1)
TENANT = "ops"


@dataclass
class World:
    """An archive as one tenant sees it, and as another does."""

    client: TraceArchive
    stranger: TraceArchive
    tempo: Tempo

    def put(self, trace: int, span: int, service: str = "cart", **more: object) -> None:
        whole = {
            "name": "GET /cart",
            "at": EPOCH + dt.timedelta(seconds=trace),
            "duration": dt.timedelta(milliseconds=250),
        }
        ids = (f"{trace:032x}", f"{span:016x}")
        self.tempo.put(SimSpan(*ids, service, **(whole | more)), TENANT)

    async def found(self, service: str = "cart", **more: object) -> list[int]:
        answer = await self.answer(service, **more)
        return [int(each.trace_id, 16) for each in answer.traces]

    async def answer(self, service: str = "cart", **more: object) -> TraceAnswer:
        return await self.client.search(search(service, **more))


def search(service: str = "cart", **more: object) -> TraceSearch:
    return TraceSearch(**({"service": service, "start": EPOCH, "end": EPOCH + HOUR} | more))


Place = Callable[[], AbstractAsyncContextManager[World]]


@asynccontextmanager
async def over_http() -> AsyncIterator[World]:
    tempo = Tempo()
    async with archive_serving(tempo) as url:
        mine, other = TempoArchive(Address(url, TENANT)), TempoArchive(Address(url, "others"))
        async with aclosing(mine), aclosing(other):
            yield World(mine, other, tempo)


@asynccontextmanager
async def in_process() -> AsyncIterator[World]:
    tempo = Tempo()
    mine, other = (tempo_in_process(InProcess(tempo, name)) for name in (TENANT, "others"))
    async with aclosing(mine), aclosing(other):
        yield World(mine, other, tempo)


@pytest.fixture(params=[in_process, over_http])
def world(request: pytest.FixtureRequest) -> Place:
    place: Place = request.param
    return place


async def test_traces_of_a_service_come_newest_first(world: Place) -> None:
    async with world() as w:
        w.put(1, 1, "front", name="GET /")
        w.put(1, 2, parent_id=f"{1:016x}")
        w.put(9, 1, "front")
        w.put(5, 1)
        answer = await w.answer()
        assert [int(each.trace_id, 16) for each in answer.traces] == [5, 1]
        assert answer.traces[1] == FoundTrace(
            f"{1:032x}",
            "front",
            "GET /",
            EPOCH + dt.timedelta(seconds=1),
            dt.timedelta(milliseconds=250),
        )
        assert not answer.is_partial
        assert await w.answer("ghost") == TraceAnswer()


async def test_errors_and_slow_ones_are_told_apart_by_the_span_of_the_service_itself(
    world: Place,
) -> None:
    slow = dt.timedelta(seconds=2)
    async with world() as w:
        w.put(1, 1, is_error=True)
        w.put(2, 1, duration=slow)
        w.put(3, 1, is_error=True, duration=slow)
        w.put(4, 1)
        w.put(4, 2, "stock", is_error=True, duration=slow)
        assert await w.found(is_error=True) == [3, 1]
        assert await w.found(duration_min=slow) == [3, 2]
        assert await w.found(duration_min=slow, is_error=True) == [3]
        assert await w.found(duration_min=slow + dt.timedelta(milliseconds=1)) == []


async def test_the_span_of_time_is_taken_in_whole_seconds_and_none_is_left_out(
    world: Place,
) -> None:
    async with world() as w:
        w.put(10, 1)
        for offset, is_found in ((9.5, True), (10, True), (11, False)):
            start = EPOCH + dt.timedelta(seconds=offset)
            assert (await w.found(start=start) == [10]) is is_found
        for offset, is_found in ((10, False), (10.2, True)):
            end = EPOCH + dt.timedelta(seconds=offset)
            assert (await w.found(end=end) == [10]) is is_found


async def test_calls_are_told_by_a_span_that_answers_one_of_another_process(world: Place) -> None:
    async with world() as w:
        call = {"parent_id": f"{1:016x}", "kind": "server"}
        w.put(1, 1, "front", kind="client")
        w.put(1, 2, "cart", **call)
        w.put(2, 1, "front", kind="producer")
        w.put(2, 2, "stock", **(call | {"kind": "consumer"}))
        w.put(3, 1, "cart")  # a server that calls nobody
        w.put(4, 1, "front", kind="internal")
        w.put(4, 2, "cart", **call)
        w.put(5, 2, "cart", **call)  # its parent was not brought
        assert await w.found("", is_call=True) == [2, 1]
        assert await w.found("stock", is_call=True) == [2]
        assert await w.found("front", is_call=True) == []
        assert await w.found("", is_call=True, is_error=True) == []
        assert (await w.answer("", is_call=True, traces_max=1)).is_partial


async def test_a_span_says_whose_it_is_in_the_words_of_kubernetes(world: Place) -> None:
    said = {
        "k8s.pod.name": "cart-5d-x",
        "service.namespace": "web",
        "k8s.namespace.name": "shop",
        "host.name": "node-1",
        "k8s.deployment.name": "cart",
    }
    async with world() as w:
        w.put(1, 1, resource=said)
        w.put(1, 2, "db", resource={"k8s.pod.name": "token=abc123"})
        first, second = (await w.client.trace("1")).spans
    named = ((Kind.DEPLOYMENT, "cart"), (Kind.POD, "cart-5d-x"))
    assert first.origin == Origin("cart", "web", "shop", named)
    assert second.origin == Origin("db", named=((Kind.POD, "token=[redacted]"),))


async def test_of_too_many_it_is_said_and_so_it_is_of_a_search_that_ended_early(
    world: Place,
) -> None:
    async with world() as w:
        for number in range(5):
            w.put(number + 1, 1)
        answer = await w.answer(traces_max=3)
        assert len(answer.traces) == 3
        assert answer.warnings == ("there are more traces than these 3",)
        assert not (await w.answer(traces_max=5)).is_partial
        w.tempo.jobs_missing = 2
        answer = await w.answer(traces_max=5)
        assert answer.warnings == ("the search ended before all of the store was seen",)


async def test_a_trace_is_shown_with_its_spans_earliest_first(world: Place) -> None:
    later = EPOCH + dt.timedelta(seconds=1.1)
    async with world() as w:
        w.put(
            1,
            2,
            "stock",
            name="SELECT",
            at=later,
            parent_id=f"{1:016x}",
            is_error=True,
            message="no connection",
            attributes={"db.system": "postgresql", "db.response.rows": 0},
            exception={"exception.type": "TimeoutError"},
        )
        w.put(1, 1)
        for name in ("1", f"{1:032X}"):
            trace = await w.client.trace(name)
            assert trace.trace_id == f"{1:032x}"
            assert not trace.is_partial
            first, second = trace.spans
            assert (first.span_id, first.parent_id, first.kind) == (f"{1:016x}", "", "server")
            assert second == Span(
                span_id=f"{2:016x}",
                parent_id=f"{1:016x}",
                origin=Origin("stock"),
                name="SELECT",
                kind="client",
                started_at=later,
                duration=dt.timedelta(milliseconds=250),
                is_error=True,
                message="no connection",
                attributes=(
                    "exception.type=TimeoutError",
                    "db.system=postgresql",
                    "db.response.rows=0",
                ),
            )


async def test_of_too_many_spans_those_that_failed_and_the_earliest_are_shown(world: Place) -> None:
    async with world() as w:
        for number in range(600):
            at = EPOCH + dt.timedelta(seconds=number)
            w.put(1, number + 1, at=at, is_error=number == 599)
        trace = await w.client.trace("1")
        assert len(trace.spans) == 500
        assert trace.warnings == ("500 of its 600 spans: those that failed, then the earliest",)
        assert [int(each.span_id, 16) for each in trace.spans] == [*range(1, 500), 600]


async def test_secrets_do_not_come_out(world: Place) -> None:
    secrets = {
        "http.request.header.authorization": "Basic for everybody",
        "db.password": "two words",
        "url.full": "https://bob:hunter2@db/x",
    }
    async with world() as w:
        w.put(1, 1, name="GET /?token=abc123", attributes=secrets, message="x", is_error=True)
        (span,) = (await w.client.trace("1")).spans
        (found,) = (await w.answer()).traces
    assert span.name == found.name == "GET /?token=[redacted]"
    assert span.attributes == (
        "http.request.header.authorization=[redacted]",
        "db.password=[redacted]",
        "url.full=https://[redacted]@db/x",
    )


async def test_a_tenant_sees_only_what_is_its_own(world: Place) -> None:
    async with world() as w:
        w.put(1, 1)
        assert await w.stranger.search(search()) == TraceAnswer()
        with pytest.raises(NotFound, match="trace_archive: no trace 1"):
            await w.stranger.trace("1")


async def test_no_service_is_read_as_anything_but_a_name(world: Place) -> None:
    names = ['x" || true || "', '" } || { status = error', "a\\", "*", "new\nline"]
    names += [text for text in (*MARKUP, *STEERING) if len(text) <= 100 and "\ud800" not in text]
    async with world() as w:
        for number, name in enumerate(names, 1):
            w.put(number, 1, name)
        for number, name in enumerate(names, 1):
            assert await w.found(name) == [number]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"end": EPOCH}, "more than nothing"),
        ({"end": EPOCH + dt.timedelta(days=8)}, "up to 7 days"),
        ({"traces_max": 0}, "traces_max"),
        ({"traces_max": 101}, "traces_max"),
        ({"service": ""}, "service"),
        ({"service": "x" * 201}, "service"),
        ({"service": "\ud800"}, "surrogate"),
    ],
)
async def test_a_search_that_makes_no_sense_never_reaches_the_archive(
    world: Place, more: dict[str, object], said: str
) -> None:
    async with world() as w:
        with pytest.raises(Terminal, match=said):
            await w.answer(**more)


@pytest.mark.parametrize("name", ["", "x", "../../config", "1/2", "1?q=x", "0" * 33, "\u0661"])
async def test_what_is_no_id_never_reaches_the_archive(world: Place, name: str) -> None:
    async with world() as w:
        with pytest.raises(Terminal, match="hexadecimal"):
            await w.client.trace(name)
