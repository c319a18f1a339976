"""``ports.TranscriptStore`` in memory. Trusted because it passes the port's contract suite."""

from opsagent.model.transcript import Entry


class MemoryTranscripts:
    def __init__(self) -> None:
        self.kept: dict[str, tuple[Entry, ...]] = {}

    async def entries(self, investigation_id: str) -> tuple[Entry, ...]:
        return self.kept.get(investigation_id, ())

    async def append(self, investigation_id: str, entry: Entry) -> None:
        self.kept[investigation_id] = (*self.kept.get(investigation_id, ()), entry)
