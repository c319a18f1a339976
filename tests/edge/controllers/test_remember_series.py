"""Samples become bins, bins are kept, a restart goes on where they end; a store that fails loses some, counted."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

import pytest
from structlog.testing import capture_logs

from opsagent.controllers.remember_series import MILLISECOND, RememberSeries
from opsagent.model.series import Bin, Selection, SeriesBlock, block_of
from opsagent.ports import Terminal, Transient, Unwritable
from tests.fakes.bin_store import MemoryBins
from tests.fakes.bins import WIDTH_MS, bin_of, bits, label
from tests.fakes.virtual_time import EPOCH

UP, MEMORY = Selection.TARGETS_UP, Selection.CONTAINER_MEMORY
A = label("up", job="a")
SCRAPE_MS = 30_000
BEGIN = round(EPOCH.timestamp() * 1000) // WIDTH_MS  # number of the bin that begins at EPOCH
HOUR = dt.timedelta(hours=1)
KEEPING = dt.timedelta(days=7)
FULL = "/state/series.db: the disk is full"


class Disk(MemoryBins):
    """A store that fails as it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.trouble: Exception | None = None

    async def keep(self, selection: Selection, told: Bin) -> None:
        self._check()
        await super().keep(selection, told)

    async def ends(self) -> Mapping[Selection, int]:
        self._check()
        return await super().ends()

    async def retain(self, oldest: dt.datetime) -> int:
        self._check()
        return await super().retain(oldest)

    def _check(self) -> None:
        if self.trouble is not None:
            raise self.trouble

    def numbers(self, selection: Selection = UP) -> list[int]:
        """Return which bins are kept, EPOCH's being 0."""
        return sorted(at // WIDTH_MS - BEGIN for each, at in self.kept if each is selection)


class Wall:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.minutes = 0.0

    def now(self) -> dt.datetime:
        return EPOCH + dt.timedelta(minutes=self.minutes)

    def monotonic(self) -> float:
        return self.minutes * 60


class Life:
    """One life of the process on ``disk``."""

    def __init__(self, disk: Disk, clock: Wall) -> None:
        self.clock = clock
        self.remember = RememberSeries(disk, clock, KEEPING)

    async def scraped(self, start: float, end: float, selection: Selection = UP) -> None:
        """Take the samples from minute ``start`` to before ``end``, at minute ``end``."""
        self.clock.minutes = max(self.clock.minutes, end)
        await self.remember.take(selection, samples(start, end), self.clock.now())


def samples(start: float, end: float) -> SeriesBlock:
    first, last = (round((EPOCH.timestamp() + minute * 60) * 1000) for minute in (start, end))
    stamps = [at for at in range(first, last) if at % SCRAPE_MS == 0]
    return block_of([(A, stamps, [at / SCRAPE_MS % 1000 for at in stamps])] if stamps else [])


def kept(disk: Disk) -> dict[object, object]:
    return {key: bits(told) for key, told in disk.kept.items()}


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def life(disk: Disk) -> Life:
    return Life(disk, Wall())


async def test_stamps_from_the_future_do_not_decide_where_a_window_begins(
    disk: Disk, life: Life
) -> None:
    """A server whose clock is a year ahead, and is set right a moment later."""
    await life.remember.take(UP, samples(600_000, 600_001), life.clock.now())
    await life.scraped(0, 13)
    assert disk.numbers() == [0]
    windows: Any = life.remember.status()["windows"]
    assert windows["targets_up"]["ahead_total"] == 2
    assert windows["targets_up"]["late_total"] == 0


async def test_a_bin_is_kept_once_all_of_it_has_come(disk: Disk, life: Life) -> None:
    await life.scraped(0, 11)
    assert disk.numbers() == []
    await life.scraped(11, 13)
    assert disk.numbers() == [0]
    await life.scraped(0, 23, MEMORY)
    assert (disk.numbers(), disk.numbers(MEMORY)) == ([0], [0, 1])
    (told,) = (told for (each, _), told in disk.kept.items() if each is UP)
    assert told.count.tolist() == [WIDTH_MS // SCRAPE_MS]


async def test_the_first_bin_is_whole_and_nothing_old_is_lost_before_the_first_samples(
    disk: Disk, life: Life
) -> None:
    life.clock.minutes = 200
    await life.remember.take(UP, samples(80, 80), life.clock.now())  # nothing was scraped yet
    await life.scraped(95, 113)
    assert disk.numbers() == [10]
    assert life.remember.status()["windows"] == {
        "targets_up": {
            "series": 1,
            "samples_total": 36,
            "repeats_total": 0,
            "merged_total": 0,
            "late_total": 10,
            "ahead_total": 0,
            "dropped_total": 0,
            "unfinite_total": 0,
            "ended_total": 0,
        }
    }


@pytest.mark.parametrize("failure", [Terminal(FULL), Unwritable(FULL), Transient("locked")])
async def test_a_store_that_fails_loses_bins_counted_and_the_next_ones_are_kept(
    disk: Disk, life: Life, failure: Exception
) -> None:
    await life.scraped(0, 13)
    disk.trouble = failure
    with capture_logs() as logs:
        await life.scraped(13, 43)
        await life.remember.retain()
        status = life.remember.status()
        assert [status[name] for name in ("bins_total", "lost_total", "failures_total")] == [
            1,
            3,
            4,
        ]
        assert status["last_error"] == str(failure)
        disk.trouble = None
        await life.scraped(43, 53)
    assert disk.numbers() == [0, 4]
    status = life.remember.status()
    assert [status[name] for name in ("bins_total", "lost_total", "last_error")] == [2, 3, ""]
    events = [(each["event"], each["log_level"]) for each in logs]
    assert events == [("series.not_kept", "error"), ("series.kept_again", "info")]


async def test_a_restart_goes_on_where_the_bins_end_and_makes_the_same(disk: Disk) -> None:
    whole = Disk()
    await Life(whole, Wall()).scraped(0, 60)
    first = Life(disk, Wall())
    await first.scraped(0, 27)
    assert disk.numbers() == [0, 1]
    second = Life(disk, first.clock)
    assert await second.remember.known(HOUR) == {UP: EPOCH + dt.timedelta(minutes=20) - MILLISECOND}
    await second.scraped(19, 60)
    assert kept(disk) == kept(whole)


async def test_a_bin_that_begins_without_a_sample_is_kept_too(disk: Disk) -> None:
    first = Life(disk, Wall())
    await first.scraped(0, 13)
    second = Life(disk, first.clock)
    await second.remember.known(HOUR)
    await second.scraped(15, 33)
    assert disk.numbers() == [0, 1, 2]


async def test_samples_of_kept_bins_that_come_again_change_nothing(disk: Disk, life: Life) -> None:
    await life.scraped(0, 33)
    before = kept(disk)
    again = Life(disk, life.clock)
    await again.remember.known(HOUR)
    await again.scraped(0, 33)
    assert kept(disk) == before
    assert again.remember.status()["bins_total"] == 0


async def test_after_an_absence_that_cannot_be_read_back_the_first_bin_is_whole(disk: Disk) -> None:
    first = Life(disk, Wall())
    await first.scraped(0, 13)
    first.clock.minutes = 200
    second = Life(disk, first.clock)
    known = await second.remember.known(HOUR)
    assert known == {
        UP: EPOCH + dt.timedelta(minutes=10) - MILLISECOND
    }  # what is skipped is counted
    await second.scraped(144, 175)
    assert disk.numbers() == [0, 15, 16]


async def test_ends_that_are_yet_to_come_are_none(disk: Disk) -> None:
    first = Life(disk, Wall())
    await first.scraped(0, 600)
    second = Life(disk, Wall())  # the clock was set back
    second.clock.minutes = 42
    assert await second.remember.known(HOUR) == {}
    await second.scraped(5, 42)
    assert (
        second.remember.status()["bins_total"] == 2
    )  # told again, they take the place of the first


async def test_a_store_that_cannot_say_where_it_ends_is_begun_anew(disk: Disk, life: Life) -> None:
    await disk.keep(UP, bin_of(BEGIN, A))
    disk.trouble = Terminal(FULL)
    assert await life.remember.known(HOUR) == {}
    assert life.remember.status()["last_error"] == FULL
    assert life.remember.status()["lost_total"] == 0
    disk.trouble = None
    await life.scraped(5, 23)
    assert disk.numbers() == [0, 1]


async def test_retention_is_the_settings_and_its_failure_is_no_end(disk: Disk, life: Life) -> None:
    for number in (0, 1, 2):
        await disk.keep(UP, bin_of(BEGIN + number, A))
    life.clock.minutes = KEEPING / dt.timedelta(minutes=1) + 20
    await life.remember.retain()
    assert disk.numbers() == [2]
    disk.trouble = Transient("/state/series.db: database is locked")
    await life.remember.retain()
    assert life.remember.status()["failures_total"] == 1
