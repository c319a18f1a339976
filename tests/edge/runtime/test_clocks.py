"""Clocks, ids and loops: real ones, and time that runs faster."""

import asyncio
import datetime as dt
import functools
import re

from opsagent.runtime.clock import SystemClock
from opsagent.runtime.ids import SecureIds
from opsagent.runtime.loops import FollowingClock, ScaledLoop
from opsagent.runtime.schedule import every
from tests.fakes import virtual_time
from tests.fakes.virtual_time import EPOCH


def test_the_system_clock_is_aware_utc_and_its_monotonic_side_does_not_go_back():
    clock = SystemClock()
    assert clock.now().utcoffset() == dt.timedelta(0)
    assert clock.now() > EPOCH - dt.timedelta(days=365)
    assert clock.monotonic() <= clock.monotonic()


def test_tokens_are_long_url_safe_and_never_the_same():
    tokens = {SecureIds().token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(re.fullmatch(r"[\w-]{32,}", token) for token in tokens)


def test_on_a_scaled_loop_a_minute_passes_in_a_fraction_of_a_second():
    async def scenario() -> tuple[float, dt.timedelta]:
        loop = asyncio.get_running_loop()
        clock = FollowingClock(loop, EPOCH)
        before = loop.time()
        await asyncio.sleep(60)
        return loop.time() - before, clock.now() - EPOCH

    real = SystemClock()
    started = real.monotonic()
    with asyncio.Runner(loop_factory=functools.partial(ScaledLoop, 600)) as runner:
        loop_seconds, clock_time = runner.run(scenario())
    assert 60 <= loop_seconds < 600
    assert dt.timedelta(seconds=60) <= clock_time < dt.timedelta(seconds=600)
    assert real.monotonic() - started < 1


def test_a_scaled_loop_still_hears_real_sockets_and_threads():
    async def scenario() -> bytes:
        loop = asyncio.get_running_loop()

        async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"hello")
            writer.close()

        server = await asyncio.start_server(greet, "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            content = await reader.read()
            writer.close()
        assert await loop.run_in_executor(None, lambda: 7) == 7
        return content

    with asyncio.Runner(loop_factory=functools.partial(ScaledLoop, 100)) as runner:
        assert runner.run(scenario()) == b"hello"


def test_every_fires_first_one_period_from_now_and_reads_no_wall_clock():
    async def scenario() -> list[dt.timedelta]:
        clock = FollowingClock(asyncio.get_running_loop(), EPOCH)
        await asyncio.sleep(100)
        trigger = every(dt.timedelta(seconds=30), clock)
        first = trigger.get_next_fire_time(None, clock.now())
        assert first is not None
        second = trigger.get_next_fire_time(first, first)
        assert second is not None
        return [first - EPOCH, second - EPOCH]

    assert virtual_time.run(scenario()) == [dt.timedelta(seconds=130), dt.timedelta(seconds=160)]
