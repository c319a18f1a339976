"""Threads for blocking work: few, told apart from bugs, and given up when the process ends."""

import asyncio
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError

import pytest

from opsagent.ports import Transient
from opsagent.runtime.threads import ForsakenThreads


@pytest.fixture
def threads() -> Iterator[ForsakenThreads]:
    made = ForsakenThreads(2, "test")
    yield made
    made.shutdown()


def test_work_is_done_by_no_more_threads_than_there_may_be(threads: ForsakenThreads) -> None:
    names = {threads.submit(lambda: threading.current_thread().name).result() for _ in range(20)}
    assert names <= {"test_1", "test_2"}


def test_what_fails_is_told_and_the_thread_goes_on(threads: ForsakenThreads) -> None:
    def fail() -> None:
        raise Transient("away")

    for _ in range(5):
        with pytest.raises(Transient, match="away"):
            threads.submit(fail).result()
    assert threads.submit(sum, (1, 2)).result() == 3


def test_a_bug_is_told_to_whoever_waits_and_the_only_thread_goes_on() -> None:
    """It ended once with its traceback: work that came before that was noticed waited for ever."""
    threads = ForsakenThreads(1, "test")
    for _ in range(200):
        with pytest.raises(ZeroDivisionError):
            threads.submit(lambda: 1 / 0).result()
    assert threads.submit(sum, (1, 2)).result(10) == 3
    threads.shutdown()


def test_what_waits_is_given_up_at_the_end() -> None:
    threads, goes_on = ForsakenThreads(1, "test"), threading.Event()
    busy, waiting = threads.submit(goes_on.wait), threads.submit(goes_on.wait)
    threads.shutdown(cancel_futures=True)
    with pytest.raises(CancelledError):
        waiting.result()
    goes_on.set()
    assert busy.result()


async def test_a_loop_waits_for_it_and_may_give_up() -> None:
    threads, goes_on = ForsakenThreads(1, "test"), threading.Event()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await asyncio.get_running_loop().run_in_executor(threads, goes_on.wait)
    goes_on.set()
    assert await asyncio.get_running_loop().run_in_executor(threads, sum, (1, 2)) == 3
    threads.shutdown()


async def test_a_process_ends_while_one_still_waits() -> None:
    program = (
        "import threading; from opsagent.runtime.threads import ForsakenThreads;"
        "ForsakenThreads(1, 'test').submit(threading.Event().wait)"
    )
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
    assert await child.wait() == 0
