"""Damaged files, full disks and deletion: one day's trouble is never another's."""

import datetime as dt
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from opsagent.ports import Terminal, Transient
from opsagent.store.raw import FOUND_MAX, RawStore
from opsagent.store.raw_file import BLOCK_ROWS
from tests.edge.store.raw_logs import (
    CART,
    DAY,
    ENDLESS,
    NOW,
    TODAY,
    asked,
    entries,
    names,
    pointer,
    texts,
)

TOMORROW = "2026-11-25"
AFTER = "2026-11-26"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "raw"


@pytest_asyncio.fixture
async def store(folder: Path) -> AsyncIterator[RawStore]:
    """Yield a store with three days, of which the last is open."""
    opened = await RawStore.open(folder, NOW)
    for day in range(3):
        await opened.append(CART, entries(3000, f"day {day}"), NOW + day * DAY)
    await opened.sync()
    yield opened
    await opened.aclose()


def overwrite(path: Path, begin: int) -> None:
    """Overwrite what is behind ``begin``, as a disk that fails does."""
    with path.open("r+b") as file:
        file.seek(begin)
        file.write(b"\xff" * (path.stat().st_size - begin))


def put(folder: Path, *files: str, content: bytes = b"") -> None:
    folder.mkdir(exist_ok=True)
    for name in files:
        (folder / name).write_bytes(content)


def days(folder: Path) -> set[str]:
    return {path.name[:10] for path in folder.iterdir()}


async def test_a_damaged_day_is_set_aside_when_it_is_read(store: RawStore, folder: Path) -> None:
    overwrite(folder / f"{TODAY}.db", 4096)
    with capture_logs() as logs:
        assert await texts(store, [pointer(1), pointer(2)]) == [None, None]
    assert [line["event"] for line in logs] == ["store.raw_day_set_aside"]
    assert names(folder)[0] == f"{TODAY}.db.corrupt"
    assert await texts(store, [pointer(1, TOMORROW), pointer(1, AFTER)]) == ["day 1 1", "day 2 1"]
    counts = await store.counts()
    assert (counts["days"], counts["rows"], counts["set_aside"]) == (2, 6000, 1)


async def test_a_damaged_day_does_not_spoil_a_search(store: RawStore, folder: Path) -> None:
    overwrite(folder / f"{TOMORROW}.db", 4096)
    found = await store.search("day", FOUND_MAX * 2)
    assert {each.pointer[4:14] for each in found} == {AFTER, TODAY}
    assert (await store.counts())["set_aside"] == 1


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE log_blocks SET body = zeroblob(length(body))",
        "UPDATE log_blocks SET body = x''",
        "DELETE FROM templates",
        "UPDATE origins SET name = '{'",
        "UPDATE templates SET name = CAST(x'ff' || name AS TEXT)",
        "DROP TABLE log_blocks",
    ],
)
async def test_so_is_one_that_holds_what_nobody_wrote(
    store: RawStore, folder: Path, statement: str
) -> None:
    asked(folder / f"{TODAY}.db", statement)
    assert await texts(store, [pointer(1), pointer(1, TOMORROW)]) == [None, "day 1 1"]
    assert (await store.counts())["set_aside"] == 1


@pytest.mark.parametrize("begin", [0, 100, 4096])
async def test_a_day_that_is_damaged_at_the_start_is_set_aside(folder: Path, begin: int) -> None:
    store = await RawStore.open(folder, NOW)
    await store.append(CART, entries(3000), NOW)
    await store.aclose()
    overwrite(folder / f"{TODAY}.db", begin)
    store = await RawStore.open(folder, NOW + DAY)
    assert (await store.counts())["set_aside"] == 1
    assert f"{TODAY}.db.corrupt" in names(folder)
    assert await store.append(CART, entries(1), NOW + DAY) == pointer(1, TOMORROW)
    assert await store.retain(NOW.date() + DAY, ENDLESS) == 1
    assert (await store.counts())["set_aside"] == 0
    await store.aclose()


@pytest.mark.parametrize("table", ["sqlite_schema", "log_blocks"])
async def test_todays_damaged_file_is_terminal_and_says_what_to_do(
    folder: Path, table: str
) -> None:
    path = folder / f"{TODAY}.db"
    store = await RawStore.open(folder, NOW)
    await store.append(CART, entries(3000), NOW)
    await store.aclose()
    found = asked(path, f"SELECT rootpage FROM sqlite_schema WHERE name = '{table}'")
    overwrite(path, 4096 * (int(found[0][0]) - 1) if found else 100)
    for _ in range(2):  # the refusal released the lock
        with pytest.raises(Terminal, match=rf"{TODAY}\.db: the file is corrupt: restore a copy"):
            await RawStore.open(folder, NOW)
    put(folder, f"{TODAY}.db")
    await (await RawStore.open(folder, NOW)).aclose()


async def test_so_is_a_damaged_block_of_today(store: RawStore, folder: Path) -> None:
    asked(folder / f"{AFTER}.db", "UPDATE log_blocks SET body = zeroblob(length(body))")
    with pytest.raises(Terminal, match=rf"{AFTER}\.db: what is stored cannot be read .*checksum"):
        await store.entry(pointer(1, AFTER))
    assert await texts(store, [pointer(1)]) == ["day 0 1"]


async def test_a_full_disk_is_terminal_and_takes_no_more_in_until_there_is_room(
    store: RawStore,
) -> None:
    database = store._today._database
    later = NOW + 2 * DAY
    given = [each._replace(template_id="new") for each in entries(BLOCK_ROWS, "full")]
    await database.write(lambda db: db.execute("PRAGMA max_page_count=1").fetchone())
    with pytest.raises(Terminal, match=rf"{AFTER}\.db: the disk is full"):
        await store.append(CART, given, later)
    for _ in range(3):
        with pytest.raises(Terminal, match="the disk is full"):
            await store.append(CART, entries(10, "refused"), later)
    with pytest.raises(Terminal, match="the disk is full"):
        await store.sync()
    assert await texts(store, [pointer(1, AFTER), pointer(3001, AFTER)]) == ["day 2 1", "full 1"]
    await database.write(lambda db: db.execute("PRAGMA max_page_count=100000").fetchone())
    row = int((await store.append(CART, entries(1, "room"), later)).rpartition(".")[2])
    assert row == 3001 + BLOCK_ROWS
    await store.sync()
    found = [await store.entry(pointer(each, AFTER)) for each in (3001, row - 1, row)]
    assert [each and each.text for each in found] == ["full 1", f"full {BLOCK_ROWS}", "room 1"]
    assert [each and each.template_id for each in found] == ["new", "new", "tpl_1"]


async def test_a_full_disk_at_the_end_is_told_and_leaves_nothing_open(folder: Path) -> None:
    store = await RawStore.open(folder, NOW)
    await store.append(CART, entries(3000), NOW)
    await store._today._database.write(lambda db: db.execute("PRAGMA max_page_count=1").fetchone())
    await store.append(CART, entries(1000, "x" * 300), NOW)
    with pytest.raises(Terminal, match="the disk is full"):
        await store.aclose()
    await store.aclose()
    store = await RawStore.open(folder, NOW)
    assert (await store.counts())["rows"] == 3000
    await store.aclose()


async def test_a_day_that_somebody_looks_into_is_read_as_it_is(folder: Path) -> None:
    store = await RawStore.open(folder, NOW)
    await store.append(CART, entries(3000), NOW)
    await store.sync()
    with closing(sqlite3.connect(folder / f"{TODAY}.db")) as somebody:
        somebody.execute("BEGIN")
        somebody.execute("SELECT count(*) FROM log_blocks").fetchone()
        with capture_logs() as logs:
            await store.append(CART, entries(1), NOW + DAY)
        assert "store.raw_day_not_plain" in [line["event"] for line in logs]
        assert await texts(store, [pointer(1)]) == ["line 1"]
    await store.aclose()
    store = await RawStore.open(folder, NOW + DAY)
    assert names(folder)[:2] == [f"{TODAY}.db", f"{TOMORROW}.db"]
    await store.aclose()


async def test_a_day_that_somebody_locks_may_be_read_later(store: RawStore, folder: Path) -> None:
    with closing(sqlite3.connect(folder / f"{TODAY}.db")) as somebody:
        somebody.execute("BEGIN EXCLUSIVE")
        with pytest.raises(Transient, match=rf"{TODAY}\.db: database is locked"):
            await store.entry(pointer(1))
    assert await texts(store, [pointer(1)]) == ["day 0 1"]


async def test_a_file_that_somebody_took_away_is_none(store: RawStore, folder: Path) -> None:
    (folder / f"{TODAY}.db").unlink()
    assert await texts(store, [pointer(1), pointer(1, TOMORROW)]) == [None, "day 1 1"]
    assert {each.pointer[4:14] for each in await store.search("day")} == {TOMORROW, AFTER}


async def test_what_is_no_day_is_left_alone(folder: Path) -> None:
    put(folder, "notes.txt", "2026-99-99.db", "20261123.db", "x2026-11-23.db")
    (folder / "2026-11-23.db").symlink_to("nowhere")
    store = await RawStore.open(folder, NOW)
    assert await store.retain(dt.date.max, 0) == 0
    counts = await store.counts()
    assert (counts["days"], counts["set_aside"]) == (1, 0)
    await store.aclose()
    assert len(names(folder)) == 6


async def test_an_empty_file_of_a_past_day_is_an_empty_day(folder: Path) -> None:
    put(folder, f"{TODAY}.db")  # a kill right after it was made
    store = await RawStore.open(folder, NOW + DAY)
    counts = await store.counts()
    assert (counts["days"], counts["rows"], counts["set_aside"]) == (2, 0, 0)
    await store.aclose()


async def test_retention_takes_all_that_belongs_to_a_day(folder: Path) -> None:
    store = await RawStore.open(folder, NOW)
    await store.append(CART, entries(1), NOW + DAY)
    put(folder, *(f"{TODAY}.db{tail}" for tail in ("-wal", "-shm", ".corrupt")), content=b"x")
    with capture_logs() as logs:
        assert await store.retain(dt.date.min, (await store.counts())["bytes"] - 1) == 1
    assert [line["event"] for line in logs] == ["store.raw_day_dropped"]
    assert days(folder) == {TOMORROW}
    await store.aclose()


async def test_retention_keeps_todays_file_however_large(store: RawStore, folder: Path) -> None:
    assert await store.retain(dt.date.max, 0) == 2
    assert await texts(store, [pointer(1), pointer(1, AFTER)]) == [None, "day 2 1"]
    assert days(folder) == {AFTER}


async def test_what_cannot_be_deleted_is_named(store: RawStore, folder: Path) -> None:
    (folder / f"{TODAY}.db").unlink()
    (folder / f"{TODAY}.db").mkdir()
    with pytest.raises(Terminal, match=rf"{TODAY}\.db: "):
        await store.retain(dt.date.max, 0)


async def test_days_ahead_of_a_clock_that_was_wrong_are_kept_and_gone_on_with(folder: Path) -> None:
    store = await RawStore.open(folder, NOW + DAY)
    await store.append(CART, entries(5, "ahead"), NOW + DAY)
    await store.aclose()
    store = await RawStore.open(folder, NOW)
    assert await texts(store, [pointer(1, TOMORROW)]) == ["ahead 1"]
    await store.append(CART, entries(1, "now"), NOW)
    assert await store.append(CART, entries(1, "then"), NOW + DAY) == pointer(6, TOMORROW)
    counts = await store.counts()
    assert (counts["days"], counts["rows"]) == (2, 7)
    pointers = [each.pointer for each in await store.search("ahead")]
    assert pointers == [pointer(row, TOMORROW) for row in (5, 4, 3, 2, 1)]
    await store.aclose()
