"""Which transcript belongs to an incident, for those who look. Reads, never decides."""

from collections.abc import Callable

from opsagent.model.incident import EntryKind, Incident
from opsagent.model.transcript import Entry
from opsagent.ports import TranscriptStore


class Investigations:
    """Transcripts by incident. ``name_of`` gives the id of the investigation that an incident's present want leads to."""

    def __init__(self, transcripts: TranscriptStore, name_of: Callable[[Incident], str]) -> None:
        self._transcripts = transcripts
        self._name_of = name_of

    async def newest(self, incident: Incident) -> tuple[str, tuple[Entry, ...]]:
        """Return id and entries of the newest investigation, one that runs first; ('', ()) if there is none."""
        ended = (
            each.pointer
            for each in reversed(incident.timeline)
            if each.kind is EntryKind.INVESTIGATED and each.pointer
        )
        for name in dict.fromkeys((self._name_of(incident), *ended)):
            if entries := await self._transcripts.entries(name):
                return name, entries
        return "", ()

    async def entries(self, investigation_id: str) -> tuple[Entry, ...]:
        """Return the entries of one investigation, oldest first; none if there is none."""
        return await self._transcripts.entries(investigation_id)
