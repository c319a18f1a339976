"""The daemon's way to the feed: ``ports.KubeTransport`` and ``ports.SeriesSource`` on virtual time.

Asking is a blocking line and answer through two pipes: to wait for the other process costs this one no time. Nothing is
made up or parsed here but the Lease.
"""

import asyncio
import datetime as dt
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

import msgspec

from opsagent.clients.prometheus_remote import RemoteReader
from opsagent.model.series import Selection, SeriesBlock
from opsagent.ports import KubeAnswer, Transient
from tests.bench.five_days.volume import BURST_SECONDS, PODS, SIZE, Volume
from tests.fakes.virtual_time import EPOCH

_NUMBERS = {pod.name: pod.number for pod in PODS}
_LOG = re.compile(r"/pods/([^/]+)/log$")
_TOLD = ("pods", "deployments", "events")  # the others are quiet
# Each question takes two switches from process to process.
_WATCHED_AT_ONCE = 100
_BURSTS_AT_ONCE = 4
_SELECTIONS = tuple(Selection)


@dataclass
class Pipe:
    """The other process."""

    process: subprocess.Popen[bytes]

    def ask(self, question: str) -> bytes:
        """Return the answer to one question."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{question}\n".encode())
        self.process.stdin.flush()
        (size,) = SIZE.unpack(self.process.stdout.read(SIZE.size))
        return self.process.stdout.read(size)


@contextmanager
def feeding(seed: int, scale: float) -> Iterator[Pipe]:
    """Run the feed for the length of the block."""
    command = [sys.executable, "-m", "tests.bench.five_days.feed"]
    with subprocess.Popen(
        [*command, f"--seed={seed}", f"--scale={scale}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        try:
            yield Pipe(process)
        finally:
            process.kill()


def _elapsed() -> float:
    return asyncio.get_running_loop().time()


@dataclass
class FedCluster:
    """The API server: lists, watches and logs from the feed, and a Lease that nobody else wants."""

    pipe: Pipe
    volume: Volume
    events_total: int = 0
    _lease: bytes = b""
    _lease_version: int = 0
    _told: dict[str, int] = field(default_factory=dict)

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,  # noqa: ARG002 - the port's
        body: bytes | None = None,
        content_type: str = "application/json",  # noqa: ARG002 - the port's
    ) -> KubeAnswer:
        """Answer a list or the Lease."""
        if "/leases" in path and "/namespaces/" in path:
            return self._answer_lease(method, body)
        return KubeAnswer(200, self.pipe.ask(f"list {path.rpartition('/')[2]}"))

    def _answer_lease(self, method: str, body: bytes | None) -> KubeAnswer:
        if body is not None and method in ("POST", "PUT"):
            lease = msgspec.json.decode(body)
            self._lease_version += 1
            lease["metadata"]["resourceVersion"] = str(self._lease_version)
            self._lease = msgspec.json.encode(lease)
        return KubeAnswer(200 if self._lease else 404, self._lease or b"{}")

    @asynccontextmanager
    async def stream(
        self,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        idle_seconds: float | None = None,  # noqa: ARG002 - it is never lost
    ) -> AsyncIterator[tuple[int, AsyncIterator[bytes]]]:
        """Follow a log, or watch a kind."""
        asked = query or {}
        log = _LOG.search(path)
        if log is None:
            kind = path.rpartition("/")[2]
            yield 200, self._watch(kind, float(asked.get("timeoutSeconds", "300")))
        elif asked.get("previous") == "true":
            yield 404, _nothing()
        else:
            yield 200, self._log(_NUMBERS[log[1]])

    async def _log(self, pod: int) -> AsyncIterator[bytes]:
        """Yield what the pod prints, a burst each ten minutes, each pod at its own second."""
        begin, phase = _elapsed(), pod * BURST_SECONDS / len(PODS)
        end = ((begin - phase) // BURST_SECONDS + 1) * BURST_SECONDS + phase
        while True:
            for chunk in _parted(self.pipe.ask(f"logs {pod} {begin} {end} {_BURSTS_AT_ONCE}")):
                await asyncio.sleep(end - _elapsed())
                begin, end = end, end + BURST_SECONDS
                if chunk:
                    yield chunk

    async def _watch(self, kind: str, seconds: float) -> AsyncIterator[bytes]:
        """Yield one event after another; a quiet kind tells a bookmark each minute."""
        ends = _elapsed() + seconds
        if kind not in _TOLD:
            while _elapsed() < ends:
                await asyncio.sleep(min(60.0, ends - _elapsed()))
                yield b'{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"1"}}}\n'
            return
        every = self.volume.watch_seconds
        phase = _TOLD.index(kind) * every / len(_TOLD)
        while True:
            first = self._told.setdefault(kind, 0)
            told = self.pipe.ask(f"watch {kind} {first} {_WATCHED_AT_ONCE}")
            for line in told.splitlines(keepends=True):
                due = self._told[kind] * every + phase
                if due >= ends:
                    await asyncio.sleep(ends - _elapsed())
                    return
                await asyncio.sleep(max(0.0, due - _elapsed()))
                self._told[kind] += 1
                self.events_total += 1
                yield line

    async def aclose(self) -> None:
        """Nothing is held."""


def _parted(answer: bytes) -> Iterator[bytes]:
    """Yield parts, each of which has its length before it."""
    at = 0
    while at < len(answer):
        begin = at + SIZE.size
        at = begin + SIZE.unpack_from(answer, at)[0]
        yield answer[begin:at]


async def _nothing() -> AsyncIterator[bytes]:
    for chunk in (b"",):
        yield chunk


@dataclass
class FedSeries:
    """Prometheus: samples by remote read."""

    pipe: Pipe
    samples_total: int = 0
    _readers: dict[Selection, RemoteReader] = field(default_factory=dict)

    async def samples(
        self, selection: Selection, *, start: dt.datetime, end: dt.datetime
    ) -> SeriesBlock:
        """Return every sample from ``start`` to ``end``; nothing was scraped before the first moment."""
        begin, until = (max(0, int((at - EPOCH).total_seconds())) for at in (start, end))
        reader = self._readers.setdefault(selection, RemoteReader())
        question = f"samples {_SELECTIONS.index(selection)} {begin} {until + 1}"
        block = reader.block(self.pipe.ask(question))
        self.samples_total += len(block.values)
        return block

    async def range(
        self, selection: Selection, *, start: dt.datetime, end: dt.datetime, step: dt.timedelta
    ) -> SeriesBlock:
        """Refuse: samples can be had."""
        raise Transient(f"nobody needs a range of {selection} from {start} to {end} each {step}")
