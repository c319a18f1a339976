"""Whatever one log is made of, the others go on; what is too much is counted and told, what is held is bounded."""

import asyncio
import datetime as dt
import random
import time
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from opsagent.model.entity import Entity
from opsagent.model.log import LogEntry
from opsagent.runtime.clock import SystemClock
from opsagent.sources import log_pace
from opsagent.sources.pod_logs import LogPlan, PodLogs
from tests.fakes import virtual_time
from tests.fakes.beset import SteppingClock
from tests.fakes.chance import MiddleChance
from tests.fakes.log_source import Containers, Heard
from tests.fakes.virtual_time import EPOCH, LoopClock

pytestmark = pytest.mark.flood

MEGABYTE = 1_000_000
LAG_SECONDS_MAX = 5.0


def stamp(at: dt.datetime) -> bytes:
    return f"{at:%Y-%m-%dT%H:%M:%S.%f}000Z ".encode()


class Flooded(Containers):
    """One more container, ``flood``, whose server has the next chunk ready whenever it is due.

    ``chunks`` yields (seconds after the start, what begins then); a chunk that was not fetched in time waits.
    """

    def __init__(self, chunks: Iterator[tuple[float, bytes]]) -> None:
        super().__init__(LoopClock())
        self._flood = chunks

    @asynccontextmanager
    async def follow_log(
        self,
        pod: Entity,
        container: str,
        since: dt.datetime | None = None,
        *,
        is_previous: bool = False,
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        if pod.name == "flood":
            yield self._flooded()
            return
        async with super().follow_log(pod, container, since, is_previous=is_previous) as chunks:
            yield chunks

    async def _flooded(self) -> AsyncIterator[bytes]:
        began = asyncio.get_running_loop().time()
        for due, chunk in self._flood:
            wait = began + due - asyncio.get_running_loop().time()
            if wait > 0:
                await asyncio.sleep(wait)
            yield chunk
        await asyncio.Event().wait()


async def flooded(
    source: Flooded, others: int, seconds: int, *, lines_a_second: int = 10
) -> tuple[Heard, PodLogs]:
    """Follow ``flood`` and others, which print steadily, for so long."""
    heard = Heard()
    logs = PodLogs(
        source,
        source.pods,
        heard.take,
        plan=LogPlan(EPOCH),
        clock=LoopClock(),
        chance=MiddleChance(),
    )
    source.add("flood", workload="flood")
    for number in range(others):
        source.add(f"other-{number}", workload=f"w-{number}")
    async with asyncio.TaskGroup() as group:
        task = group.create_task(logs.run())
        await asyncio.sleep(5)
        for number in range(seconds * lines_a_second):
            for other in range(others):
                source.write(f"other-{other}", f"line {number}")
            await asyncio.sleep(1 / lines_a_second)
        await asyncio.sleep(10)
        task.cancel()
    return heard, logs


def lag(heard: Heard) -> float:
    """Return by how many seconds the entries of the others were late at the worst."""
    return max(
        at - (entry.at - EPOCH).total_seconds()
        for at, whose, entry in heard.entries
        if whose.pod.name != "flood"
    )


def steady(size: int, a_second: int, seconds: int, line: bytes) -> Iterator[tuple[float, bytes]]:
    """Yield so many chunks of about ``size`` bytes a second, all of the same text."""
    for number in range(seconds * a_second):
        due = number / a_second
        whole = stamp(EPOCH + dt.timedelta(seconds=due)) + line + b"\n"
        yield due, whole * (size // len(whole))


def entries_of(heard: Heard, name: str) -> list[LogEntry]:
    return [entry for _, whose, entry in heard.entries if whose.pod.name == name]


def test_100_megabytes_a_second_for_a_minute_starve_nobody() -> None:
    chunks = steady(MEGABYTE, 100, 60, b"x" * 9_900)
    heard, logs = virtual_time.run(flooded(Flooded(chunks), others=20, seconds=60))
    assert lag(heard) <= 2.0
    for other in range(20):
        assert len(entries_of(heard, f"other-{other}")) == 600
    status = logs.status()
    read = len([each for each in entries_of(heard, "flood") if not each.dropped_lines])
    told = sum(each.dropped_lines for each in entries_of(heard, "flood"))
    assert told == status.skipped_lines_total
    assert read + told == 60 * 100 * (MEGABYTE // 9_932)  # every line was read or counted
    assert status.skipped_bytes_total > 5_800 * MEGABYTE
    flood = entries_of(heard, "flood")
    for before, gap, behind in zip(flood, flood[1:], flood[2:], strict=False):
        if gap.dropped_lines:  # it stands where its lines would: a hundred megabytes are a second
            missing = (behind.at - before.at).total_seconds()
            assert missing == pytest.approx(gap.dropped_lines / 10_000, abs=0.1)
    assert 50 * log_pace.EACH < 9_932 * read < 75 * log_pace.EACH


def test_a_flood_in_every_log_is_shared_out_evenly() -> None:
    async def main() -> tuple[Heard, PodLogs]:
        source = Containers(LoopClock())
        heard = Heard()
        logs = PodLogs(source, source.pods, heard.take, plan=LogPlan(EPOCH), clock=LoopClock(), chance=MiddleChance())  # fmt: skip
        for number in range(10):
            source.add(f"p-{number}", workload=f"w-{number}")
        async with asyncio.TaskGroup() as group:
            task = group.create_task(logs.run())
            await asyncio.sleep(2)
            for _ in range(12):
                for number in range(10):
                    source.write(f"p-{number}", *[b"y" * 10_000] * 200)  # 2 MB a second each
                await asyncio.sleep(1)
            task.cancel()
        return heard, logs

    heard, logs = virtual_time.run(main())
    shares = [len(entries_of(heard, f"p-{number}")) for number in range(10)]
    assert min(shares) > 0.9 * max(shares)
    assert logs.status().skipped_lines_total > 0


def test_a_backlog_is_read_whole_however_long_that_takes() -> None:
    async def main() -> Heard:
        source, heard = Containers(LoopClock()), Heard()
        logs = PodLogs(source, source.pods, heard.take, plan=LogPlan(EPOCH), clock=LoopClock(), chance=MiddleChance())  # fmt: skip
        source.add("a")
        for second in range(2000):
            source.write("a", *[b"z" * 4_000] * 2, at=EPOCH + dt.timedelta(seconds=second))
        await asyncio.sleep(2000)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(logs.run())
            await asyncio.sleep(60)
            task.cancel()
        assert logs.status().skipped_lines_total == 0
        return heard

    assert len(virtual_time.run(main()).entries) == 4000


def test_a_clock_that_is_set_makes_no_log_late() -> None:
    """Three megabytes at once are a backlog and no flood, and are read in the seconds that follow."""

    async def main() -> PodLogs:
        clock = SteppingClock()
        source, heard = Containers(LoopClock()), Heard()
        logs = PodLogs(source, source.pods, heard.take, plan=LogPlan(EPOCH), clock=clock, chance=MiddleChance())  # fmt: skip
        source.add("a")
        async with asyncio.TaskGroup() as group:
            task = group.create_task(logs.run())
            await asyncio.sleep(5)
            for hours in (0, 1, 24, -24, 0, 87_600):
                source.write("a", "before")
                await asyncio.sleep(1)
                clock.step = dt.timedelta(hours=hours)
                source.write("a", *[b"z" * 10_000] * 300)
                await asyncio.sleep(20)
            task.cancel()
        assert len(heard.entries) == 6 * 301
        return logs

    assert virtual_time.run(main()).status().skipped_lines_total == 0


def test_a_line_of_100_megabytes_is_cut_and_counted_and_the_next_is_whole() -> None:
    at = stamp(EPOCH)

    def chunks() -> Iterator[tuple[float, bytes]]:
        yield 0, at
        for _ in range(100):
            yield 1, b"w" * MEGABYTE
        yield 2, b"\n" + stamp(EPOCH + dt.timedelta(seconds=2)) + b"next\n"

    tracemalloc.start()
    heard, logs = virtual_time.run(flooded(Flooded(chunks()), others=3, seconds=120))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    first, *rest = [each for each in entries_of(heard, "flood") if not each.dropped_lines]
    assert len(first.text) < 20_000
    assert [each.text for each in rest] == ["next"]
    assert lag(heard) <= 2.0
    assert logs.status().cut_lines_total == 1
    assert peak < 12 * MEGABYTE


def binary() -> Iterator[tuple[float, bytes]]:
    rng = random.Random(1)
    for second in range(30):
        at = stamp(EPOCH + dt.timedelta(seconds=second))
        yield second, b"".join(at + rng.randbytes(500).replace(b"\n", b" ") + b"\n" for _ in range(20))  # fmt: skip


def test_what_is_no_text_is_named_by_its_size_and_counted() -> None:
    heard, logs = virtual_time.run(flooded(Flooded(binary()), others=3, seconds=30))
    assert logs.status().binary_lines_total == 600
    assert {each.text for each in entries_of(heard, "flood")} == {"(binary, 531 bytes)"} or all(
        each.text.startswith("(binary, ") for each in entries_of(heard, "flood")
    )
    assert lag(heard) <= 2.0


def distinct(count: int) -> Iterator[tuple[float, bytes]]:
    letters = "abcdefghijklmnopqrstuvwxyz"
    rng = random.Random(2)
    words = ["".join(rng.choices(letters, k=7)) for _ in range(5000)]
    for number in range(count // 500):
        at = stamp(EPOCH + dt.timedelta(seconds=number / 10))
        lines = (" ".join(rng.choices(words, k=4)).encode() for _ in range(500))
        yield number / 10, b"".join(at + line + b"\n" for line in lines)


def test_lines_that_never_repeat_cost_a_bounded_memory() -> None:
    heard, logs = virtual_time.run(flooded(Flooded(distinct(10_000)), others=2, seconds=5))
    (miner,) = (miner for kin, miner in logs._miners.items() if "flood" in kin[0])
    assert miner.lines == 10_000
    assert len(miner.templates()) <= 512
    assert lag(heard) <= 2.0


@pytest.mark.figures
def test_what_is_evil_to_read_takes_no_more_than_half_a_core_and_delays_nobody() -> None:
    """In real time: the slowest lines that were found, as fast as they are read."""

    async def main() -> tuple[float, float, float]:
        clock = SystemClock()
        evil = b"password" * 2000

        def chunks() -> Iterator[tuple[float, bytes]]:
            while True:
                yield 0, stamp(clock.now()) + evil + b"\n"

        source, heard = Flooded(chunks()), Heard()
        source._clock = clock
        source.add("flood", workload="flood")
        source.add("other", workload="other")
        logs = PodLogs(
            source,
            source.pods,
            heard.take,
            plan=LogPlan(clock.now()),
            clock=clock,
            chance=MiddleChance(),
        )
        async with asyncio.TaskGroup() as group:
            task = group.create_task(logs.run())
            await asyncio.sleep(1)
            began, spent = clock.monotonic(), time.process_time()
            for number in range(30):
                source.write("other", f"line {number}")
                await asyncio.sleep(0.1)
            took, used = clock.monotonic() - began, time.process_time() - spent
            task.cancel()
        late = max((each.at - clock.now()).total_seconds() for each in entries_of(heard, "other"))
        return took, used, late

    with asyncio.Runner() as runner:
        took, used, late = runner.run(main())
    assert used < 0.6 * took
    assert late < 1.0
