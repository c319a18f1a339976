"""Traces -> who calls whom -> the topology. An archive that fails costs calls, never the daemon: it is counted and shown.

Every few minutes, jittered, it asks for the newest traces in which one process answered another, and reads each of them:
a sample, for an archive of traces is no list of calls. What could not be asked this time is asked with the next,
an hour back at the most. A restart knows nothing until its first look, half a minute after the start.
"""

import asyncio
import datetime as dt
from collections.abc import Callable, Iterator, Sequence

import structlog

from opsagent.model.canonical import JsonValue
from opsagent.model.trace import TraceSearch
from opsagent.ports import Chance, Clock, NotFound, Terminal, TraceArchive, Transient
from opsagent.signals.calls import Call, KnownCalls, Said, calls_in

PERIOD_SECONDS = 300.0
FIRST_SECONDS = 30.0
JITTER = 0.2  # of a period, up or down
TRACES_MAX = 30  # a look; one may be 16 MiB, and takes a third of a second in a thread
BACK_MAX = dt.timedelta(hours=1)
LATE = dt.timedelta(minutes=1)  # spans come some time after they ended
ADVICE = "check the trace_archive section ('opsagent doctor' asks it); until it answers, no new call is learnt"

log = structlog.get_logger(__name__)


class LearnCalls:
    """Tells ``tell`` all known calls after each look at ``archive``. All methods belong to one event loop.

    It waits until it ``is_ready``: before the inventory is listed every name is unknown.
    """

    def __init__(
        self,
        archive: TraceArchive,
        known: KnownCalls,
        tell: Callable[[Sequence[Call]], None],
        *,
        clock: Clock,
        chance: Chance,
        is_ready: Callable[[], bool] = lambda: True,
    ) -> None:
        self._archive = archive
        self._known = known
        self._tell = tell
        self._clock = clock
        self._chance = chance
        self._is_ready = is_ready
        self._seen_until: dt.datetime | None = None
        self._looked_at: float | None = None
        self._traces_total = self._partial_total = self._failures_total = 0
        self._last_error = ""

    async def run(self) -> None:
        """Look until cancelled."""
        await self._wait(FIRST_SECONDS)
        while not self._is_ready():
            await self._wait(FIRST_SECONDS)
        while True:
            await self.look()
            await self._wait(PERIOD_SECONDS)

    async def look(self) -> None:
        """Look once."""
        now = self._clock.now()
        said: set[Said] = set()
        try:
            await self._read(
                TraceSearch("", self._begin(now), now, traces_max=TRACES_MAX, is_call=True), said
            )
        except (Transient, Terminal) as error:
            self._fail(error)
        else:
            self._seen_until, self._looked_at = now, self._clock.monotonic()
            if self._last_error:
                log.info("calls.learnt_again")
            self._last_error = ""
        self._tell(self._known.learn(said, self._clock.monotonic()))

    def complaints(self) -> Iterator[str]:
        """Yield what was not seen."""
        if self._last_error:
            yield f"calls: {self._last_error}"

    def status(self) -> dict[str, JsonValue]:
        """Return how many calls are known, and how well."""
        looked_at = self._looked_at
        return {
            "known": len(self._known),
            "lag_seconds": None
            if looked_at is None
            else round(self._clock.monotonic() - looked_at),
            "traces_total": self._traces_total,
            "partial_total": self._partial_total,
            "unmapped_total": self._known.unmapped_total,
            "dropped_total": self._known.dropped_total,
            "failures_total": self._failures_total,
            "last_error": self._last_error,
            **({"advice": ADVICE} if self._last_error else {}),
        }

    async def _read(self, search: TraceSearch, said: set[Said]) -> None:
        """Put what the traces say into ``said``; one that cannot be read costs itself alone."""
        answer = await self._archive.search(search)
        failure, read = None, 0
        for found in answer.traces:
            try:
                trace = await self._archive.trace(found.trace_id)
            except NotFound:  # it was dropped meanwhile
                self._failures_total += 1
                continue
            except Terminal as error:
                self._failures_total += 1
                failure = error
                continue
            read += 1
            self._traces_total += 1
            self._partial_total += trace.is_partial
            said |= calls_in(trace.spans)
        if failure is not None and not read:
            raise failure

    def _begin(self, now: dt.datetime) -> dt.datetime:
        """Return where to begin; the clock on the wall may have been set back."""
        usual = now - dt.timedelta(seconds=PERIOD_SECONDS)
        since = now - BACK_MAX if self._seen_until is None else min(self._seen_until, usual)
        return max(since - LATE, now - BACK_MAX)

    async def _wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds * self._chance.uniform(1 - JITTER, 1 + JITTER))

    def _fail(self, error: Exception) -> None:
        self._failures_total += 1
        if not self._last_error:
            log.warning("calls.not_learnt", error=str(error))
        self._last_error = str(error)
