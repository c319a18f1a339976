"""Follows the logs of pods, as many as the budget allows, and hands their entries to a sink.

Theory. ``pods`` is asked what there is whenever ``notice`` told that it changed, at most once in a time that
grows with their number. ``choosing`` says which containers to follow; each has a ``LogStream``. A stream that is
let go of leaves its place, so that another one goes on there later; only pods that are gone are forgotten.

Silence costs nothing: there is one timer for all streams, and it runs only while one of them holds a record
that may go on. A record is let go when its log was silent for ``SILENT_SECONDS``.

What is kept: of each stream its place and one record, of each workload its templates (also for a while when
none of its containers is followed, so that a rollout does not make all of its messages new), one memory of
words for all. All of it is bounded.

It refuses to know Kubernetes' API, storage and what an entry means.
"""

import asyncio
import datetime as dt
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from opsagent.model.following import LogFollowing
from opsagent.model.kube import Pod
from opsagent.ports import Chance, Clock, LogSource
from opsagent.signals.logs.choosing import RECENT, Choice, Health, Key, LogTarget, choose, targets
from opsagent.signals.logs.intake import LogIntake
from opsagent.signals.logs.mining import Miner
from opsagent.signals.logs.scrubbing import Scrubber
from opsagent.signals.logs.seam import Seam
from opsagent.sources.log_pace import LogPace
from opsagent.sources.log_road import Holder, LogCounters, LogRoad, Place, Sink
from opsagent.sources.log_stream import LogStream

STREAMS_MAX = 200
SILENT_SECONDS = 1.0
LAST_WORDS = dt.timedelta(minutes=1)  # of a life that ended before we came, if it was not long ago
SETTLE_SECONDS = 1.0  # between two choices
SETTLE_SECONDS_OF_A_POD = 0.0005  # and for each pod, which costs 5 us: 1 % of a core at the most
START_SECONDS = 0.02  # between two streams that start together: 50 connections a second
MINERS_IDLE_MAX = (
    64  # of workloads none of whose containers is followed; about 1 MiB each at the most
)


@dataclass(frozen=True, slots=True)
class LogPlan:
    """What to follow.

    ``namespaces``: none means all. ``since``: lines of containers that ran before are wanted from then on.
    """

    since: dt.datetime
    streams_max: int = STREAMS_MAX
    namespaces: tuple[str, ...] = ()


class PodLogs:
    """The owner of all streams. All methods belong to one event loop.

    Args:
        source: where logs are read.
        pods: returns all pods that are known now.
        sink: takes (origin, entries), oldest first, and is awaited; whatever it raises ends ``run``.
        plan: what to follow.
        clock: stamps what has no stamp, and measures.
        chance: spreads the waits.
    """

    def __init__(
        self,
        source: LogSource,
        pods: Callable[[], Iterable[Pod]],
        sink: Sink,
        *,
        plan: LogPlan,
        clock: Clock,
        chance: Chance,
    ) -> None:
        self._pods = pods
        self._plan = plan
        self._clock = clock
        self._counters = LogCounters()
        self._road = LogRoad(
            source, sink, clock, chance, LogPace(), self._counters, self._hold, self.notice
        )
        self._scrubber = Scrubber()
        self._miners: OrderedDict[tuple[str, str], Miner] = OrderedDict()
        self._streams: dict[Key, LogStream] = {}
        self._ending: dict[Key, LogStream] = {}
        self._places: OrderedDict[Key, Place] = OrderedDict()
        self._done: dict[
            Key, int
        ] = {}  # containers that have said all, by the life in which they did
        self._left_out = 0
        self._changed = asyncio.Event()
        self._holding: dict[Holder, float] = {}  # by when each was fed, oldest first
        self._is_held = asyncio.Event()

    def notice(self) -> None:
        """Take note that pods have changed, or a log has come to its end."""
        self._changed.set()

    def status(self) -> LogFollowing:
        """Return how well logs are followed."""
        counters = self._counters
        streams = [*self._streams.values(), *self._ending.values()]
        for stream in streams:
            stream.account()
        return LogFollowing(
            streams_open=len(streams),
            not_followed=self._left_out,
            lines_total=counters.lines,
            bytes_total=counters.bytes,
            entries_total=counters.entries,
            skipped_lines_total=counters.skipped_lines,
            skipped_bytes_total=counters.skipped_bytes,
            repeated_lines_total=counters.repeated_lines,
            unstamped_lines_total=counters.unstamped_lines,
            cut_lines_total=counters.cut_lines,
            binary_lines_total=counters.binary_lines,
            seams_total=counters.seams,
            gaps_total=counters.gaps,
            reconnects_total=counters.reconnects,
            failures_total=counters.failures,
            last_error=next((each.error for each in streams if each.error), ""),
        )

    async def run(self) -> None:
        """Follow until cancelled; no answer of the source ends it. What is held by then is handed on."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._let_go_when_silent(), name="pod logs silence")
                while True:
                    self._changed.clear()
                    count, looked_at = self._look(group), self._clock.monotonic()
                    await self._changed.wait()
                    peace = SETTLE_SECONDS + count * SETTLE_SECONDS_OF_A_POD
                    await asyncio.sleep(max(0.0, looked_at + peace - self._clock.monotonic()))
        except asyncio.CancelledError:
            for stream in (*self._streams.values(), *self._ending.values()):
                await stream.flush()
            raise
        finally:
            for key, stream in (*self._streams.items(), *self._ending.items()):
                stream.account()
                self._places[key] = stream.place
            self._streams.clear()
            self._ending.clear()
            self._holding.clear()

    def _look(self, group: asyncio.TaskGroup) -> int:
        """Choose anew, let go of streams and begin others; return how many pods there are."""
        pods = list(self._pods())
        known = {each.key: each for each in targets(pods, self._clock.now())}
        self._forget_all_but(known)
        wanted = (each for each in known.values() if self._is_wanted(each))
        choice = choose(wanted, self._plan.streams_max, self._streams)
        self._left_out = choice.left_out
        self._let_go(known, choice)
        begun = 0
        for target in choice.targets:
            stream = self._streams.get(target.key)
            if stream is not None:
                stream.update(target)
            elif target.key not in self._ending:
                self._begin(group, target, begun * START_SECONDS)
                begun += 1
        return len(pods)

    def _is_wanted(self, target: LogTarget) -> bool:
        """Tell whether the container has, or may have, something to say that was not read."""
        if self._plan.namespaces and target.origin.pod.namespace not in self._plan.namespaces:
            return False
        if target.is_running:
            return True
        stream = self._streams.get(target.key)
        if stream is None:
            is_long_over = target.ended_at is None or target.ended_at < self._plan.since - RECENT
            return self._done.get(target.key) != target.restarts and not is_long_over
        may_run_again = not target.is_over and target.health is not Health.STEADY
        if stream.is_drained and not may_run_again:
            self._done[target.key] = target.restarts
            return False
        return True

    def _forget_all_but(self, known: dict[Key, LogTarget]) -> None:
        for memory in (self._places, self._done):
            for key in memory.keys() - known.keys():
                del memory[key]

    def _let_go(self, known: dict[Key, LogTarget], choice: Choice) -> None:
        chosen = {each.key for each in choice.targets}
        for key in self._streams.keys() - chosen:
            stream = self._ending[key] = self._streams.pop(key)
            if key in known:
                stream.dismiss()
            else:
                stream.leave()

    def _begin(self, group: asyncio.TaskGroup, target: LogTarget, after_seconds: float) -> None:
        place = self._places.pop(target.key, None) or self._first_place(target)
        intake = LogIntake(self._scrubber, self._miner_of(target))
        stream = self._streams[target.key] = LogStream(self._road, target, place, intake)
        pod = target.origin.pod
        group.create_task(
            self._follow(stream, after_seconds),
            name=f"log {pod.namespace}/{pod.name}/{target.origin.container}",
        )

    async def _follow(self, stream: LogStream, after_seconds: float) -> None:
        await stream.run(after_seconds)
        key = stream.target.key
        self._ending.pop(key, None)
        self._places[key] = stream.place
        while len(self._places) > 2 * self._plan.streams_max:
            self._places.popitem(last=False)
        self.notice()

    def _first_place(self, target: LogTarget) -> Place:
        """Return where to begin with a container: with its last words if it crashed lately, else with what is new."""
        since = self._plan.since
        if target.ended_at is not None and target.ended_at >= since - RECENT:
            has_life_before = target.restarts > 0
            return Place(Seam(target.ended_at - LAST_WORDS), target.restarts - int(has_life_before))
        is_new = target.began_at is not None and target.began_at >= since
        return Place(Seam(None if is_new else since), target.restarts)

    def _miner_of(self, target: LogTarget) -> Miner:
        """Return the templates of a workload's containers of one name."""
        kin = target.workload, target.origin.container
        miner = self._miners.pop(kin, None) or Miner(self._scrubber)
        self._miners[kin] = miner
        used = {
            (each.target.workload, each.target.origin.container) for each in self._streams.values()
        }
        idle = [each for each in self._miners if each not in used and each != kin]
        for each in idle[: max(0, len(idle) - MINERS_IDLE_MAX)]:
            del self._miners[each]
        return miner

    def _hold(self, stream: Holder) -> None:
        self._holding.pop(stream, None)
        self._holding[stream] = self._clock.monotonic()
        self._is_held.set()

    async def _let_go_when_silent(self) -> None:
        """Flush each stream that was silent for a second; wait for nothing while none holds anything."""
        while True:
            await self._is_held.wait()
            for stream, fed_at in list(self._holding.items()):
                wait = fed_at + SILENT_SECONDS - self._clock.monotonic()
                if wait > 0:
                    await asyncio.sleep(wait)
                    break
                del self._holding[stream]
                await stream.flush()
            if not self._holding:
                self._is_held.clear()
