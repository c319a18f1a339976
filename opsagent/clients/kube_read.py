"""``ports.ClusterReader`` over any ``KubeTransport``: list pages, watches, single objects, pod logs.

Refuses to be an informer: it holds no state but a counter, and answers Gone when the server does;
``sources.reflector`` keeps the picture. What cannot be decoded is counted and skipped.
"""

import datetime as dt
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence

from opsagent.clients import kube_wire as wire
from opsagent.clients.kube_path import collection_path, object_path
from opsagent.clients.kube_status import raise_for_status
from opsagent.model.entity import Entity, Kind
from opsagent.model.kube import KubeObject
from opsagent.model.signal import LogRecord
from opsagent.ports import KubeAnswer, KubeTransport, ListPage, NotFound, Transient, WatchEvent

EVENT_BYTES_MAX = 8 * 1024 * 1024  # etcd refuses objects above 1.5 MiB, JSON may inflate them
LOG_BYTES_MAX = 256 * 1024
FAILURE_BYTES_MAX = 64 * 1024
WATCH_SECONDS = 600  # then the server ends the watch; client-go asks for 5 to 10 minutes


class LineFraming:
    """Cuts a byte stream at ends of lines; a line above ``bytes_max`` is dropped and counted.

    Sans-IO: the caller feeds chunks of any size. A line that the stream ends in the middle of is
    never given out: the next watch delivers it again.
    """

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._parts: list[bytes] = []
        self._size = 0
        self.dropped_total = 0

    def feed(self, chunk: bytes) -> Sequence[wire.Block]:
        """Return blocks of the whole lines that ``chunk`` completes, in order.

        Only the line that begins in an earlier chunk is copied; the others are seen where they are.
        """
        if not self._size and len(chunk) <= self._bytes_max and chunk.endswith(b"\n"):
            return (chunk,)  # most chunks are whole lines
        return list(self._cut(chunk))

    def _cut(self, chunk: bytes) -> Iterator[wire.Block]:
        first, last = chunk.find(b"\n") + 1, chunk.rfind(b"\n") + 1
        if first:
            self._add(chunk[:first])
            if self._size > self._bytes_max + 1:
                self.dropped_total += 1
            else:
                yield b"".join(self._parts)
            self._parts.clear()
            self._size = 0
        if last - first > self._bytes_max:
            yield from self._small_lines(chunk[first:last])
        elif last > first:
            yield memoryview(chunk)[first:last]
        self._add(chunk[last:])

    def _small_lines(self, chunk: bytes) -> Iterator[bytes]:
        for line in chunk.split(b"\n")[:-1]:
            if len(line) > self._bytes_max:
                self.dropped_total += 1
            else:
                yield line

    def _add(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > self._bytes_max + 1:
            self._parts.clear()  # of a line too long only the size is remembered
        elif part:
            self._parts.append(part)


class KubeReader:
    """Reads as the transport's identity.

    ``tap`` is shown the bytes of every list page and watch line before what they hold is given out.
    """

    def __init__(
        self, transport: KubeTransport, *, tap: Callable[[bytes], None] | None = None
    ) -> None:
        self._transport = transport
        self._tap = tap
        self._malformed_total = 0

    @property
    def malformed_total(self) -> int:
        """Objects, watch lines and log lines that could not be decoded so far."""
        return self._malformed_total

    async def list_page(
        self, kind: Kind, *, namespace: str = "", continue_token: str = "", limit: int = 500
    ) -> ListPage:
        """Return one page of at most ``limit`` objects; an empty ``namespace`` means all.

        Raises:
            Transient, Forbidden, NotFound, Gone, Terminal: see ``kube_status``.
        """
        query = {"limit": str(limit)}
        if continue_token:
            query["continue"] = continue_token
        body = await self._get(collection_path(kind, namespace), query)
        try:
            page = wire.decode_list(kind, body)
        except wire.Malformed as error:
            self._malformed_total += 1
            raise Transient(f"the list of {kind.value} is no list: {error}") from error
        self._malformed_total += page.malformed
        if self._tap is not None:
            self._tap(body)
        return page

    async def watch(
        self, kind: Kind, resource_version: str, *, namespace: str = ""
    ) -> AsyncIterator[WatchEvent]:
        """Yield events after ``resource_version`` until the server ends the watch.

        Raises:
            Gone: the version is too old, as an HTTP status or as an event.
            Transient, Forbidden, NotFound, Terminal: see ``kube_status``.
        """
        path = collection_path(kind, namespace)
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(WATCH_SECONDS),
        }
        async with self._transport.stream(path, query=query) as (status, chunks):
            await check_stream(status, chunks, f"watch {path}")
            framing = LineFraming(EVENT_BYTES_MAX)
            async for chunk in chunks:
                dropped_before = framing.dropped_total
                blocks = framing.feed(chunk)
                self._malformed_total += framing.dropped_total - dropped_before
                for block in blocks:
                    for event in self._events(kind, block):
                        if event is None:
                            self._malformed_total += 1
                        else:
                            yield event

    def _events(self, kind: Kind, block: wire.Block) -> Iterator[WatchEvent | None]:
        if self._tap is None:
            return wire.decode_watch_block(kind, block)
        return self._tapped(self._tap, kind, block)

    @staticmethod
    def _tapped(
        tap: Callable[[bytes], None], kind: Kind, block: wire.Block
    ) -> Iterator[WatchEvent | None]:
        for line in wire.lines_of(block):  # each is shown before what it holds is given out
            for event in wire.decode_watch_block(kind, line):
                if event is not None:
                    tap(line)
                yield event

    async def get(self, entity: Entity) -> KubeObject:
        """Return one object.

        Raises:
            NotFound: there is none. Transient: none that can be read (also if it is malformed).
            Forbidden, Terminal: see ``kube_status``.
        """
        body = await self._get(object_path(entity), None)
        try:
            return wire.decode_object(entity.kind, body)
        except wire.Malformed as error:
            self._malformed_total += 1
            raise Transient(f"{entity} cannot be decoded: {error}") from error

    async def pod_log(
        self, pod: Entity, container: str, *, previous: bool = False, tail_lines: int = 100
    ) -> tuple[LogRecord, ...]:
        """Return up to ``tail_lines`` last lines, oldest first; at most 256 KiB are read.

        Bytes that are no UTF-8 are replaced. Lines without a stamp are counted as malformed.

        Raises:
            NotFound: no such pod, or this container has no (previous) log yet.
            Transient, Forbidden, Terminal: see ``kube_status``.
        """
        path = f"{object_path(pod)}/log"
        query = {
            "container": container,
            "timestamps": "true",
            "tailLines": str(tail_lines),
            "limitBytes": str(LOG_BYTES_MAX),
        }
        if previous:
            query["previous"] = "true"
        async with self._transport.stream(path, query=query) as (status, chunks):
            if status == 400:  # noqa: PLR2004 - HTTP: waiting to start, or no previous container
                raise NotFound(f"{pod} has no such log of container {container[:80]!r}")
            await check_stream(status, chunks, f"log {path}")
            content = await _read_up_to(chunks, LOG_BYTES_MAX)
        return self._log_records(pod, container, content)

    async def _get(self, path: str, query: Mapping[str, str] | None) -> bytes:
        answer = await self._transport.request("GET", path, query=query)
        raise_for_status(answer, f"GET {path}")
        return answer.body

    def _log_records(self, pod: Entity, container: str, content: bytes) -> tuple[LogRecord, ...]:
        lines = content.split(b"\n")
        if len(content) == LOG_BYTES_MAX:
            lines.pop()  # cut in the middle
        records = []
        for line in lines:
            stamp, _, text = line.removesuffix(b"\r").partition(b" ")
            at = parse_stamp(stamp)
            if at is not None:
                records.append(LogRecord(at, pod, container, text.decode(errors="replace")))
            elif line:
                self._malformed_total += 1
        return tuple(records)


def parse_stamp(stamp: bytes) -> dt.datetime | None:
    """Return an RFC 3339 stamp of up to nanoseconds as aware UTC, cut to microseconds; None if it is none."""
    try:
        at = dt.datetime.fromisoformat(stamp.decode("ascii"))
        return None if at.tzinfo is None else at.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        return None


async def check_stream(status: int, chunks: AsyncIterator[bytes], subject: str) -> None:
    """Raise what a stream's ``status`` means, unless it is 200: see ``kube_status``."""
    if status != 200:  # noqa: PLR2004 - HTTP
        body = await _read_up_to(chunks, FAILURE_BYTES_MAX)
        raise_for_status(KubeAnswer(status, body), subject)


async def _read_up_to(chunks: AsyncIterator[bytes], bytes_max: int) -> bytes:
    content = bytearray()
    async for chunk in chunks:
        content += chunk
        if len(content) >= bytes_max:
            break
    return bytes(content[:bytes_max])
