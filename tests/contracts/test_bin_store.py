"""What every store of bins promises: the same suite runs on the file and on the fake in memory."""

import datetime as dt
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

import numpy as np
import pytest
import pytest_asyncio

from opsagent.model.series import Selection
from opsagent.ports import BinStore
from opsagent.store.series import BINS_MAX, SeriesStore
from tests.fakes.bin_store import MemoryBins
from tests.fakes.bins import WIDTH_MS, bin_of, bits, label, odd_bin

UP, MEMORY, CPU = Selection.TARGETS_UP, Selection.CONTAINER_MEMORY, Selection.CONTAINER_CPU
A, B = label("a"), label("b", pod="web-0")
EVER = 2**62


class Home(Protocol):
    """A place where a store's state survives its process."""

    async def start(self) -> BinStore: ...


class FileHome:
    def __init__(self, folder: Path) -> None:
        self._path = folder / "series.db"

    async def start(self) -> BinStore:
        return await SeriesStore.open(self._path)


class MemoryHome:
    def __init__(self) -> None:
        self._store = MemoryBins()

    async def start(self) -> BinStore:
        return self._store


@pytest.fixture(params=["file", "memory"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Home:
    return FileHome(tmp_path) if request.param == "file" else MemoryHome()


@pytest_asyncio.fixture
async def store(home: Home) -> AsyncIterator[BinStore]:
    opened = await home.start()
    yield opened
    await opened.aclose()


async def starts(store: BinStore, selection: Selection, start: int = 0, end: int = EVER) -> list[int]:  # fmt: skip
    """Return which bins there are, by their number."""
    found = await store.bins(selection, start, end)
    return [each.start_ms // WIDTH_MS for each in found]


async def test_a_new_store_is_empty(store: BinStore) -> None:
    assert await store.bins(UP, 0, EVER) == ()
    assert await store.ends() == {}
    assert await store.retain(dt.datetime.max.replace(tzinfo=dt.UTC)) == 0
    assert await store.counts() == {"bins": 0, "bytes": 0}


async def test_bins_come_back_oldest_first_and_those_of_one_selection_alone(
    store: BinStore,
) -> None:
    for number in (7, 5, 6):
        await store.keep(UP, bin_of(number, A, B))
    await store.keep(MEMORY, bin_of(6, B))
    assert await starts(store, UP) == [5, 6, 7]
    assert await starts(store, MEMORY) == [6]
    assert await starts(store, CPU) == []


async def test_a_bin_is_asked_for_by_its_beginning_and_the_end_is_not_part_of_it(
    store: BinStore,
) -> None:
    for number in range(4):
        await store.keep(UP, bin_of(number, A))
    assert await starts(store, UP, WIDTH_MS, 3 * WIDTH_MS) == [1, 2]
    assert await starts(store, UP, WIDTH_MS + 1, 3 * WIDTH_MS + 1) == [2, 3]
    assert await starts(store, UP, 3 * WIDTH_MS, 0) == []


async def test_a_question_has_a_bound(store: BinStore) -> None:
    for number in range(BINS_MAX + 3):
        await store.keep(UP, bin_of(number, A))
    assert await starts(store, UP) == list(range(BINS_MAX))
    assert await starts(store, UP, WIDTH_MS) == list(range(1, BINS_MAX + 1))


async def test_every_number_comes_back_bit_by_bit_also_after_a_restart(home: Home) -> None:
    many = [label("m", pod=f"web-{n}", note="\N{SNOWMAN}\0\n'; --") for n in range(300)]
    given = [odd_bin(3), bin_of(4, A), bin_of(5, A, B), bin_of(6, *many, seed=1)]
    store = await home.start()
    for told in given:
        await store.keep(CPU, told)
    for _ in range(2):
        found = await store.bins(CPU, 0, EVER)
        assert [bits(each) for each in found] == [bits(each) for each in given]
        assert [each.count.dtype for each in found] == [np.int64] * 4
        assert {each.last.dtype for each in found} == {np.dtype(np.float64)}
        await store.aclose()
        store = await home.start()
    await store.aclose()


async def test_a_bin_of_nothing_is_one(store: BinStore) -> None:
    await store.keep(UP, bin_of(1))
    assert [bits(each) for each in await store.bins(UP, 0, EVER)] == [bits(bin_of(1))]


async def test_a_bin_that_is_told_again_takes_the_place_of_the_first(store: BinStore) -> None:
    await store.keep(UP, bin_of(1, A, B))
    await store.keep(UP, bin_of(2, A, B))
    await store.keep(UP, bin_of(1, B, seed=9))
    first, second = await store.bins(UP, 0, EVER)
    assert bits(first) == bits(bin_of(1, B, seed=9))
    assert bits(second) == bits(bin_of(2, A, B))
    assert (await store.counts())["bins"] == 2


async def test_where_a_selection_ends_is_the_end_of_its_newest_bin(home: Home) -> None:
    store = await home.start()
    for number in (2, 9, 4):
        await store.keep(UP, bin_of(number, A))
    await store.keep(MEMORY, bin_of(3, A))
    await store.aclose()
    store = await home.start()
    assert await store.ends() == {UP: 10 * WIDTH_MS, MEMORY: 4 * WIDTH_MS}
    await store.aclose()


async def test_retention_deletes_what_begins_before_and_nothing_else(store: BinStore) -> None:
    for number in range(4):
        await store.keep(UP, bin_of(number, A))
        await store.keep(MEMORY, bin_of(number, B))
    second = dt.datetime.fromtimestamp(2 * WIDTH_MS / 1000, dt.UTC)
    assert await store.retain(second - dt.timedelta(milliseconds=1)) == 4
    assert await store.retain(second) == 0
    assert await starts(store, UP) == await starts(store, MEMORY) == [2, 3]
    assert [bits(each) for each in await store.bins(UP, 0, EVER)] == [bits(bin_of(n, A)) for n in (2, 3)]  # fmt: skip
    assert await store.ends() == {UP: 4 * WIDTH_MS, MEMORY: 4 * WIDTH_MS}


async def test_counts_say_what_is_there(store: BinStore) -> None:
    await store.keep(UP, bin_of(1, A))
    small = await store.counts()
    assert small["bins"] == 1
    await store.keep(UP, bin_of(2, *(label("m", pod=str(n)) for n in range(500))))
    counts = await store.counts()
    assert counts["bins"] == 2
    assert (
        counts["bytes"] > small["bytes"] + 500 * 5 * 4
    )  # numbers of any bits cannot be made small
