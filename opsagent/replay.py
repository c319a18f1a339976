"""``opsagent replay``: the production pipeline on a recording, its clock taken from the data.

Objects and alerts are fed in the order of their instants, each file in its own order; where an instant is
the same, objects come first. Between two of them the pipeline is given the instants at which it asked to be
woken, so that what settles by waiting settles as it did in life. Alerts that come before the cluster was
listed whole wait for that, as the daemon makes an Alertmanager wait. So do calls: whom they mean is known then.

The redaction key is a constant, because the same recording must give the same bytes on every machine. No
plan is asked for: nobody is there to approve it.
"""

import datetime as dt
import heapq
from collections.abc import Callable, Iterable, Iterator
from operator import itemgetter

from opsagent.controllers.pipeline import Pipeline, Step
from opsagent.controllers.reported import OPEN_MAX
from opsagent.model.alert import ReportedAlert
from opsagent.model.canonical import canonical
from opsagent.model.incident import Incident
from opsagent.ports import Snapshot
from opsagent.signals.calls import KnownCalls, origin_named
from opsagent.sources.recording import Notice, Observation, Recording

REPLAY_KEY = b"opsagent replay: the same bytes everywhere"
START = dt.datetime.min.replace(tzinfo=dt.UTC)
WAITING_MAX = 10_000  # alerts; with more, the list of the cluster is waited for no longer


def replay_lines(
    recording: Recording,
    *,
    with_timeline: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Iterator[str]:
    """Yield one canonical JSON line per incident as it stands at the end, oldest first.

    Args:
        recording: what could not be read is in its reports afterwards.
        with_timeline: put each incident's timeline lines before it, one JSON line an entry.
        say: is told, in words, what was there and not used.
    """
    if left_out := recording.left_out():
        say(f"not played, only objects, alerts and calls are: {', '.join(left_out)}")
    pipeline = Pipeline(Snapshot(), REPLAY_KEY)
    found: dict[str, Incident] = {}
    for step in _steps(recording, pipeline, say):
        found |= {incident.incident_id: incident for incident in step.batch.incidents}
    if dropped := pipeline.reported.dropped_total:
        say(f"{dropped} alerts were left out: more than {OPEN_MAX} at once")
    for incident in found.values():
        if with_timeline:
            for entry in incident.timeline:
                line = {"incident_id": incident.incident_id, "entry": entry}
                yield canonical(line).decode()
        yield canonical(incident).decode()


def _steps(recording: Recording, pipeline: Pipeline, say: Callable[[str], None]) -> Iterator[Step]:
    waiting: list[ReportedAlert] = []
    calls = tuple(recording.calls())
    now = START
    for now, seen in _in_time(recording):
        yield from _ticks(pipeline, now)
        if isinstance(seen, Notice):
            waiting += seen.alerts
        else:
            yield pipeline.observe(now, seen.type, seen.kind, seen.item)
        is_listed = pipeline.is_synced or not recording.has_objects
        if calls and pipeline.is_synced:
            _know_calls(calls, pipeline, say)
            calls = ()
        if waiting and (is_listed or len(waiting) >= WAITING_MAX):
            yield pipeline.report(waiting, now)
            waiting.clear()
    if waiting:
        yield pipeline.report(waiting, now)
    if recording.header.end is not None:
        yield from _ticks(pipeline, recording.header.end)


def _know_calls(
    calls: Iterable[tuple[str, str]], pipeline: Pipeline, say: Callable[[str], None]
) -> None:
    known = KnownCalls(pipeline.inventory)
    said = ((origin_named(caller), origin_named(callee)) for caller, callee in calls)
    pipeline.inventory.topology.set_calls(known.learn(said, 0.0))
    if known.unmapped_total:
        say(f"{known.unmapped_total} calls were left out: nobody is sure whom they mean")


def _in_time(recording: Recording) -> Iterator[tuple[dt.datetime, Observation | Notice]]:
    objects, alerts = _forward(recording.observations()), _forward(recording.notices())
    return heapq.merge(objects, alerts, key=itemgetter(0))


def _forward(
    lines: Iterable[Observation | Notice],
) -> Iterator[tuple[dt.datetime, Observation | Notice]]:
    """Yield each with its instant; a clock that stepped back in the recording does not step back here."""
    now = START
    for each in lines:
        now = max(now, each.at)
        yield now, each


def _ticks(pipeline: Pipeline, until: dt.datetime) -> Iterator[Step]:
    while (due := pipeline.next_due()) is not None and due <= until:
        yield pipeline.tick(due)
