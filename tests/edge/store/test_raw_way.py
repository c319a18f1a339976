"""Long work waits while somebody reads, and not for ever."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from opsagent.store.raw_way import RightOfWay

LONG_SECONDS = 60.0


def test_nobody_waits_where_nobody_reads() -> None:
    way = RightOfWay(LONG_SECONDS)
    way.give()
    with way.taken():
        pass
    way.give()


def test_it_waits_until_the_last_reader_is_done() -> None:
    way = RightOfWay(LONG_SECONDS)
    with ThreadPoolExecutor(1) as thread:
        with way.taken():
            with way.taken():
                waiting = thread.submit(way.give)
            assert not waiting.done()
        waiting.result(LONG_SECONDS / 2)


def test_it_does_not_wait_for_ever() -> None:
    way = RightOfWay(0.001)
    with way.taken():
        way.give()
        way.give()


async def test_on_the_loop_it_is_the_same() -> None:
    way = RightOfWay(LONG_SECONDS)
    await way.let_pass()
    with way.taken():
        waiting = asyncio.ensure_future(way.let_pass())
        await asyncio.sleep(0)
        assert not waiting.done()
    await waiting
    hasty = RightOfWay(0.001)
    with hasty.taken():
        await hasty.let_pass()
    assert not hasty.is_taken
