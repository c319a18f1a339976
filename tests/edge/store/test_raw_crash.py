"""A process that dies loses what was not synced, and no more; its numbers never come to mean something else."""

import asyncio
import datetime as dt
import os
import random
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from opsagent.store.raw import RawStore
from tests.edge.store.raw_logs import CART, NOW, entries, names

VICTIM = """
import asyncio, datetime as dt, random, sys
from pathlib import Path
from opsagent.store.raw import RawStore
from tests.edge.store.raw_logs import CART, NOW, entries

async def main(folder, hours, seed):
    rng, now, number = random.Random(seed), NOW, 1
    store = await RawStore.open(folder, now)
    while True:
        count = rng.choice([1, 7, 300])
        pointer = await store.append(CART, entries(count, first=number), now)
        print("taken", pointer, number, count, flush=True)
        number += count
        now += dt.timedelta(hours=hours)
        if rng.random() < 0.3:
            await store.sync()
            print("synced", flush=True)

asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
"""


@dataclass
class Told:
    """What a victim said before it died: pointer -> text, and up to where it was durable."""

    taken: dict[str, str] = field(default_factory=dict)
    synced: int = 0

    def hear(self, line: str) -> None:
        match line.split():
            case ["taken", pointer, number, count]:
                prefix, _, row = pointer.rpartition(".")
                for offset in range(int(count)):
                    self.taken[f"{prefix}.{int(row) + offset}"] = f"line {int(number) + offset}"
            case ["synced"]:
                self.synced = len(self.taken)
            case _:
                pass  # its log


def killed(folder: Path, hours: int, lines: int) -> Told:
    told = Told()
    command = [sys.executable, "-c", VICTIM, str(folder), str(hours), str(lines)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3]
    ) as victim:
        assert victim.stdout is not None
        for _ in range(lines):
            told.hear(victim.stdout.readline())
        os.kill(victim.pid, signal.SIGKILL)
        for line in victim.stdout:
            told.hear(line)
    return told


async def judge(folder: Path, told: Told, now: dt.datetime) -> None:
    store = await RawStore.open(folder, now)
    following = await store.append(CART, entries(1), now)
    assert following not in told.taken
    for place, (pointer, text) in enumerate(told.taken.items()):
        found = await store.entry(pointer)
        if found is None:
            assert place >= told.synced, pointer
        else:
            assert found.text == text
    assert (await store.counts())["set_aside"] == 0
    await store.aclose()


@pytest.mark.parametrize("seed", range(3))
def test_no_synced_entry_is_lost_and_no_pointer_used_twice(tmp_path: Path, seed: int) -> None:
    told = killed(tmp_path / "raw", 0, random.Random(seed).randrange(20, 120))
    assert told.synced
    asyncio.run(judge(tmp_path / "raw", told, NOW))


def test_neither_over_many_midnights(tmp_path: Path) -> None:
    told = killed(tmp_path / "raw", 5, 60)
    last = max(told.taken)[4:14]
    now = dt.datetime.fromisoformat(f"{last}T23:00:00Z")
    asyncio.run(judge(tmp_path / "raw", told, now))


def test_the_next_day_finds_what_a_killed_one_left(tmp_path: Path) -> None:
    told = killed(tmp_path / "raw", 0, 40)
    assert "2026-11-24.db-wal" in names(tmp_path / "raw")
    asyncio.run(judge(tmp_path / "raw", told, NOW + dt.timedelta(days=1)))
    assert names(tmp_path / "raw") == ["2026-11-24.db", "2026-11-25.db"]
