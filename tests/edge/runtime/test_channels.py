"""A channel is bounded: full means wait or drop the oldest, and every drop is counted."""

import asyncio

import pytest

from opsagent.runtime.channels import Channel, WhenFull
from tests.fakes import virtual_time


async def test_items_come_out_in_order():
    channel: Channel[int] = Channel(3)
    for item in (1, 2, 3):
        await channel.put(item)
    assert len(channel) == 3
    assert [await channel.get(), *channel.drain(10)] == [2 - 1, 2, 3]
    assert channel.drain(10) == []


async def test_drain_takes_no_more_than_asked():
    channel: Channel[int] = Channel(5)
    for item in range(5):
        await channel.put(item)
    assert channel.drain(2) == [0, 1]
    assert channel.drain(0) == []
    assert len(channel) == 3


def test_a_full_channel_makes_the_producer_wait():
    async def scenario() -> tuple[list[int], int]:
        channel: Channel[int] = Channel(1)
        finished: list[int] = []

        async def produce() -> None:
            for item in range(3):
                await channel.put(item)
                finished.append(item)

        async with asyncio.TaskGroup() as group:
            group.create_task(produce())
            await asyncio.sleep(60)
            assert finished == [0]
            for _ in range(3):
                await channel.get()
        return finished, channel.dropped_total

    assert virtual_time.run(scenario()) == ([0, 1, 2], 0)


async def test_a_channel_that_drops_keeps_the_newest_and_counts():
    channel: Channel[int] = Channel(2, WhenFull.DROP_OLDEST)
    for item in range(5):
        await channel.put(item)
    assert channel.drain(10) == [3, 4]
    assert (channel.put_total, channel.dropped_total) == (5, 3)


def test_a_cancelled_get_loses_nothing():
    async def scenario() -> list[int]:
        channel: Channel[int] = Channel(1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await channel.get()
        await channel.put(7)
        return channel.drain(1)

    assert virtual_time.run(scenario()) == [7]


def test_a_channel_without_room_is_refused():
    with pytest.raises(AssertionError):
        Channel(0)
