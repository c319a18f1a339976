"""Whatever is done to it and in whatever order, the raw store answers as the one in memory does."""

import datetime as dt
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from opsagent.model.log import LogEntry, LogOrigin, LogSeverity
from opsagent.store.raw import RawStore
from opsagent.store.raw_file import phrases
from tests.edge.store.raw_logs import CART, ENDLESS, NOW
from tests.fakes.log_store import MemoryLogs
from tests.fakes.virtual_time import run

WORDS = ("error", "user", "left", "shop", "cart", "\N{SNOWMAN}")
STEPS = 40


def entries(rng: random.Random) -> Iterator[LogEntry]:
    for _ in range(rng.choice([0, 1, 2, 30, 30, 3000])):
        template = " ".join(rng.choices(WORDS, k=2))
        yield LogEntry(
            NOW + dt.timedelta(microseconds=rng.randrange(10**12)),
            rng.choice(["stdout", "stderr", ""]),
            rng.choice([*LogSeverity]),
            f"tpl_{template}",
            template,
            f"{template} {rng.random()}{rng.choice(['', chr(0xD800), chr(0)])}",
            is_new=rng.random() < 0.01,
        )


async def agree(store: RawStore, memory: MemoryLogs, pointers: list[str], words: str) -> None:
    for pointer in pointers:
        assert await store.entry(pointer) == await memory.entry(pointer)
    assert await store.search(words, 50) == await memory.search(words, 50)
    counts, expected = await store.counts(), await memory.counts()
    assert (counts["days"], counts["rows"]) == (expected["days"], expected["rows"])


@pytest.mark.parametrize("seed", range(4))
def test_it_answers_as_the_one_in_memory(tmp_path: Path, seed: int) -> None:
    async def main() -> None:
        rng, now, pointers = random.Random(seed), NOW, ["log:2026-11-24.1"]
        store, memory = await RawStore.open(tmp_path, now), MemoryLogs(now)
        for _ in range(STEPS):
            match rng.randrange(8):
                case 0:
                    await store.sync()
                case 1:
                    await store.aclose()
                    store = await RawStore.open(tmp_path, now)
                case 2:
                    now += dt.timedelta(hours=rng.randrange(20))
                    await store.append(CART, (), now)
                    await memory.append(CART, (), now)
                case 3:
                    oldest = now.date() - dt.timedelta(days=3)
                    dropped = await store.retain(oldest, ENDLESS)
                    assert dropped == await memory.retain(oldest, ENDLESS)
                case _:
                    given = list(entries(rng))
                    origin = LogOrigin(CART.pod, rng.choice(WORDS))
                    pointers.append(await store.append(origin, given, now))
                    assert pointers[-1] == await memory.append(origin, given, now)
            asked = [*rng.choices(pointers, k=5), *rng.choices([*memory.kept, ""], k=20)]
            await agree(store, memory, asked, " ".join(rng.choices(WORDS, k=rng.randrange(1, 3))))
        await agree(store, memory, [*memory.kept], "user")
        assert (await store.counts())["templates"] == (await memory.counts())["templates"]
        await store.aclose()

    run(main())


@given(st.text(st.characters(), max_size=40) | st.text('"*^:(){}+-ANDORNEAR ', max_size=40))
def test_no_words_are_a_query_that_is_refused(words: str) -> None:
    with closing(sqlite3.connect(":memory:")) as db:
        db.execute("CREATE VIRTUAL TABLE texts USING fts5 (text, content = '')")
        query = phrases(words)
        if query:
            db.execute("SELECT rowid FROM texts WHERE texts MATCH ?", (query,)).fetchall()
