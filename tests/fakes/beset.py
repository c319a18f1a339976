"""A cluster and a store of numbers that are beset: broken objects, floods of logs and of series, clocks that step.

The honest parts are the simulated ones; what is bad is put in beside what they say, and counted exactly, so that a
test can compare what was sent with what the daemon says that it saw.
"""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from opsagent.model.series import Selection, SeriesBlock, block_of
from opsagent.ports import KubeAnswer, KubeTransport
from tests.fakes.virtual_time import LoopClock

_ITEMS = b'"items":['
Chunks = Callable[[], Iterator[tuple[float, bytes]]]  # (seconds after it was asked for, what comes)


@dataclass
class SteppingClock(LoopClock):
    """A wall clock that can be set; what waits is not moved by it."""

    step: dt.timedelta = dt.timedelta(0)

    def now(self) -> dt.datetime:
        """Return what the clock on the wall shows."""
        return super().now() + self.step


@dataclass
class BesetCluster:
    """``ports.KubeTransport``.

    Attributes:
        items: JSON of what is no object, put into every page of every kind in ``lists``.
        lists: the last part of the paths that are beset.
        echoes: how often each event of a beset watch is told again.
        lines: told at the beginning of every watch of these kinds.
        floods: the log of a pod whose name begins so is this instead, at the first connection.
    """

    honest: KubeTransport
    items: Sequence[bytes] = ()
    lists: frozenset[str] = frozenset()
    lines: Sequence[bytes] = ()
    floods: Mapping[str, Chunks] = field(default_factory=dict)
    echoes: int = 0
    items_sent: int = 0
    lines_sent: int = 0
    echoes_sent: int = 0
    _flooded: set[str] = field(default_factory=set)

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = "application/json",
    ) -> KubeAnswer:
        """Answer as the honest one does, with more items in a list."""
        answer = await self.honest.request(
            method, path, query=query, body=body, content_type=content_type
        )
        is_list = method == "GET" and path.rpartition("/")[2] in self.lists
        if not is_list or not self.items:
            return answer
        before, found, behind = answer.body.partition(_ITEMS)
        assert found
        self.items_sent += len(self.items)
        more = b",".join(self.items) + (b"" if behind.startswith(b"]") else b",")
        return KubeAnswer(answer.status, before + found + more + behind, answer.headers)

    @asynccontextmanager
    async def stream(
        self,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        idle_seconds: float | None = None,
    ) -> AsyncIterator[tuple[int, AsyncIterator[bytes]]]:
        """Follow a watch with more lines, or a log that is a flood."""
        async with self.honest.stream(path, query=query, idle_seconds=idle_seconds) as (
            status,
            chunks,
        ):
            pod = path.split("/")[-2] if path.endswith("/log") else ""
            flood = next((each for each in self.floods if pod.startswith(each)), None)
            if flood is not None and flood not in self._flooded and status == 200:
                self._flooded.add(flood)
                yield status, _paced(self.floods[flood]())
            elif path.rpartition("/")[2] in self.lists and status == 200:
                yield status, self._watched(chunks)
            else:
                yield status, chunks

    async def _watched(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        for line in self.lines:
            self.lines_sent += 1
            yield line + b"\n"
        async for chunk in chunks:
            for line in chunk.splitlines(keepends=True):  # whole lines, from the sim
                self.echoes_sent += self.echoes * (b'"BOOKMARK"' not in line)
                yield line * (1 + self.echoes)

    async def aclose(self) -> None:
        """End all open streams."""
        await self.honest.aclose()


async def _paced(chunks: Iterator[tuple[float, bytes]]) -> AsyncIterator[bytes]:
    """Yield what is due; what was not fetched in time waits."""
    began = asyncio.get_running_loop().time()
    for due, chunk in chunks:
        wait = began + due - asyncio.get_running_loop().time()
        if wait > 0:
            await asyncio.sleep(wait)
        yield chunk
    await asyncio.Event().wait()


@dataclass
class BesetSeries:
    """``ports.SeriesSource`` of one selection: what ``tell`` makes of start and end; all others are silent.

    ``told`` holds every block that was given out.
    """

    tell: Callable[[dt.datetime, dt.datetime], SeriesBlock]
    selection: Selection = Selection.CONTAINER_MEMORY
    told: list[SeriesBlock] = field(default_factory=list)

    async def samples(
        self, selection: Selection, *, start: dt.datetime, end: dt.datetime
    ) -> SeriesBlock:
        """Return what ``tell`` says."""
        if selection is not self.selection:
            return block_of(())
        self.told.append(self.tell(start, end))
        return self.told[-1]

    async def range(
        self, selection: Selection, *, start: dt.datetime, end: dt.datetime, step: dt.timedelta
    ) -> SeriesBlock:
        """Refuse: samples can be had."""
        raise AssertionError((selection, start, end, step))
