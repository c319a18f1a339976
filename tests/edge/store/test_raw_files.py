"""What only the files of the raw store can get wrong: their number, their size, damage, full disks, other people."""

import asyncio
import os
import random
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
import pytest_asyncio

from opsagent.ports import Terminal
from opsagent.store.raw import RawStore
from opsagent.store.raw_day import NAMES_MAX
from opsagent.store.raw_file import (
    BLOCK_CHARACTERS,
    BLOCK_ROWS,
    RECENT_BLOCKS,
    RECENT_BYTES,
    BlockReader,
)
from tests.edge.store.raw_logs import (
    CART,
    DAY,
    NOW,
    TODAY,
    asked,
    entries,
    names,
    pointer,
    texts,
)
from tests.fakes.virtual_time import run

BLOCKS = "SELECT first, count FROM log_blocks ORDER BY first"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state" / "raw"


@pytest_asyncio.fixture
async def store(folder: Path) -> AsyncIterator[RawStore]:
    opened = await RawStore.open(folder, NOW)
    yield opened
    await opened.aclose()


async def filled(folder: Path, days: int, each: int = 30) -> None:
    """Make a file for each of some days from today on."""
    store = await RawStore.open(folder, NOW)
    for day in range(days):
        await store.append(CART, entries(each, f"day {day} line"), NOW + day * DAY)
    await store.aclose()


async def test_a_day_that_is_over_is_one_plain_file(store: RawStore, folder: Path) -> None:
    await store.append(CART, entries(10), NOW)
    await store.append(CART, entries(10), NOW + DAY)
    assert [name for name in names(folder) if name.startswith(TODAY)] == [f"{TODAY}.db"]
    assert (folder / f"{TODAY}.db").read_bytes()[18:20] == b"\1\1"
    assert await texts(store, [pointer(3)]) == ["line 3"]
    await store.search("line")
    assert [name for name in names(folder) if name.startswith(TODAY)] == [f"{TODAY}.db"]


async def test_so_is_the_last_one_when_the_next_begins_after_a_restart(folder: Path) -> None:
    await filled(folder, 1)
    assert names(folder) == [f"{TODAY}.db"]
    store = await RawStore.open(folder, NOW + DAY)
    assert (folder / f"{TODAY}.db").read_bytes()[18:20] == b"\1\1"
    assert await texts(store, [pointer(30)]) == ["day 0 line 30"]
    await store.aclose()
    assert names(folder) == [f"{TODAY}.db", "2026-11-25.db"]


async def test_however_often_it_is_synced_the_file_is_made_of_whole_blocks(
    store: RawStore, folder: Path
) -> None:
    for first in range(1, 2 * BLOCK_ROWS, 32):
        await store.append(CART, entries(32, first=first), NOW)
        await store.sync()
    assert asked(folder / f"{TODAY}.db", BLOCKS) == [
        (1, BLOCK_ROWS),
        (1 + BLOCK_ROWS, BLOCK_ROWS),
    ]
    rows = range(1, 2 * BLOCK_ROWS + 1)
    assert await texts(store, [*map(pointer, rows)]) == [f"line {row}" for row in rows]


async def test_an_entry_is_indexed_once_however_often_it_is_written(folder: Path) -> None:
    store = await RawStore.open(folder, NOW)
    for _ in range(3):
        await store.append(CART, [each._replace(is_new=True) for each in entries(2)], NOW)
        await store.sync()
    await store.aclose()
    # Its first number is how many rows the index believes to have.
    (averages,) = asked(
        folder / f"{TODAY}.db", "SELECT hex(block) FROM first_entries_data WHERE id = 1"
    )
    assert str(averages[0]).startswith("06")


async def test_what_was_not_a_whole_block_stays_as_it_is_after_a_restart(folder: Path) -> None:
    for _ in range(2):
        await filled(folder, 1)
    assert asked(folder / f"{TODAY}.db", BLOCKS) == [(1, 30), (31, 30)]


@pytest.mark.parametrize(
    ("count", "length"),
    [(5 * BLOCK_ROWS, 1), (200, BLOCK_CHARACTERS // 64), (3, BLOCK_CHARACTERS * 3)],
)
async def test_no_batch_makes_a_block_too_large(
    store: RawStore, folder: Path, count: int, length: int
) -> None:
    await store.append(CART, entries(count, "x" * length), NOW)
    blocks = [(int(first), int(rows)) for first, rows in asked(folder / f"{TODAY}.db", BLOCKS)]
    assert sum(rows for _, rows in blocks) == count
    for first, rows in blocks:
        assert rows < 2 * BLOCK_ROWS
        assert rows == 1 or rows * length < 2 * BLOCK_CHARACTERS
        assert await texts(store, [pointer(first)]) == [f"{'x' * length} {first}"]


async def test_memory_is_bounded_by_rows_and_by_characters(store: RawStore) -> None:
    for number in range(40):
        await store.append(CART, entries(1, "x" * (BLOCK_CHARACTERS // 8)), NOW)
        assert len(store._today._held.texts) <= 8, number
    for number in range(40):
        await store.append(CART, entries(BLOCK_ROWS // 8), NOW)
        assert len(store._today._held.texts) < BLOCK_ROWS + 8, number


async def test_numbers_of_names_are_not_remembered_without_end(store: RawStore) -> None:
    given = [each._replace(template_id=each.text) for each in entries(NAMES_MAX)]
    await store.append(CART, given, NOW)
    assert not store._today._numbers.templates
    await store.append(CART, given[::-1], NOW)
    for row in (1, 2, NAMES_MAX, NAMES_MAX + 1, 2 * NAMES_MAX):
        found = await store.entry(pointer(row))
        assert found is not None
        assert found.template_id == found.text
    assert (await store.counts())["templates"] == NAMES_MAX


async def test_only_a_few_decoded_blocks_are_kept(folder: Path) -> None:
    store = await RawStore.open(folder, NOW)
    large = RECENT_BYTES // 2
    for first in range(1, 13):
        await store.append(CART, entries(BLOCK_ROWS, first=first), NOW)
    for number in range(4):
        await store.append(CART, entries(1, "x" * large, number), NOW)
    await store.aclose()
    reader = BlockReader()
    with closing(sqlite3.connect(folder / f"{TODAY}.db")) as db:
        for row in range(1, 13 * BLOCK_ROWS, 100):
            reader.entry(db, NOW.date(), row)
            assert len(reader._recent) <= RECENT_BLOCKS
        for row in range(12 * BLOCK_ROWS + 1, 12 * BLOCK_ROWS + 5):
            assert reader.entry(db, NOW.date(), row) is not None
        assert len(reader._recent) <= 2


async def test_a_second_store_in_the_same_folder_is_refused(store: RawStore, folder: Path) -> None:
    await store.append(CART, entries(1), NOW)
    with pytest.raises(Terminal, match=f"{TODAY}.db is already open in process {os.getpid()}"):
        await RawStore.open(folder, NOW)
    with pytest.raises(Terminal, match=f"{TODAY}.db is still open in process {os.getpid()}"):
        await RawStore.open(folder, NOW + DAY)
    assert await texts(store, [pointer(1)]) == ["line 1"]


async def test_the_refused_one_lets_go_of_its_own_file(store: RawStore, folder: Path) -> None:
    for _ in range(2):
        with pytest.raises(Terminal, match=f"{TODAY}.db is still open"):
            await RawStore.open(folder, NOW + DAY)
    await store.append(CART, entries(1), NOW + DAY)


async def test_it_runs_inline_on_virtual_time(folder: Path) -> None:
    def on_virtual_time() -> list[str | None]:
        async def main() -> list[str | None]:
            store = await RawStore.open(folder, NOW)
            await store.append(CART, entries(3000), NOW)
            await asyncio.sleep(86400)
            await store.append(CART, entries(1), NOW + DAY)
            found = await texts(store, [pointer(3000), pointer(1, "2026-11-25")])
            await store.aclose()
            return found

        return run(main())

    assert await asyncio.to_thread(on_virtual_time) == ["line 3000", "line 1"]


async def test_readers_see_whole_entries_while_they_are_written(store: RawStore) -> None:
    taken = 0

    async def write() -> None:
        nonlocal taken
        for first in range(1, 20_000, 250):
            await store.append(CART, entries(250, first=first), NOW)
            taken = first + 249

    async def read() -> None:
        while taken < 20_000:
            rows = [1, taken // 2 or 1, taken] if taken else []
            assert await texts(store, [*map(pointer, rows)]) == [f"line {row}" for row in rows]
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        for job in (write(), read(), read()):
            group.create_task(job)


async def test_a_cancelled_call_can_be_made_again(store: RawStore) -> None:
    for first in range(1, 400, 10):
        await store.append(CART, entries(10, first=first), NOW)
        call = asyncio.get_running_loop().create_task(store.sync())
        await asyncio.sleep(0)
        call.cancel()
        await asyncio.wait([call])
    await store.append(CART, entries(BLOCK_ROWS, first=401), NOW)
    rows = range(1, 401 + BLOCK_ROWS)
    assert await texts(store, [*map(pointer, rows)]) == [f"line {row}" for row in rows]
    assert len(await store.search("line")) == 7
    assert (await store.counts())["rows"] == 400 + BLOCK_ROWS


async def test_what_is_read_while_others_write_is_what_was_said(store: RawStore) -> None:
    rows, batch = 0, 60

    async def write() -> None:
        nonlocal rows
        for number in range(6 * BLOCK_ROWS // batch):
            await store.append(CART, entries(batch, first=1 + number * batch), NOW)
            rows += batch
            if number % 20 == 0:
                await store.sync()
            await asyncio.sleep(0)

    async def read(seed: int) -> None:
        rng = random.Random(seed)
        while not writing.done():
            row = rng.randrange(rows + 1)
            assert await texts(store, [pointer(row)]) == [f"line {row}" if row else None]
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        writing = group.create_task(write())
        for seed in range(3):
            group.create_task(read(seed))


async def test_an_entry_of_a_block_at_hand_takes_no_file(store: RawStore) -> None:
    await store.append(CART, entries(BLOCK_ROWS), NOW)
    said = await store.entry(pointer(1))
    await store._today._database.aclose()
    assert said is not None
    assert await store.entry(pointer(1)) == said
    assert await texts(store, [pointer(8)]) == ["line 8"]
