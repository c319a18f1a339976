"""Follows selections of series: asks every while for what is new, without a gap, and hands blocks on.

Theory. How far a selection is known is told by its newest sample, not by our clock: a clock that is set forward asks
for more than there is, one that is set back for what is known already, and neither loses anything. Each round of
questions begins a little before the newest sample, because scrapes are written down a moment after their stamp; so
what comes is told twice, and whoever keeps samples knows them by their stamps. After an outage, and at the start, a
round has many pieces, one after the other, from where the last one ended; what lies further back than
``outage_seconds_max`` is skipped and counted. Pieces grow and shrink with the samples that they bring, so memory has
a bound however many series there are. One question is on its way at a time, and the selections take turns.

A source that has no samples to give is asked for ranges instead, on a grid of ``step_seconds``, and only for what lies
``overlap_seconds`` back: what is seen at an instant may change until the scrape before it is written down.

One selection that fails waits with growing jitter; the others go on. The sink is awaited, so a slow consumer slows
the questions down. Nothing that a source sends is judged here.
"""

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import structlog

from opsagent.model.series import Selection, SeriesBlock
from opsagent.ports import Chance, Clock, NotFound, SeriesSource, Terminal, Transient
from opsagent.runtime.retry import Backoff, BackoffPolicy

POLICY = BackoffPolicy()
Sink: TypeAlias = Callable[[Selection, SeriesBlock, dt.datetime], Awaitable[None]]
EPOCH = dt.datetime.fromtimestamp(0, dt.UTC)
ADVICE = "check the metrics section ('opsagent doctor' asks it); what is missing by then is asked for later"
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class FeedPace:
    """When to ask, and for how much.

    Attributes:
        period_seconds: between two questions; at least the time between two scrapes.
        step_seconds: between two instants of a range.
        overlap_seconds: how far a question reaches behind what is known; a scrape may last ten.
        baseline_seconds: how much of the past is read at the start.
        outage_seconds_max: what is older is not asked for any more.
        piece_seconds: the span of the first question.
        piece_seconds_min: the shortest span of one.
        piece_seconds_max: the longest, however little it brings: more may come.
        piece_samples: how many samples one answer should bring; 28 bytes each on the way, 16 in memory.
    """

    period_seconds: float = 30.0
    step_seconds: float = 30.0
    overlap_seconds: float = 60.0
    baseline_seconds: float = 2 * 3600.0
    outage_seconds_max: float = 6 * 3600.0
    piece_seconds: float = 300.0
    piece_seconds_min: float = 30.0
    piece_seconds_max: float = 3600.0
    piece_samples: int = 500_000


@dataclass(slots=True)
class FeedCounters:
    """What a feed did since it was made."""

    questions_total: int = 0
    samples_total: int = 0
    partial_total: int = 0  # answers in which something may be missing
    failures_total: int = 0
    skipped_seconds_total: float = 0.0  # of all selections, lost to long outages


@dataclass(frozen=True, slots=True)
class FeedStatus:
    """How well one selection is known. ``newest_at`` is its newest sample; ``last_error`` is empty while all is well."""

    selection: Selection
    newest_at: dt.datetime
    lag_seconds: float
    is_sampled: bool  # False: it is asked for ranges
    last_error: str


@dataclass(frozen=True, slots=True)
class Following:
    """What to follow. ``since``: up to when the sink knows a selection, from before a restart."""

    selections: Sequence[Selection] = tuple(Selection)
    since: Mapping[Selection, dt.datetime] = field(default_factory=dict)
    pace: FeedPace = FeedPace()


@dataclass(slots=True)
class _Scope:
    """One selection. ``due`` is loop time. ``cursor`` is where the next piece of a round begins, None between rounds."""

    selection: Selection
    newest_at: dt.datetime
    asked_until: dt.datetime
    backoff: Backoff
    piece: dt.timedelta
    cursor: dt.datetime | None = None
    due: float = 0.0
    is_seen: bool = False  # whether it ever had a sample
    is_sampled: bool = True
    error: str = ""


class SeriesFeed:
    """Tells ``sink`` every sample of the selections.

    Args:
        source: whom to ask.
        following: for what.
        sink: takes (selection, samples, the instant of the answer). If it fails, the same is told again later.
        clock: says what is now.
        chance: spreads the waits after failures.
        beat: called at each sign of life.
    """

    def __init__(
        self,
        source: SeriesSource,
        following: Following,
        sink: Sink,
        *,
        clock: Clock,
        chance: Chance,
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        assert following.selections
        self._source = source
        self._sink = sink
        self._clock = clock
        self._beat = beat
        self._pace = pace = following.pace
        self._overlap = dt.timedelta(seconds=pace.overlap_seconds)
        self._step = dt.timedelta(seconds=pace.step_seconds)
        self.counters = FeedCounters()
        begin = clock.now() - dt.timedelta(seconds=pace.baseline_seconds)
        piece = dt.timedelta(seconds=pace.piece_seconds)
        known = {each: following.since.get(each, begin) for each in following.selections}
        self._scopes = [
            _Scope(each, at, at, Backoff(chance, POLICY), piece) for each, at in known.items()
        ]

    def status(self) -> tuple[FeedStatus, ...]:
        """Return how well each selection is known now."""
        now = self._clock.now()
        return tuple(
            FeedStatus(
                each.selection,
                each.newest_at,
                (now - each.newest_at).total_seconds(),
                each.is_sampled,
                each.error,
            )
            for each in self._scopes
        )

    async def run(self) -> None:
        """Ask until cancelled; no answer of the source ends it."""
        loop = asyncio.get_running_loop()
        while True:
            for scope in self._scopes:
                self._beat()
                if scope.due <= loop.time():
                    wait = await self._follow(scope)
                    scope.due = loop.time() + wait
            await asyncio.sleep(max(min(each.due for each in self._scopes) - loop.time(), 0.0))

    async def _follow(self, scope: _Scope) -> float:
        """Ask for one piece; return how long to wait before the next."""
        try:
            is_last = await (self._sample(scope) if scope.is_sampled else self._see(scope))
        except NotFound:
            scope.is_sampled, scope.cursor = False, None
            return 0.0
        except (Transient, Terminal) as failure:
            return self._note_failure(scope, failure)
        scope.error = ""
        scope.backoff.reset()
        return self._pace.period_seconds if is_last else 0.0

    async def _sample(self, scope: _Scope) -> bool:
        """Ask for the samples of one piece; return whether it was the last of a round."""
        now = self._clock.now()
        start = scope.cursor or self._not_too_old(min(scope.newest_at, now) - self._overlap, now)
        start = min(start, now)
        end = min(start + scope.piece, now)
        self.counters.questions_total += 1
        block = await self._source.samples(scope.selection, start=start, end=end)
        self._note_skipped(scope, start)
        await self._tell(scope, block)
        scope.asked_until = end
        if not scope.is_seen:  # there is nothing, and no reason to ask for it again and again
            scope.newest_at = end
        scope.cursor = end if end < now else None
        return end == now

    async def _see(self, scope: _Scope) -> bool:
        """Ask for a range, each instant of the grid once; return whether it was the last of a round."""
        now = self._clock.now()
        settled = _floor(now - self._overlap, self._step)
        start = self._not_too_old(scope.asked_until, now)
        first = _floor(start, self._step) + self._step
        last = min(_floor(first + scope.piece, self._step), settled)
        if first > last:
            return True
        self.counters.questions_total += 1
        block = await self._source.range(scope.selection, start=first, end=last, step=self._step)
        self._note_skipped(scope, start)
        await self._tell(scope, block)
        scope.asked_until = last
        return last == settled

    def _not_too_old(self, start: dt.datetime, now: dt.datetime) -> dt.datetime:
        return max(start, now - dt.timedelta(seconds=self._pace.outage_seconds_max))

    def _note_skipped(self, scope: _Scope, start: dt.datetime) -> None:
        skipped = start - max(scope.newest_at, scope.asked_until)
        self.counters.skipped_seconds_total += max(skipped.total_seconds(), 0.0)

    async def _tell(self, scope: _Scope, block: SeriesBlock) -> None:
        """Hand the answer on, then note what is known by it."""
        self._beat()
        now = self._clock.now()
        await self._sink(scope.selection, block, now)
        samples = len(block.stamps)
        self.counters.samples_total += samples
        self.counters.partial_total += block.is_partial
        if samples:
            scope.is_seen = True
            newest = EPOCH + dt.timedelta(milliseconds=int(block.stamps.max()))
            scope.newest_at = max(scope.newest_at, min(newest, now))
        grown = min(max(self._pace.piece_samples / max(samples, 1), 0.5), 2.0)
        self._resize(scope, grown)

    def _note_failure(self, scope: _Scope, failure: Exception) -> float:
        """Note it; return how long to wait."""
        self.counters.failures_total += 1
        if isinstance(failure, Terminal):  # it may have been too much
            self._resize(scope, 0.5)
        reason = f"{type(failure).__name__}: {failure}"
        if reason != scope.error:
            name = scope.selection.value
            _log.warning("series.failed", selection=name, reason=reason, advice=ADVICE)
        scope.error = reason
        return scope.backoff.next_seconds(failure)

    def _resize(self, scope: _Scope, factor: float) -> None:
        least = dt.timedelta(seconds=self._pace.piece_seconds_min)
        most = dt.timedelta(seconds=self._pace.piece_seconds_max)
        scope.piece = min(max(scope.piece * factor, least), most)


def _floor(at: dt.datetime, step: dt.timedelta) -> dt.datetime:
    """Return the last instant of the grid that is not after ``at``."""
    return EPOCH + (at - EPOCH) // step * step
