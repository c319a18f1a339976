"""A person at the terminal is heard without stopping the loop, and what was typed stays to be read."""

import asyncio
import os
import sys
from collections.abc import Iterator

import pytest

from opsagent.runtime.keyboard import typed


@pytest.fixture
def keyboard(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Yield the descriptor that a test types into; standard input reads from its other end."""
    screen, keys = os.pipe()
    with os.fdopen(screen) as stream, os.fdopen(keys, "wb"):
        monkeypatch.setattr(sys, "stdin", stream)
        yield keys


async def test_a_typed_line_is_news_once_and_stays_to_be_read(keyboard: int) -> None:
    news = asyncio.Event()
    with typed(news) as is_typed:
        assert not is_typed()
        os.write(keyboard, b"y\n")
        await news.wait()
        assert is_typed()
    assert sys.stdin.readline() == "y\n"


async def test_other_news_are_not_taken_for_typing(keyboard: int) -> None:
    news = asyncio.Event()
    with typed(news) as is_typed:
        news.set()
        await news.wait()
        assert not is_typed()
    news.clear()
    os.write(keyboard, b"late\n")
    with typed(news):
        await news.wait()
