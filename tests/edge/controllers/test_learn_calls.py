"""Calls are learnt from a bounded sample of traces each few minutes; an archive that fails is counted and shown."""

import asyncio
import datetime as dt
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from opsagent.controllers.learn_calls import ADVICE, TRACES_MAX, LearnCalls
from opsagent.model.entity import Entity, Kind
from opsagent.ports import Terminal, Transient
from opsagent.signals.calls import Call, KnownCalls
from opsagent.signals.inventory import Inventory
from opsagent.sim.tempo import SimSpan, Tempo
from tests.fakes.archives import InProcess, tempo_in_process
from tests.fakes.beset import SteppingClock
from tests.fakes.chance import MiddleChance
from tests.fakes.joined_shop import SHOP
from tests.fakes.objects import row
from tests.fakes.virtual_time import EPOCH, run

WEB, CART = (Entity(Kind.DEPLOYMENT, "shop", name) for name in ("web", "cart"))
HEALTHY = {
    "unmapped_total": 0,
    "dropped_total": 0,
    "partial_total": 0,
    "failures_total": 0,
    "last_error": "",
}


class Here:
    """A Tempo in this process, and who learns from it."""

    def __init__(self) -> None:
        self.tempo = Tempo()
        self.rest = InProcess(self.tempo)
        self.clock = SteppingClock()
        self.is_ready = True
        self.told: list[Sequence[Call]] = []
        inventory = Inventory()
        for number, item in enumerate(SHOP, 1):
            inventory.apply(row(number, item))
        self.learning = LearnCalls(
            tempo_in_process(self.rest),
            KnownCalls(inventory),
            self.told.append,
            clock=self.clock,
            chance=MiddleChance(),
            is_ready=lambda: self.is_ready,
        )

    def put(self, trace: int, caller: str, callee: str, second: float = 0.0) -> None:
        at = EPOCH + dt.timedelta(seconds=second)
        for number, name in enumerate((caller, callee), 1):
            span = SimSpan(
                f"{trace:032x}",
                f"{number:016x}",
                name,
                "GET /",
                at,
                dt.timedelta(seconds=1),
                parent_id=f"{number - 1:016x}" if number > 1 else "",
                kind="client" if number == 1 else "server",
            )
            self.tempo.put(span)

    def periods(self) -> list[tuple[int, int]]:
        """Return which seconds were asked for, counted from EPOCH."""
        queries = [parse_qs(urlsplit(each).query) for each in self.rest.asked]
        begin = round(EPOCH.timestamp())
        return [(int(q["start"][0]) - begin, int(q["end"][0]) - begin) for q in queries if "q" in q]

    async def status(self, seconds: float) -> dict[str, Any]:
        """Let so much time pass, then return what status says."""
        running = asyncio.ensure_future(self.learning.run())
        await asyncio.sleep(seconds)
        running.cancel()
        return self.learning.status()


def watched(here: Here, seconds: float) -> dict[str, Any]:
    return run(here.status(seconds))


def test_what_recent_traces_say_is_told_after_each_look() -> None:
    here = Here()
    here.put(1, "web", "cart")
    assert watched(here, 29) == HEALTHY | {"known": 0, "lag_seconds": None, "traces_total": 0}
    here = Here()
    here.put(1, "web", "cart")
    here.put(2, "web", "cart", 100)
    assert watched(here, 340) == HEALTHY | {"known": 1, "lag_seconds": 10, "traces_total": 3}
    assert [tuple(each) for each in here.told] == [((WEB, CART),)] * 2


def test_each_look_goes_on_where_the_last_one_ended_but_for_spans_that_come_late() -> None:
    here = Here()
    watched(here, 931)
    assert here.periods() == [(30 - 3600, 30), (-30, 330), (270, 630), (570, 930)]


def test_it_waits_until_the_inventory_is_listed() -> None:
    here = Here()
    here.is_ready = False

    async def scene() -> None:
        async with asyncio.TaskGroup() as group:
            running = group.create_task(here.learning.run())
            await asyncio.sleep(100)
            assert here.rest.asked == []
            here.is_ready = True
            await asyncio.sleep(30)
            assert len(here.periods()) == 1
            running.cancel()

    run(scene())


def test_a_look_reads_a_bounded_number_of_traces() -> None:
    here = Here()
    for number in range(1, 200):
        here.put(number, "web", "cart")
    status = watched(here, 60)
    assert status["traces_total"] == TRACES_MAX
    assert len(here.rest.asked) == TRACES_MAX + 1


@pytest.mark.parametrize(
    "failure", [Transient("trace_archive: ConnectError"), Terminal("trace_archive: 401")]
)
def test_an_archive_that_fails_is_counted_and_shown_and_what_was_missed_is_asked_for(
    failure: Exception,
) -> None:
    here = Here()

    async def scene() -> None:
        here.put(1, "web", "cart", 200)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(here.learning.run())
            await asyncio.sleep(100)
            here.rest.failure = failure
            await asyncio.sleep(600)
            status = here.learning.status()
            assert (status["failures_total"], status["last_error"]) == (2, str(failure))
            assert (status["advice"], status["lag_seconds"]) == (ADVICE, 670)
            here.rest.failure = None
            await asyncio.sleep(300)
            status = here.learning.status()
            assert "advice" not in status
            assert (status["failures_total"], status["last_error"], status["known"]) == (2, "", 1)
            running.cancel()

    run(scene())
    assert here.periods()[-1] == (-30, 930)


def test_a_trace_that_cannot_be_read_costs_itself_alone() -> None:
    here = Here()
    here.put(1, "web", "cart")
    here.put(2, "cart", "web")
    here.rest.crooked[f"/api/traces/{2:032x}"] = (200, b'{"batches":"none"}')
    status = watched(here, 60)
    assert (status["known"], status["failures_total"], status["last_error"]) == (1, 1, "")


def test_when_none_can_be_read_it_is_said() -> None:
    here = Here()
    here.put(1, "web", "cart")
    here.rest.crooked["/api/traces/"] = (403, b"")
    assert watched(here, 60)["last_error"] == "trace_archive: 403"


@pytest.mark.parametrize("days", [-3650, -1, 1, 3650])
def test_a_clock_that_is_set_costs_no_look(days: int) -> None:
    here = Here()

    async def scene() -> None:
        async with asyncio.TaskGroup() as group:
            running = group.create_task(here.learning.run())
            await asyncio.sleep(100)
            here.clock.step = dt.timedelta(days=days)
            await asyncio.sleep(300)
            here.clock.step = dt.timedelta(0)
            await asyncio.sleep(300)
            assert here.learning.status()["failures_total"] == 0
            running.cancel()

    run(scene())
    assert len(here.periods()) == 3
