"""One container's log, followed through breaks, restarts and rotations until it ends for good.

Theory. A connection is read until it ends, whatever ends it, and the next one goes on where it ended: the
``Seam`` leaves out what comes again. What the server shows may be another file than before:

- a new life of the container. The API says so by its count of restarts, or the lines do, because none of
  those known comes again, before the API does. Either way the log of the life before is read first, from the
  last line known, so that last words are heard;
- the same life, rotated while nobody listened: then there is no life before that knows the last line, and
  lines are missing. That is counted and told as an entry.

A container that does not run has no more to say: the stream then waits for news of it and costs nothing. It
never runs hot: connections that end at once are opened ever more rarely.

Reading keeps to the ``LogPace``. What is too much for a second waits for the next one, so that a backlog is
read whole; but a log that falls behind for it by more than ``BEHIND_SECONDS`` is flooded: what is too
much then is skipped, counted, and told as an entry. How late a log is, is measured against how late it was at
best, since clocks of nodes differ.

The sink is awaited, so whoever cannot keep up slows the reading down.
"""

import asyncio
import datetime as dt
import math
from collections.abc import Awaitable, Sequence
from contextlib import AsyncExitStack
from enum import Enum, auto
from typing import TypeVar

from opsagent.model.log import LogEntry
from opsagent.ports import Forbidden, NotFound, Terminal, Transient
from opsagent.runtime.retry import Backoff, BackoffPolicy
from opsagent.signals.logs import gaps
from opsagent.signals.logs.choosing import LogTarget
from opsagent.signals.logs.intake import LogIntake
from opsagent.sources.log_road import LogRoad, Place

# Read in one go: 2 ms of ordinary lines, 36 ms of the worst that was found.
PIECE_BYTES = 16_384
SKIP_BYTES = 262_144  # left out in one go
# A kubelet looks every 10 s whether to rotate, and a follower that far behind would miss a whole file.
BEHIND_SECONDS = 5.0
HEALTHY_SECONDS = 5.0  # a connection that lived this long ended in the ordinary way
LEAVING_SECONDS = 60.0  # to read what a container printed before its pod went away
# A container that ended is mostly known to have ended when its log is asked for again.
POLICY = BackoffPolicy(first_seconds=2.0, limit_seconds=30.0)

T = TypeVar("T")
_FAILURES = (Transient, Forbidden, NotFound, Terminal)
_LOOK_BACKS_MAX = 5  # attempts at the log of the life before, then it is given up


class _Called(Exception):  # noqa: N818 - no error: it ends a wait
    """The owner wants attention."""


class _BrokenError(Exception):
    """The source failed; the sink's failures are not ours to survive."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


class _End(Enum):
    """Why a connection is over."""

    CLEAN = auto()  # the server closed it
    TORN = auto()  # it shows another file
    CALLED = auto()  # the owner wants attention
    FAILED = auto()


class LogStream:
    """Hands the new entries of one container's log to the sink, in order.

    Args:
        road: what all streams share.
        target: the container, as the API last told.
        place: where the log was left.
        intake: makes entries of it.
    """

    def __init__(self, road: LogRoad, target: LogTarget, place: Place, intake: LogIntake) -> None:
        self.target = target
        self.place = place
        self.is_drained = False  # all was read that the container has printed, and it does not run
        self.error = ""
        self._road = road
        self._intake = intake
        self._backoff = Backoff(road.chance, POLICY)
        self._changed = asyncio.Event()
        self._turn = asyncio.Lock()  # entries reach the sink in the order in which they were made
        self._looks_back = target.restarts > place.restarts
        self._look_backs = 0
        self._has_told_missing = False
        self._is_dismissed = self._is_gone = False
        self._connections = 0
        self._limit: asyncio.Timeout | None = None
        self._called_at: float | None = None
        self._stamp = 0.0
        self._least_late = math.inf
        self._gap_lines = self._gap_bytes = 0
        self._counted = self._numbers()

    def update(self, target: LogTarget) -> None:
        """Take note of what the API tells of the container."""
        before, self.target = self.target, target
        if target.restarts > max(before.restarts, self.place.restarts):
            self._looks_back = True
            self._call()
        elif target.is_running is not before.is_running:
            self._changed.set()

    def dismiss(self) -> None:
        """Let go of the log; another stream may go on from ``place``."""
        self._is_dismissed = True
        self._call()

    def leave(self) -> None:
        """End with the log: the pod is gone."""
        self._is_gone = True
        self._call(LEAVING_SECONDS)

    async def run(self, after_seconds: float = 0.0) -> None:
        """Follow until dismissed, or until the pod is gone and its log at an end."""
        if after_seconds:
            await asyncio.sleep(after_seconds)
        while not self._is_over():
            began, lines = self._road.clock.monotonic(), self._intake.framed.lines
            end, failure = await self._read_on()
            lasted = self._road.clock.monotonic() - began >= HEALTHY_SECONDS
            if lasted or self._intake.framed.lines > lines:
                self._backoff.reset()
            if end is _End.CLEAN and not self.target.is_running and not self._is_over():
                await self._end_life()
            elif end in (_End.CLEAN, _End.FAILED) and not self._is_over():
                await self._wait(self._backoff.next_seconds(failure))
        await self._hand_over_rest()

    async def flush(self) -> None:
        """Hand on what waits for more lines: the log is silent."""
        async with self._turn:
            now = self._road.clock.now()
            await self._hand_on([*self._intake.flush(now), *self._gap(now)])

    def _is_over(self) -> bool:
        return self._is_dismissed or self._is_gone

    def _call(self, within_seconds: float = 0.0) -> None:
        """Wake whatever waits, at once or by then."""
        self._changed.set()
        self._called_at = asyncio.get_running_loop().time() + within_seconds
        if self._limit is not None:
            self._limit.reschedule(self._called_at)

    async def _wait(self, seconds: float | None) -> None:
        """Wait for news of the container, at most so long; None means for ever."""
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return

    async def _listen(self, source: Awaitable[T]) -> T:
        """Wait for the source, unless the owner calls."""
        limit = asyncio.timeout_at(self._called_at)
        try:
            async with limit as self._limit:
                return await source
        except (TimeoutError, *_FAILURES) as error:
            if limit.expired():
                raise _Called from error
            raise _BrokenError(error) from error
        finally:
            self._limit = None

    async def _end_life(self) -> None:
        """Hand on what is left, and wait until the container runs again."""
        self._changed.clear()  # that it ended is known
        await self._hand_over_rest()
        self.is_drained = True
        self._road.ended()
        await self._wait(None)
        self.is_drained = False

    async def _read_on(self) -> tuple[_End, Exception | None]:
        """Read one connection to its end, and before it what was missed of the life before; return why it ended."""
        self._changed.clear()
        self._called_at = None
        try:
            if self._looks_back:
                await self._look_back()
            return await self._read(), None
        except _Called:
            return _End.CALLED, None
        except _BrokenError as broken:
            self._road.counters.failures += 1
            self.error = f"{type(broken.cause).__name__}: {broken.cause}"
            return _End.FAILED, broken.cause

    async def _look_back(self) -> None:
        """Read what the life before still has to say; tell, in its place, that anything is missing."""
        place = self.place
        self._look_backs += 1
        if self.target.restarts > place.restarts + 1:  # lives came and went
            await self._tell_missing()
        try:
            await self._read(is_previous=True)
        except _BrokenError as broken:
            if not isinstance(broken.cause, NotFound):
                if self._look_backs < _LOOK_BACKS_MAX:
                    raise
                await self._tell_missing()
        if not place.seam.is_joined:
            await self._tell_missing()
        place.restarts = max(place.restarts + place.seam.is_joined, self.target.restarts)
        place.seam.begin_file()
        self._looks_back = self._has_told_missing = False
        self._look_backs = 0

    async def _tell_missing(self) -> None:
        async with self._turn:
            await self._hand_on(self._missing(self._road.clock.now()))

    def _missing(self, now: dt.datetime) -> list[LogEntry]:
        """Return what tells that lines are missing here, behind all before; once on each way back."""
        if self._has_told_missing:
            return []
        self._has_told_missing = True
        self._road.counters.gaps += 1
        return [*self._intake.flush(now), gaps.missing(now)]

    async def _read(self, *, is_previous: bool = False) -> _End:
        seam, origin = self.place.seam, self.target.origin
        async with self._turn:
            await self._hand_on(self._intake_of(seam.resume(may_tear=not is_previous)))
        self._least_late, self._stamp = math.inf, 0.0
        self._road.counters.reconnects += self._connections > 0
        self._connections += 1
        follow = self._road.source.follow_log(
            origin.pod, origin.container, seam.since, is_previous=is_previous
        )
        async with AsyncExitStack() as stack:
            chunks = await self._listen(stack.enter_async_context(follow))
            self.error = ""
            while (chunk := await self._listen(anext(chunks, None))) is not None:
                await self._take(chunk)
                if seam.is_torn:
                    self._looks_back = True
                    return _End.TORN
        return _End.CLEAN

    async def _take(self, chunk: bytes) -> None:
        self._road.counters.bytes += len(chunk)
        start = 0
        while start < len(chunk) and not self.place.seam.is_torn:
            piece = chunk[start : start + PIECE_BYTES]
            if await self._is_admitted(piece):
                await self._read_piece(piece)
            else:
                piece = chunk[start : start + SKIP_BYTES]
                await self._skip(piece)
            start += len(piece)
            await asyncio.sleep(0)  # let the others speak

    async def _is_admitted(self, piece: bytes) -> bool:
        """Wait until ``piece`` may be read; False if the log is too far behind for that."""
        clock = self._road.clock
        while not self._road.pace.admits(self, len(piece), clock.monotonic()):
            if self._lateness(piece) > BEHIND_SECONDS:
                return False
            await asyncio.sleep(1.0 - clock.monotonic() % 1.0)
        self._lateness(piece)
        return True

    async def _read_piece(self, piece: bytes) -> None:
        clock = self._road.clock
        async with self._turn:
            began = clock.monotonic()
            new = self.place.seam.feed(piece)
            entries = self._entries(new, clock.now())
            self._road.pace.charge(self, len(piece), clock.monotonic() - began)
            await self._hand_on(entries)
        if new:
            self._road.holds(self)

    async def _skip(self, piece: bytes) -> None:
        seam, counters = self.place.seam, self._road.counters
        async with self._turn:
            before = seam.counters.skipped_lines
            entries = self._intake_of(seam.skip(piece))
            self._gap_lines += seam.counters.skipped_lines - before
            self._gap_bytes += len(piece)
            counters.skipped_bytes += len(piece)
            await self._hand_on(entries)
        self._road.holds(self)

    def _lateness(self, piece: bytes) -> float:
        """Return by how many seconds the log is later than it was at best."""
        self._stamp = self.place.seam.latest(piece) or self._stamp
        if not self._stamp:
            return 0.0
        # Only differences count, and a wall clock may be set: then all logs would look late for ever.
        late = self._road.clock.monotonic() - self._stamp
        self._least_late = min(self._least_late, late)
        return late - self._least_late

    def _entries(self, new: bytes, now: dt.datetime) -> list[LogEntry]:
        """Return what follows from new bytes; before it that others are missing, or were skipped."""
        before = self._missing(now) if self.place.seam.has_skipped_ahead else []
        if new and (gap := self._gap(now)):
            before += [*self._intake.flush(now), *gap]
        return before + self._intake_of(new)

    def _intake_of(self, new: bytes) -> list[LogEntry]:
        return self._intake.feed(new, self._road.clock.now()) if new else []

    def _gap(self, now: dt.datetime) -> list[LogEntry]:
        """Return the entry for what was skipped, if anything was."""
        if not self._gap_lines:
            return []
        entry = gaps.skipped(self._gap_lines, self._gap_bytes, now)
        self._gap_lines = self._gap_bytes = 0
        return [entry]

    async def _hand_on(self, entries: Sequence[LogEntry]) -> None:
        if entries:
            self._road.counters.entries += len(entries)
            await self._road.sink(self.target.origin, entries)

    async def _hand_over_rest(self) -> None:
        """Hand on all that is held. Of a log that another stream may go on with, an unfinished line comes again."""
        seam = self.place.seam
        async with self._turn:
            now = self._road.clock.now()
            left = seam.resume() if self._is_dismissed else seam.close()
            entries = self._entries(left, now)
            await self._hand_on([*entries, *self._intake.close(now), *self._gap(now)])
            self.account()

    def account(self) -> None:
        """Add what happened here since the last time to the counters of all."""
        before, self._counted = self._counted, self._numbers()
        counters = self._road.counters
        for name, number in self._counted.items():
            setattr(counters, name, getattr(counters, name) + number - before[name])

    def _numbers(self) -> dict[str, int]:
        framed, seam = self._intake.framed, self.place.seam.counters
        return {
            "lines": framed.lines,
            "cut_lines": framed.cut_lines,
            "binary_lines": framed.binary_lines,
            "skipped_lines": seam.skipped_lines,
            "repeated_lines": seam.repeated_lines,
            "unstamped_lines": seam.unstamped_lines,
            "seams": seam.seams,
        }
