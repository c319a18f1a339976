"""What only the file of bins can get wrong: damage, full disks, other programs, room that is never given back."""

import datetime as dt
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
import pytest_asyncio

from opsagent.model.series import Labels, Selection
from opsagent.ports import Terminal, Transient, Unwritable
from opsagent.store.series import SeriesStore
from tests.edge.store.raw_logs import asked
from tests.fakes.bins import WIDTH_MS, bin_of, bits, label, odd_bin

UP, MEMORY = Selection.TARGETS_UP, Selection.CONTAINER_MEMORY
EVER = 2**62
PODS = tuple(label("up", pod=f"web-{n}", zone="zone-" + "x" * 30) for n in range(200))
FIRST_DIGEST = "d6255b1e60e67c2532874d7708efe1fa"
FIRST_LABELS = (
    "28b52ffd2067150100b8969192a85f5f6e616d655f5fa56f64645f30313233343505040d40c00106049a61"
)
FIRST_BODY = (
    "7e3ced3328b52ffd20f05d030074030102030405060000000001ffff0100ff000000ff0000ff0000ff0000ff0000f8f0f00000efef0000"
    "f0f0f8007f7fff80007f0080ff7f7f1900296780ba4a0a1760118c0009a05da0118c0009a05da0118c0009a05da0118c0009a05da05165"
    "0448002c8c9347b89204"
)
OTHERS = (*PODS[:-1], label("up", pod="web-new"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "series.db"


@pytest_asyncio.fixture
async def store(path: Path) -> AsyncIterator[SeriesStore]:
    """Yield a store of three bins of the same pods."""
    opened = await SeriesStore.open(path)
    for number in range(3):
        await opened.keep(UP, bin_of(number, *PODS))
    yield opened
    await opened.aclose()


def rows(path: Path) -> set[tuple[int | str, ...]]:
    return {*asked(path, "SELECT * FROM bins"), *asked(path, "SELECT * FROM label_sets")}


def spoil(path: Path, begin: int) -> bytes:
    """Overwrite what is behind ``begin``, as a disk that fails does; return what is in the file then."""
    head = path.read_bytes()
    path.write_bytes(head[:begin] + b"\xff" * (len(head) - begin))
    return path.read_bytes()


def is_still(path: Path, content: bytes) -> bool:
    return path.read_bytes() == content


def label_sets(path: Path) -> int:
    return len(asked(path, "SELECT digest FROM label_sets"))


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("UPDATE bins SET body = zeroblob(length(body))", "the checksum of a bin is wrong"),
        ("UPDATE bins SET body = x''", "the checksum of a bin is wrong"),
        ("UPDATE bins SET body = substr(body, 1, 99)", "the checksum of a bin is wrong"),
        ("UPDATE bins SET labels = x'00'", "the labels of a bin are missing"),
        ("DELETE FROM label_sets", "the labels of a bin are missing"),
        ("UPDATE label_sets SET body = x''", ""),
        ("UPDATE label_sets SET body = zeroblob(length(body))", ""),
        ("DROP TABLE label_sets", "no such table"),
    ],
)
async def test_what_nobody_wrote_is_terminal_and_says_what_to_do(
    store: SeriesStore, path: Path, statement: str, reason: str
) -> None:
    asked(path, statement)
    with pytest.raises(Terminal, match=rf"series\.db: .*{reason}"):
        await store.bins(UP, 0, EVER)


async def test_labels_of_other_bins_are_not_taken_for_those_of_this_one(
    store: SeriesStore, path: Path
) -> None:
    await store.keep(UP, bin_of(3, *OTHERS, label("one more")))
    asked(path, "UPDATE bins SET labels = (SELECT labels FROM bins WHERE start_ms = 0)")
    with pytest.raises(Terminal, match=r"cannot be read .*restore a copy of it, or move it"):
        await store.bins(UP, 0, EVER)
    asked(path, "UPDATE label_sets SET body = (SELECT body FROM label_sets ORDER BY rowid DESC)")
    with pytest.raises(Terminal, match="the digest of labels is wrong"):
        await store.bins(UP, 0, WIDTH_MS)


async def test_a_bin_that_cannot_be_read_is_alone_in_that_and_may_be_told_again(
    store: SeriesStore, path: Path
) -> None:
    asked(path, f"UPDATE bins SET body = x'00' WHERE start_ms = {WIDTH_MS}")
    with pytest.raises(Terminal, match="checksum"):
        await store.bins(UP, 0, EVER)
    assert len(await store.bins(UP, 0, WIDTH_MS)) == 1
    assert (await store.ends())[UP] == 3 * WIDTH_MS
    await store.keep(UP, bin_of(1, *PODS))
    assert [bits(each) for each in await store.bins(UP, 0, EVER)] == [
        bits(bin_of(n, *PODS)) for n in range(3)
    ]


@pytest.mark.parametrize(
    ("begin", "words"), [(0, "is not a database"), (100, "the file is corrupt")]
)
async def test_a_damaged_file_is_refused_and_says_what_to_do(
    path: Path, begin: int, words: str
) -> None:
    await (await SeriesStore.open(path)).aclose()
    before = spoil(path, begin)
    for _ in range(2):  # the refusal released the lock
        with pytest.raises(Unwritable, match=rf"series\.db: .*{words}: restore a copy"):
            await SeriesStore.open(path)
    assert is_still(path, before)


async def test_a_second_writer_is_refused(store: SeriesStore, path: Path) -> None:
    with pytest.raises(Terminal, match="already open in process"):
        await SeriesStore.open(path)
    assert (await store.counts())["bins"] == 3


async def test_a_full_disk_is_terminal_and_costs_nothing_that_was_kept(store: SeriesStore) -> None:
    limit = store._database.write
    await limit(lambda db: db.execute("PRAGMA max_page_count=1").fetchone())
    for number in (3, 4):
        with pytest.raises(Unwritable, match=r"series\.db: the disk is full"):
            await store.keep(UP, bin_of(number, *OTHERS))
    assert [bits(each) for each in await store.bins(UP, 0, EVER)] == [
        bits(bin_of(n, *PODS)) for n in range(3)
    ]
    await limit(lambda db: db.execute("PRAGMA max_page_count=100000").fetchone())
    await store.keep(UP, bin_of(4, *OTHERS))
    assert [each.start_ms // WIDTH_MS for each in await store.bins(UP, 0, EVER)] == [0, 1, 2, 4]


async def test_somebody_who_locks_the_file_is_waited_out(store: SeriesStore, path: Path) -> None:
    await store._database.write(lambda db: db.execute("PRAGMA busy_timeout=1").fetchone())
    with closing(sqlite3.connect(path)) as somebody:
        somebody.execute("BEGIN IMMEDIATE")
        with pytest.raises(Transient, match=r"series\.db: database is locked"):
            await store.keep(UP, bin_of(3, *PODS))
        assert len(await store.bins(UP, 0, EVER)) == 3
    await store.keep(UP, bin_of(3, *PODS))
    assert len(await store.bins(UP, 0, EVER)) == 4


async def kept(path: Path, *given: tuple[int, tuple[Labels, ...]]) -> set[tuple[int | str, ...]]:
    """Return the rows of a new file that was given these bins."""
    store = await SeriesStore.open(path)
    for number, labels in given:
        await store.keep(UP, bin_of(number, *labels))
    await store.aclose()
    return rows(path)


async def test_the_same_bins_are_the_same_bytes_however_often_they_are_told(tmp_path: Path) -> None:
    given = [(0, PODS), (1, PODS), (2, OTHERS)]
    once = await kept(tmp_path / "once.db", *given)
    again = await kept(tmp_path / "again.db", *given, *given[1:])
    other = await kept(tmp_path / "other.db", *given[:2], (2, PODS))
    assert once == again
    assert once != other


async def test_bytes_of_the_first_version_are_read(store: SeriesStore, path: Path) -> None:
    """Whoever changes the form has to read these still."""
    asked(path, f"INSERT INTO label_sets VALUES (x'{FIRST_DIGEST}', x'{FIRST_LABELS}')")
    asked(
        path,
        f"INSERT INTO bins VALUES ('{MEMORY.value}', {3 * WIDTH_MS}, {WIDTH_MS}, x'{FIRST_DIGEST}', x'{FIRST_BODY}')",
    )
    (found,) = await store.bins(MEMORY, 0, EVER)
    assert bits(found) == bits(odd_bin(3))


async def test_bins_of_the_same_series_share_their_labels_until_nobody_has_them(
    store: SeriesStore, path: Path
) -> None:
    assert label_sets(path) == 1
    await store.keep(MEMORY, bin_of(2, *PODS))
    await store.keep(MEMORY, bin_of(3, *OTHERS))
    assert label_sets(path) == 2
    assert await store.retain(dt.datetime.fromtimestamp(2 * WIDTH_MS / 1000, dt.UTC)) == 2
    assert label_sets(path) == 2
    assert await store.retain(dt.datetime.fromtimestamp(3 * WIDTH_MS / 1000, dt.UTC)) == 2
    assert label_sets(path) == 1
    assert [bits(each) for each in await store.bins(MEMORY, 0, EVER)] == [bits(bin_of(3, *OTHERS))]


async def test_labels_that_went_with_their_last_bin_are_kept_again(
    store: SeriesStore, path: Path
) -> None:
    given = bin_of(2, *OTHERS)
    for _ in range(2):
        await store.keep(UP, given)
        assert await store.retain(dt.datetime.fromtimestamp(3 * WIDTH_MS / 1000, dt.UTC)) > 0
        assert label_sets(path) == 0
    await store.keep(UP, given)
    assert [bits(each) for each in await store.bins(UP, 0, EVER)] == [bits(given)]


async def test_a_file_whose_bins_come_and_go_does_not_grow(path: Path) -> None:
    store = await SeriesStore.open(path)
    sizes = []
    for number in range(300):
        await store.keep(UP, bin_of(number, *PODS, label("up", pod=f"of bin {number}")))
        await store.retain(dt.datetime.fromtimestamp((number - 20) * WIDTH_MS / 1000, dt.UTC))
        if number % 100 == 99:
            pages = await store._database.read(
                lambda db: db.execute("PRAGMA page_count").fetchone()
            )
            sizes.append(pages[0])
    await store.aclose()
    assert sizes[2] <= sizes[0] * 1.1
