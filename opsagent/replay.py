"""``opsagent replay``: the production pipeline on a recording, its clock taken from the data.

Between two observations the pipeline is given the instants at which it asked to be woken, so that what
settles by waiting settles as it did in life. The redaction key is a constant, because the same recording
must give the same bytes on every machine. No plan is asked for: nobody is there to approve it.
"""

import datetime as dt
from collections.abc import Iterator

from opsagent.controllers.pipeline import Pipeline, Step
from opsagent.model.canonical import canonical
from opsagent.model.incident import Incident
from opsagent.ports import Snapshot
from opsagent.sources.recording import Recording

REPLAY_KEY = b"opsagent replay: the same bytes everywhere"


def replay_lines(recording: Recording, *, with_timeline: bool = False) -> Iterator[str]:
    """Yield one canonical JSON line per incident as it stands at the end, oldest first.

    ``with_timeline`` puts each incident's timeline lines before it, one JSON line an entry.
    What could not be read is in ``recording.report`` afterwards.
    """
    pipeline = Pipeline(Snapshot(), REPLAY_KEY)
    found: dict[str, Incident] = {}
    for step in _steps(recording, pipeline):
        found |= {incident.incident_id: incident for incident in step.batch.incidents}
    for incident in found.values():
        if with_timeline:
            for entry in incident.timeline:
                line = {"incident_id": incident.incident_id, "entry": entry}
                yield canonical(line).decode()
        yield canonical(incident).decode()


def _steps(recording: Recording, pipeline: Pipeline) -> Iterator[Step]:
    now = dt.datetime.min.replace(tzinfo=dt.UTC)
    for seen in recording.observations():
        now = max(
            now, seen.at
        )  # a clock that stepped back in the recording does not step back here
        yield from _ticks(pipeline, now)
        yield pipeline.observe(now, seen.type, seen.kind, seen.item)
    if recording.header.end is not None:
        yield from _ticks(pipeline, recording.header.end)


def _ticks(pipeline: Pipeline, until: dt.datetime) -> Iterator[Step]:
    while (due := pipeline.next_due()) is not None and due <= until:
        yield pipeline.tick(due)
