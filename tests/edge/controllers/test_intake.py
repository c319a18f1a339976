"""The way in for reported alerts: it says yes when they are stored, and "later" whenever they cannot be."""

import asyncio

import pytest

from opsagent.clients.alertmanager_wire import reported
from opsagent.controllers.intake import COMMIT_SECONDS_MAX, Intake
from opsagent.ports import Terminal, Transient
from tests.edge.controllers.test_fold import Bench, ClockAtT0, FullDisk
from tests.fakes.objects import healthy, rows
from tests.fakes.virtual_time import run
from tests.fakes.webhooks import body, told

ALERTS = reported(body(told(deployment="web")))
ROWS = [(row.at, row.type, row.kind, row.item) for row in rows(healthy())]


def intake() -> Intake:
    return Intake(ClockAtT0().now)


def test_without_a_term_it_says_later():
    async def main() -> None:
        one, bench = intake(), Bench()
        with pytest.raises(Transient, match="does not lead"):
            await one.take(ALERTS)
        one.begin(bench.pipeline, bench.fold)
        with pytest.raises(Transient, match="not complete"):
            await one.take(ALERTS)
        one.end()
        with pytest.raises(Transient, match="does not lead"):
            await one.take(ALERTS)
        assert one.heard_at is None

    run(main())


def test_yes_means_stored():
    async def main() -> None:
        one, bench = intake(), Bench()
        one.begin(bench.pipeline, bench.fold)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(bench.fold.run())
            await bench.list_all(healthy())
            await asyncio.sleep(1)
            await one.take(ALERTS)
            (incident,) = await bench.store.incidents()
            assert incident.title == "shop/web: KubePodCrashLooping"
            await one.take(ALERTS)
            assert one.taken_total == 2
            assert one.heard_at == ClockAtT0().now()
            running.cancel()

    run(main())


def test_a_fold_that_is_behind_says_later_and_loses_nothing():
    async def main() -> None:
        one, bench = intake(), Bench()
        for row in ROWS:
            bench.pipeline.observe(*row)
        one.begin(bench.pipeline, bench.fold)
        began = asyncio.get_running_loop().time()
        with pytest.raises(Transient, match="in time"):
            await one.take(ALERTS)
        assert asyncio.get_running_loop().time() - began == COMMIT_SECONDS_MAX
        async with asyncio.TaskGroup() as group:
            running = group.create_task(bench.fold.run())
            await one.take(ALERTS)
            assert len(await bench.store.incidents()) == 1
            running.cancel()

    run(main())


def test_what_cannot_be_stored_is_not_taken():
    async def main() -> None:
        one, bench = intake(), Bench(FullDisk())
        for row in ROWS:
            bench.pipeline.observe(*row)
        one.begin(bench.pipeline, bench.fold)
        with pytest.raises(Terminal, match="disk full"):
            await both(bench, one)
        assert one.taken_total == 0

    async def both(bench: Bench, one: Intake) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(bench.fold.run())
                group.create_task(one.take(ALERTS))
        except* Terminal as failed:
            raise failed.exceptions[0] from None

    run(main())
