"""The daemon follows measures by itself, keeps what they come to, goes on after a restart, and goes on without them."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from opsagent.controllers.report import Report
from opsagent.model.series import Bin, Selection
from opsagent.ports import Transient
from opsagent.settings import LeaseSettings, MetricsSettings
from opsagent.store.series import SeriesStore
from tests.fakes.bins import WIDTH_MS, bin_of, bits, label
from tests.fakes.measured_shop import MeasuredShop, measured_shop
from tests.fakes.virtual_time import EPOCH, run

UP, MEMORY = Selection.TARGETS_UP, Selection.CONTAINER_MEMORY
THROTTLING = Selection.CONTAINER_THROTTLING
EPOCH_MS = round(EPOCH.timestamp() * 1000)
SCRAPES = 40  # of one bin
MINUTE, DAY = 60.0, 86_400.0
EVER = 2**62

Scene = Callable[[MeasuredShop], Awaitable[None]]


def played(scene: Scene) -> None:
    async def main() -> None:
        async with measured_shop() as here:
            await scene(here)

    run(main())


async def series_status(report: Report) -> dict[str, Any]:
    status: Any = (await report.status())["series"]
    return status


async def kept(state: Path) -> Mapping[Selection, tuple[Bin, ...]]:
    """Return all bins that a daemon has left."""
    store = await SeriesStore.open(state / "series.db")
    try:
        return {each: await store.bins(each, 0, EVER) for each in Selection}
    finally:
        await store.aclose()


def numbers(bins: tuple[Bin, ...]) -> list[int]:
    """Return which ten minutes they are of, counted from the beginning."""
    return [(each.start_ms - EPOCH_MS) // WIDTH_MS for each in bins]


def same(one: Mapping[Selection, tuple[Bin, ...]], other: Mapping[Selection, tuple[Bin, ...]]) -> bool:  # fmt: skip
    return all([*map(bits, one[each])] == [*map(bits, other[each])] for each in Selection)


def test_all_selections_are_followed_and_what_they_come_to_is_kept(tmp_path: Path) -> None:
    async def scene(here: MeasuredShop) -> None:
        async with here.daemon(tmp_path) as report:
            await asyncio.sleep(71 * MINUTE)
            status = await series_status(report)
            assert not (await report.status())["restarts"]
        found = await kept(tmp_path)
        for selection in Selection:
            # Nobody has a limit that holds him back.
            whole = [] if selection is THROTTLING else [0, 1, 2, 3, 4, 5]
            assert numbers(found[selection]) == whole, selection
        assert {tuple(each.count.tolist()) for each in found[UP]} == {(SCRAPES,) * len(found[UP][0].labels)}  # fmt: skip
        assert {value for each in found[UP] for value in each.min.tolist()} == {1.0}
        assert [
            after.last.sum() > before.last.sum()
            for before, after in pairwise(found[Selection.CONTAINER_CPU])
        ] == [True] * 5
        windows = status["kept"].pop("windows")
        selections = status.pop("selections")
        assert selections.keys() == {each.value for each in Selection}
        assert windows.keys() == selections.keys() - {THROTTLING.value}
        assert windows["targets_up"]["series"] == len(found[UP][0].labels)
        assert selections["targets_up"].pop("lag_seconds") <= 600
        assert selections["targets_up"] == {"is_sampled": True, "last_error": ""}
        assert status["kept"] == {
            "bins_total": 6 * len(windows),
            "lost_total": 0,
            "failures_total": 0,
            "last_error": "",
        }
        assert status["questions_total"] == len(here.series.asked)
        assert status["samples_total"] == sum(each["samples_total"] for each in windows.values())
        assert status["failures_total"] == status["partial_total"] == 0
        assert "advice" not in status

    played(scene)


@pytest.mark.parametrize("has_remote_read", [True, False])
def test_a_restart_goes_on_without_a_gap_and_without_telling_anything_twice(
    tmp_path: Path, has_remote_read: bool
) -> None:
    async def scene(here: MeasuredShop) -> None:
        here.prometheus.has_remote_read = has_remote_read
        told = 0
        other = {"lease": LeaseSettings(name="another")}
        async with here.daemon(tmp_path / "whole", other):
            for seconds in (34 * MINUTE, 3 * MINUTE, 58 * MINUTE):
                async with here.daemon(tmp_path / "parts") as report:
                    await asyncio.sleep(seconds)
                    status = await series_status(report)
                    told += status["kept"]["bins_total"]
                    assert status["kept"]["lost_total"] == 0
                    is_sampled = status["selections"]["targets_up"]["is_sampled"]
                    assert is_sampled is has_remote_read
                await asyncio.sleep(7 * MINUTE)  # nobody is there
        parts, whole = await kept(tmp_path / "parts"), await kept(tmp_path / "whole")
        assert sum(map(len, parts.values())) == told
        for selection in set(Selection) - {THROTTLING}:
            found = numbers(parts[selection])
            assert found == list(range(found[0], found[0] + len(found))), selection
            assert len(found) >= 8
        lengths = {each: len(parts[each]) for each in Selection}
        assert same(parts, {each: whole[each][: lengths[each]] for each in Selection})

    played(scene)


def test_what_is_older_than_the_retention_is_dropped(tmp_path: Path) -> None:
    async def scene(here: MeasuredShop) -> None:
        store = await SeriesStore.open(tmp_path / "series.db")
        newest = EPOCH_MS // WIDTH_MS - 1
        day = round(DAY * 1000) // WIDTH_MS
        for days in (3, 2):
            for number in (newest - days * day, newest - days * day + 20):
                await store.keep(MEMORY, bin_of(number, label("m")))
        await store.aclose()
        section = MetricsSettings(url="http://in.this.process", retention_days=2)
        async with here.daemon(tmp_path, {"metrics": section}):
            await asyncio.sleep(61 * MINUTE)
        found = numbers((await kept(tmp_path))[MEMORY])
        assert found[0] == -2 * day + 19
        assert found[1:] == list(range(len(found) - 1))

    played(scene)


def test_a_source_that_fails_costs_the_numbers_alone_and_is_caught_up_with(tmp_path: Path) -> None:
    async def scene(here: MeasuredShop) -> None:
        failure = Transient("metrics: ConnectionRefusedError")
        async with here.daemon(tmp_path) as report:
            await asyncio.sleep(15 * MINUTE)
            here.series.always |= {MEMORY: failure}
            await here.break_web()
            await asyncio.sleep(30 * MINUTE)
            status = await series_status(report)
            selections = status["selections"]
            failing = {name for name, each in selections.items() if each["last_error"]}
            assert failing == {MEMORY.value}
            assert selections[MEMORY.value]["last_error"] == f"Transient: {failure}"
            assert selections[MEMORY.value]["lag_seconds"] > 20 * MINUTE
            assert selections[UP.value]["lag_seconds"] <= 10 * MINUTE
            assert status["advice"].startswith("check the metrics section")
            assert status["kept"]["last_error"] == ""
            whole = await report.status()
            assert whole["incidents_open"] == 1
            assert not whole["restarts"]
            here.series.always.clear()
            await asyncio.sleep(36 * MINUTE)
            status = await series_status(report)
            assert "advice" not in status
            assert status["skipped_seconds_total"] == 0
        found = await kept(tmp_path)
        assert numbers(found[MEMORY]) == numbers(found[UP]) == [0, 1, 2, 3, 4, 5, 6]

    played(scene)


@pytest.mark.parametrize("content", [b"this is not a database, it is a letter" * 1000, None])
def test_a_file_that_cannot_be_opened_costs_the_numbers_alone_and_is_told(
    tmp_path: Path, content: bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "series.db"
    path.mkdir() if content is None else path.write_bytes(content)

    async def scene(here: MeasuredShop) -> None:
        async with here.daemon(tmp_path) as report:
            await asyncio.sleep(MINUTE)
            await here.break_web()
            await asyncio.sleep(10 * MINUTE)
            status = await report.status()
            assert str(status["series"]).startswith(f"not followed: {path}: ")
            assert status["incidents_open"] == 1
            assert here.series.asked == []

    played(scene)
    assert "series.not_followed" in capsys.readouterr().out
    assert content is None or path.read_bytes() == content


def test_without_a_metrics_section_nothing_is_followed(
    tmp_path: Path,
) -> None:
    async def scene(here: MeasuredShop) -> None:
        async with here.daemon(
            tmp_path / "none",
            {"metrics": None},
        ) as report:
            await asyncio.sleep(MINUTE)
            assert (await report.status())["series"] == "not followed"
        assert here.series.asked == []

    played(scene)
