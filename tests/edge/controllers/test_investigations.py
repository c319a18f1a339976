"""Which transcript is an incident's newest: one that runs, else the last that its timeline names and that is kept."""

import dataclasses
import datetime as dt

from opsagent.controllers.investigations import Investigations
from opsagent.model.incident import EntryKind, Incident, TimelineEntry
from opsagent.model.transcript import Asked
from tests.edge.controllers.test_report import report
from tests.fakes.incidents import PLAIN
from tests.fakes.plans import NOW
from tests.fakes.store import MemoryStore
from tests.fakes.transcripts import MemoryTranscripts
from tests.fakes.virtual_time import run


def told_of(*pointers: str) -> Incident:
    lines = (
        TimelineEntry(
            NOW + dt.timedelta(minutes=n), "opsagent", EntryKind.INVESTIGATED, "By rules.", pointer
        )
        for n, pointer in enumerate(pointers)
    )
    return dataclasses.replace(PLAIN, timeline=(*PLAIN.timeline, *lines))


def newest(incident: Incident, *kept: str, present: str = "inv_present") -> str:
    async def look() -> str:
        transcripts = MemoryTranscripts()
        for name in kept:
            await transcripts.append(name, Asked(NOW, 1))
        name, entries = await Investigations(transcripts, lambda _: present).newest(incident)
        assert bool(entries) == bool(name)
        return name

    return run(look())


def test_the_one_that_runs_comes_first_then_the_last_that_ended() -> None:
    assert newest(told_of("inv_1", "inv_2"), "inv_1", "inv_2", "inv_present") == "inv_present"
    assert newest(told_of("inv_1", "inv_2"), "inv_1", "inv_2") == "inv_2"
    assert newest(told_of("inv_1", "inv_2", ""), "inv_1") == "inv_1", (
        "what is no longer kept is passed over"
    )


def test_an_incident_that_no_model_looked_at_has_none() -> None:
    assert newest(told_of()) == newest(told_of("")) == newest(told_of("inv_1")) == ""


def test_a_report_without_transcripts_or_incident_has_none() -> None:
    async def look() -> None:
        here = report(MemoryStore())
        assert await here.transcript("inv_1") == ()
        assert await here.investigation("inc_1") == ("", ())
        here.investigations = Investigations(MemoryTranscripts(), lambda _: "inv_1")
        assert await here.investigation("inc_1") == ("", ())
        assert await here.transcript("inv_1") == ()

    run(look())
