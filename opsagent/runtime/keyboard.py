"""Listens to a person at the terminal without stopping the loop."""

import asyncio
import contextlib
import sys
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def typed(news: asyncio.Event) -> Iterator[Callable[[], bool]]:
    """Set ``news`` once a line was typed on standard input; yield whether one was. The line stays to be read."""
    loop, terminal = asyncio.get_running_loop(), sys.stdin.fileno()
    seen = asyncio.Event()

    def notice() -> None:
        loop.remove_reader(terminal)  # it would call again and again until the line is read
        seen.set()
        news.set()

    loop.add_reader(terminal, notice)
    try:
        yield seen.is_set
    finally:
        loop.remove_reader(terminal)
