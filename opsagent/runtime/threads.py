"""Threads for blocking work, for which nobody waits when the process ends.

The interpreter joins the threads of the standard library's executors before it exits, so one that waits for a silent
server would hold up the end for as long as its time-out. Those here are daemons: what they wait for is given up.
They may only do what can be given up at any point, like reading from a network.
"""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from queue import Empty, SimpleQueue
from threading import Thread
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class ForsakenThreads(Executor):
    """At most ``count`` threads, made when they are needed; ``submit`` belongs to one thread."""

    def __init__(self, count: int, name: str) -> None:
        self._count = count
        self._name = name
        self._threads = 0
        self._waiting: SimpleQueue[tuple[Future[object], Callable[[], None]] | None] = SimpleQueue()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Let a thread do it, as soon as one is free."""
        future: Future[T] = Future()
        self._waiting.put((future, partial(_do, future, partial(fn, *args, **kwargs))))  # type: ignore[arg-type] # a future is invariant
        if self._threads < self._count:
            self._threads += 1
            Thread(target=self._work, name=f"{self._name}_{self._threads}", daemon=True).start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 - the base's signature; nobody is waited for
        """Let the threads end when what was handed in is done, or given up if ``cancel_futures``."""
        while cancel_futures:
            try:
                given_up = self._waiting.get_nowait()
            except Empty:
                break
            if given_up is not None:
                given_up[0].cancel()
        for _ in range(self._threads):
            self._waiting.put(None)

    def _work(self) -> None:
        while (task := self._waiting.get()) is not None:
            task[1]()


def _do(future: "Future[T]", work: Callable[[], T]) -> None:
    """Do it, and tell the future what came of it."""
    if not future.set_running_or_notify_cancel():
        return
    try:
        answer = work()
    except BaseException as error:  # noqa: BLE001 - whoever waits for the future raises it, bugs too
        future.set_exception(error)
    else:
        future.set_result(answer)
