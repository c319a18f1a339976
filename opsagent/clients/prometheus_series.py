"""``ports.SeriesSource`` on a real Prometheus: samples by remote read, ranges by query_range, both in bulk.

What speaks only the query part of the API (VictoriaMetrics, Thanos' querier) has no samples to give, which is
``NotFound``; ranges work everywhere. One question at a time is asked and decoded, by a thread of our own: an answer
may hold a million samples, and the loop goes on meanwhile.
"""

import asyncio
import datetime as dt
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeVar
from urllib.parse import urlencode

from opsagent.clients.download import Download, Place
from opsagent.clients.prometheus_bulk import RangeReader
from opsagent.clients.prometheus_remote import HEADERS, READ, RemoteReader, question
from opsagent.clients.prometheus_selections import matchers, selector
from opsagent.clients.prometheus_wire import QUERY_RANGE, grid, warnings_of
from opsagent.clients.rest import timed_out
from opsagent.model.series import Selection, SeriesBlock
from opsagent.ports import NotFound, Transient
from opsagent.runtime.threads import ForsakenThreads

SECONDS_MAX = 30.0  # a million samples took a second, on a busy machine
BYTES_MAX = 64 * 2**20  # two million samples as JSON, five million by remote read
CLOSE_SECONDS = 0.5  # one that connects to nobody cannot be aborted, and is left behind
_OK = 200
_NO_SUCH_PATH = frozenset({404, 405, 501})
_HEAD_BYTES = 1000
_UNSUPPORTED = b"unsupported path"  # VictoriaMetrics says so with a 400
Answer = TypeVar("Answer")


class PrometheusSeries:
    """One Prometheus. ``namespaces``: where to look, everywhere if none. Close it with :meth:`aclose`."""

    def __init__(
        self,
        place: Place,
        *,
        namespaces: Sequence[str] = (),
        seconds_max: float = SECONDS_MAX,
        bytes_max: int = BYTES_MAX,
    ) -> None:
        self._matchers = {each: matchers(each, namespaces) for each in Selection}
        self._seconds_max = seconds_max
        self._download = Download(place, seconds_max=seconds_max, bytes_max=bytes_max)
        self._threads = ForsakenThreads(1, "series")
        self._remote = RemoteReader()
        self._range = RangeReader()

    async def samples(
        self, selection: Selection, *, start: dt.datetime, end: dt.datetime
    ) -> SeriesBlock:
        """Return every sample from ``start`` to ``end``.

        Raises:
            Transient, Terminal, NotFound: see ``ports.SeriesSource``.
        """
        asked = question(self._matchers[selection], milliseconds(start), milliseconds(end))
        return await self._ask(lambda: self._read(asked))

    async def range(
        self, selection: Selection, *, start: dt.datetime, end: dt.datetime, step: dt.timedelta
    ) -> SeriesBlock:
        """Return what is seen each ``step`` from ``start`` to ``end``.

        Raises:
            Transient, Terminal: see ``ports.SeriesSource``.
        """
        asked = range_path(selector(self._matchers[selection]), start, end, step)
        return await self._ask(lambda: self._range.block(*self._download.ask("GET", asked)))

    async def aclose(self) -> None:
        """Close the connection; a question that is still on its way fails."""
        self._download.abort()
        with suppress(Transient):
            await self._ask(self._download.close, CLOSE_SECONDS)
        self._threads.shutdown(wait=False)

    def _read(self, asked: bytes) -> SeriesBlock:
        status, body = self._download.ask("POST", READ, asked, HEADERS)
        return samples_of(self._remote, status, body)

    async def _ask(self, work: Callable[[], Answer], seconds_max: float | None = None) -> Answer:
        loop = asyncio.get_running_loop()
        is_done = False
        seconds_max = seconds_max or self._seconds_max
        try:
            async with asyncio.timeout(seconds_max):
                answer = await loop.run_in_executor(self._threads, work)
            is_done = True
        except TimeoutError as error:
            raise Transient(f"metrics: {timed_out(seconds_max)}") from error
        finally:
            if not is_done:
                self._download.abort()
        return answer


def milliseconds(at: dt.datetime) -> int:
    """Return ``at`` as Unix ms, 1970 if it is before."""
    return max(round(at.timestamp() * 1000), 0)


def range_path(text: str, start: dt.datetime, end: dt.datetime, step: dt.timedelta) -> str:
    """Return path and query of a range of ``text``.

    Raises:
        Terminal: the range makes no sense.
    """
    return f"{QUERY_RANGE}?{urlencode({'query': text, **grid(start, end, step)})}"


def samples_of(reader: RemoteReader, status: int, body: bytes | bytearray) -> SeriesBlock:
    """Return what an answer of remote read holds.

    Raises:
        Transient, Terminal, NotFound: see ``ports.SeriesSource``.
    """
    if status != _OK:
        if status in _NO_SUCH_PATH or _UNSUPPORTED in body[:_HEAD_BYTES]:
            raise NotFound("metrics: the server has no remote read")
        warnings_of(status, bytes(body))  # raises what the server says
    return reader.block(body)
