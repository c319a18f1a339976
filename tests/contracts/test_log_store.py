"""What every log store promises: the same suite runs on the files and on the fake in memory."""

import datetime as dt
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Protocol

import pytest
import pytest_asyncio

from opsagent.model.entity import Entity, Kind
from opsagent.model.log import LogEntry, LogOrigin, LogSeverity, StoredEntry
from opsagent.ports import LogStore
from opsagent.store.raw import RawStore
from tests.fakes.log_store import MemoryLogs

NOW = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
CART = LogOrigin(Entity(Kind.POD, "shop", "cart-7d9f8b6c5-x2x9q"), "cart")
WEB = LogOrigin(Entity(Kind.POD, "shop", "web-0"), "nginx")
ENDLESS = 10**12


class Home(Protocol):
    """A place where a store's state survives its process."""

    async def start(self, now: dt.datetime) -> LogStore: ...


class FolderHome:
    def __init__(self, folder: Path) -> None:
        self._folder = folder / "raw"

    async def start(self, now: dt.datetime) -> LogStore:
        return await RawStore.open(self._folder, now)


class MemoryHome:
    def __init__(self) -> None:
        self._store: MemoryLogs | None = None

    async def start(self, now: dt.datetime) -> LogStore:
        self._store = self._store or MemoryLogs(now)
        return self._store


@pytest.fixture(params=["folder", "memory"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Home:
    return FolderHome(tmp_path) if request.param == "folder" else MemoryHome()


@pytest_asyncio.fixture
async def store(home: Home) -> AsyncIterator[LogStore]:
    opened = await home.start(NOW)
    yield opened
    await opened.aclose()


def entry(
    text: str = "user 7 logged in",
    *,
    template: str = "user <*> logged in",
    template_id: str = "",
    is_new: bool = False,
    severity: LogSeverity = LogSeverity.INFO,
) -> LogEntry:
    at = NOW + dt.timedelta(microseconds=len(text))
    name = template_id or f"tpl_{template}"
    return LogEntry(at, "stdout", severity, name, template, text, is_new)


def entries(count: int, word: str = "line") -> list[LogEntry]:
    return [entry(f"{word} {number}", template=f"{word} <*>") for number in range(count)]


def stored(pointer: str, origin: LogOrigin, given: LogEntry) -> StoredEntry:
    return StoredEntry(
        pointer, origin, given.at, given.stream, given.severity, given.template_id, given.text
    )


async def texts(store: LogStore, pointers: Sequence[str]) -> list[str | None]:
    found = [await store.entry(pointer) for pointer in pointers]
    return [None if each is None else each.text for each in found]


async def found(store: LogStore, words: str, limit: int = 100) -> list[str]:
    return [each.text for each in await store.search(words, limit)]


def rows(first: int, count: int, day: str = "2026-11-24") -> list[str]:
    return [f"log:{day}.{row}" for row in range(first, first + count)]


async def test_an_entry_can_be_read_at_once_and_comes_back_whole(store: LogStore) -> None:
    given = [entry(severity=severity) for severity in LogSeverity]
    assert await store.append(CART, given, NOW) == "log:2026-11-24.1"
    for row, each in enumerate(given, 1):
        pointer = f"log:2026-11-24.{row}"
        assert await store.entry(pointer) == stored(pointer, CART, each)


async def test_rows_are_numbered_through_all_origins(store: LogStore) -> None:
    assert await store.append(CART, entries(3, "cart"), NOW) == "log:2026-11-24.1"
    assert await store.append(WEB, entries(1, "web"), NOW) == "log:2026-11-24.4"
    assert await store.append(CART, entries(1, "again"), NOW) == "log:2026-11-24.5"
    read = [await store.entry(pointer) for pointer in rows(1, 5)]
    assert [each and each.origin for each in read] == [CART, CART, CART, WEB, CART]
    assert [each and each.text for each in read] == [
        "cart 0",
        "cart 1",
        "cart 2",
        "web 0",
        "again 0",
    ]


async def test_nothing_takes_no_number(store: LogStore) -> None:
    assert await store.append(CART, [], NOW) == "log:2026-11-24.1"
    assert await store.append(CART, entries(1), NOW) == "log:2026-11-24.1"
    assert (await store.counts())["rows"] == 1


async def test_syncing_changes_nothing_that_is_read(store: LogStore) -> None:
    for number in range(5):
        await store.append(CART, entries(2, f"batch {number}"), NOW)
        await store.sync()
        await store.sync()
    expected = [f"batch {number} {each}" for number in range(5) for each in range(2)]
    assert await texts(store, rows(1, 10)) == expected


async def test_entries_and_numbers_go_on_after_a_restart(home: Home) -> None:
    for life in range(3):
        store = await home.start(NOW)
        assert await store.append(CART, entries(2, f"life {life}"), NOW) == rows(1 + 2 * life, 1)[0]
        await store.aclose()
    store = await home.start(NOW)
    expected = [f"life {life} {each}" for life in range(3) for each in range(2)]
    assert await texts(store, rows(1, 6)) == expected
    assert (await store.counts())["rows"] == 6
    await store.aclose()


async def test_it_tells_up_to_when_it_has_what_was_said(home: Home) -> None:
    store = await home.start(NOW)
    assert store.newest is None
    first, second = entry("a"), entry("the latest of all")
    await store.append(WEB, [second], NOW)
    await store.append(WEB, [first], NOW)
    assert store.newest == second.at
    await store.aclose()
    store = await home.start(NOW + dt.timedelta(days=1))
    assert store.newest is not None
    assert store.newest >= first.at
    await store.append(WEB, [], NOW + dt.timedelta(days=2))
    assert store.newest >= first.at
    await store.aclose()


async def test_many_entries_come_back_in_order(store: LogStore) -> None:
    given = [
        entry(f"{number} of many", template=f"template {number % 7}", is_new=number < 7)
        for number in range(10_000)
    ]
    for begin in range(0, len(given), 333):
        await store.append(CART if begin % 2 else WEB, given[begin : begin + 333], NOW)
    assert await texts(store, rows(1, 10_001)) == [*(each.text for each in given), None]


async def test_a_batch_of_any_size_is_numbered_without_a_gap(store: LogStore) -> None:
    assert await store.append(CART, entries(9_999), NOW) == "log:2026-11-24.1"
    assert await store.append(WEB, entries(1), NOW) == "log:2026-11-24.10000"
    assert await texts(store, ["log:2026-11-24.9999"]) == ["line 9998"]


@pytest.mark.parametrize(
    "pointer",
    [
        "",
        "log:",
        "raw:1",
        "log:2026-11-24",
        "log:2026-11-24.",
        "log:2026-11-24.0",
        "log:2026-11-24.2",
        "log:2026-11-24.-1",
        "log:2026-11-24.1 ",
        "log:2026-11-24.1\n",
        "log:2026-11-24.\N{ARABIC-INDIC DIGIT ONE}",
        "log:2026-11-24.1.1",
        "log:2026-11-24.99999999999999999999",
        "log:2026-11-23.1",
        "log:2026-13-24.1",
        "log:../2026-11-24.1",
    ],
)
async def test_a_pointer_to_nothing_is_none(store: LogStore, pointer: str) -> None:
    await store.append(CART, entries(1), NOW)
    assert await store.entry(pointer) is None
    await store.sync()
    assert await store.entry(pointer) is None


async def test_each_day_of_arrival_begins_at_one(store: LogStore) -> None:
    midnight = dt.datetime(2026, 11, 25, tzinfo=dt.UTC)
    await store.append(CART, entries(2, "before"), midnight - dt.timedelta(microseconds=1))
    assert await store.append(CART, entries(2, "after"), midnight) == "log:2026-11-25.1"
    assert await texts(store, rows(1, 3)) == ["before 0", "before 1", None]
    assert await texts(store, rows(1, 3, "2026-11-25")) == ["after 0", "after 1", None]
    counts = await store.counts()
    assert (counts["days"], counts["rows"]) == (2, 4)


async def test_a_day_is_that_of_utc(store: LogStore) -> None:
    tokyo = dt.timezone(dt.timedelta(hours=9))
    early = dt.datetime(2026, 11, 25, 8, 59, tzinfo=tokyo)
    assert await store.append(CART, entries(1), early) == "log:2026-11-24.1"


async def test_a_clock_that_is_set_back_brings_no_day_back(store: LogStore) -> None:
    await store.append(CART, entries(1, "first"), NOW + DAY)
    assert await store.append(CART, entries(1, "second"), NOW) == "log:2026-11-25.2"
    assert await texts(store, rows(1, 2, "2026-11-25")) == ["first 0", "second 0"]


async def test_days_that_are_over_survive_a_restart(home: Home) -> None:
    for day in range(3):
        store = await home.start(NOW + day * DAY)
        await store.append(CART, entries(1, f"day {day}"), NOW + day * DAY)
        await store.aclose()
    store = await home.start(NOW + 2 * DAY)
    pointers = ["log:2026-11-24.1", "log:2026-11-25.1", "log:2026-11-26.1"]
    assert await texts(store, pointers) == ["day 0 0", "day 1 0", "day 2 0"]
    await store.aclose()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("", ""),
        ("nul \0 inside", "nul \0 inside"),
        ("half \ud83d of a pair", "half ? of a pair"),
        ("\N{SNOWMAN} \N{PILE OF POO}", "\N{SNOWMAN} \N{PILE OF POO}"),
        ("Traceback:\n  File\r\n\tline", "Traceback:\n  File\r\n\tline"),
        ("x" * 1024 * 1024 + "\N{SNOWMAN}", "x" * 1024 * 1024 + "\N{SNOWMAN}"),
    ],
    ids=["empty", "nul", "surrogate", "astral", "lines", "a MiB"],
)
async def test_any_text_comes_back(home: Home, given: str, expected: str) -> None:
    store = await home.start(NOW)
    odd = LogEntry(NOW, given[:9], LogSeverity.UNKNOWN, given[:9], given[:99], given, is_new=True)
    await store.append(CART, [entry("before"), odd, entry("after")], NOW)
    for _ in range(2):
        read = await store.entry("log:2026-11-24.2")
        assert read == StoredEntry(
            "log:2026-11-24.2", CART, NOW, expected[:9], LogSeverity.UNKNOWN, expected[:9], expected
        )
        assert await texts(store, rows(1, 3)) == ["before", expected, "after"]
        await store.aclose()
        store = await home.start(NOW)
    await store.aclose()


@pytest.mark.parametrize(
    "at",
    [
        dt.datetime(1, 1, 1, tzinfo=dt.UTC),
        dt.datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=dt.UTC),
        dt.datetime(2026, 11, 24, tzinfo=dt.UTC),
        dt.datetime(2026, 11, 24, 1, 2, 3, 456_789, tzinfo=dt.timezone(dt.timedelta(hours=-7))),
        dt.datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=dt.UTC),
    ],
)
async def test_any_instant_comes_back_to_the_microsecond(home: Home, at: dt.datetime) -> None:
    store = await home.start(NOW)
    await store.append(CART, [entry(), entry()._replace(at=at), entry()], NOW)
    for _ in range(2):
        read = await store.entry("log:2026-11-24.2")
        assert read is not None
        assert read.at == at
        assert read.at.tzinfo is dt.UTC or read.at == at.astimezone(dt.UTC)
        await store.aclose()
        store = await home.start(NOW)
    await store.aclose()


async def test_search_finds_the_first_entry_of_a_template_newest_first(store: LogStore) -> None:
    await store.append(CART, [entry("user 1 logged in"), entry("user 2 logged in")], NOW)
    await store.append(CART, [entry("user 3 left", template="user <*> left")], NOW)
    assert await found(store, "user") == ["user 3 left", "user 1 logged in"]
    assert await found(store, "USER in") == ["user 1 logged in"]
    assert await found(store, "user out") == []
    assert await found(store, "user", limit=1) == ["user 3 left"]


async def test_search_finds_who_said_it_first_in_each_log_and_on_each_day(store: LogStore) -> None:
    await store.append(CART, [entry("cart says", is_new=True)], NOW)
    await store.append(WEB, [entry("web says", is_new=True), entry("web again")], NOW)
    await store.append(CART, [entry("next day"), entry("and again")], NOW + DAY)
    assert await found(store, "logged") == ["next day", "web says", "cart says"]
    assert await found(store, "logged", limit=2) == ["next day", "web says"]


async def test_search_finds_the_same_after_syncs_and_a_restart(home: Home) -> None:
    store = await home.start(NOW)
    for _ in range(3):
        await store.append(CART, [entry("new", is_new=True), entry("old")], NOW)
        await store.sync()
        assert "new" in await found(store, "user")
    await store.aclose()
    store = await home.start(NOW)
    assert await found(store, "user") == ["new", "new", "new"]
    await store.append(CART, [entry("known today")], NOW)
    assert await found(store, "user") == ["new", "new", "new"]
    await store.aclose()


async def test_a_word_with_marks_inside_is_its_parts_side_by_side(store: LogStore) -> None:
    await store.append(CART, [entry("1", template="GET /shop/cart user_id=<*>")], NOW)
    await store.append(CART, [entry("2", template="cart of the shop")], NOW)
    assert await found(store, "shop/cart") == ["1"]
    assert await found(store, "user_id") == ["1"]
    assert await found(store, "cart shop") == ["2", "1"]


@pytest.mark.parametrize(
    "words",
    [
        '"',
        '""',
        "user AND NOT",
        "user OR left",
        "NEAR(user logged)",
        "template:user",
        "user*",
        "^user",
        "-user",
        "{user logged}",
        '") OR ("user',
        "user\0logged",
        "\ud800",
        "<*>",
        "'; DROP TABLE log_blocks; --",
        "user " * 1000,
        "(" * 2000,
    ],
)
async def test_words_are_data_whatever_is_in_them(store: LogStore, words: str) -> None:
    await store.append(CART, [entry()], NOW)
    assert await found(store, words) in ([], ["user 7 logged in"])
    assert await found(store, "user") == ["user 7 logged in"]


@pytest.mark.parametrize(
    ("words", "limit"), [("", 9), (" \n", 9), ("***", 9), ("user", 0), ("user", -1)]
)
async def test_a_search_for_nothing_finds_nothing(store: LogStore, words: str, limit: int) -> None:
    await store.append(CART, [entry()], NOW)
    assert await store.search(words, limit) == ()


async def test_retention_deletes_whole_days_and_never_today(store: LogStore) -> None:
    for day in range(4):
        await store.append(CART, entries(1, f"day {day}"), NOW + day * DAY)
    assert await store.retain(dt.date(2026, 11, 25), ENDLESS) == 1
    assert await texts(store, ["log:2026-11-24.1", "log:2026-11-25.1"]) == [None, "day 1 0"]
    assert await found(store, "day 0") == []
    assert await store.retain(dt.date(2027, 1, 1), ENDLESS) == 2
    assert await texts(store, ["log:2026-11-26.1", "log:2026-11-27.1"]) == [None, "day 3 0"]
    assert await store.retain(dt.date(2027, 1, 1), 0) == 0
    assert (await store.counts())["days"] == 1


async def test_retention_by_bytes_deletes_the_oldest_days(store: LogStore) -> None:
    for day in range(3):
        await store.append(CART, [entry("x" * 100)], NOW + day * DAY)
    await store.sync()
    assert await store.retain(dt.date.min, ENDLESS) == 0
    total = (await store.counts())["bytes"]
    assert await store.retain(dt.date.min, total) == 0
    assert await store.retain(dt.date.min, total - 1) == 1
    assert await texts(store, ["log:2026-11-24.1", "log:2026-11-25.1"]) == [None, "x" * 100]
    assert (await store.counts())["bytes"] <= total - 1
    assert await store.retain(dt.date.min, 0) == 1
    assert await texts(store, ["log:2026-11-26.1"]) == ["x" * 100]


async def test_counts_say_what_is_there(store: LogStore) -> None:
    assert await store.counts() == {
        "days": 1,
        "rows": 0,
        "bytes": (await store.counts())["bytes"],
        "templates": 0,
        "set_aside": 0,
    }
    await store.append(CART, [*entries(3, "a"), *entries(2, "b")], NOW)
    await store.append(CART, entries(1, "a"), NOW + DAY)
    await store.sync()
    counts = await store.counts()
    assert (counts["days"], counts["rows"], counts["templates"]) == (2, 6, 3)
    assert counts["bytes"] > 0
