"""The transcript of one investigation while it runs: in memory for reading, on the disk before anything follows from it."""

from opsagent.model.transcript import Entry
from opsagent.ports import TranscriptStore


class Journal:
    """Entries are added, never changed; a snapshot that was taken stays as it was."""

    def __init__(
        self, store: TranscriptStore, investigation_id: str, entries: tuple[Entry, ...]
    ) -> None:
        self._store = store
        self._investigation_id = investigation_id
        self._entries = entries

    @classmethod
    async def load(cls, store: TranscriptStore, investigation_id: str) -> "Journal":
        """Return the journal with what an earlier life wrote into it."""
        return cls(store, investigation_id, await store.entries(investigation_id))

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Everything so far, oldest first."""
        return self._entries

    async def add(self, entry: Entry) -> None:
        """Write ``entry``; it is durable when this returns."""
        await self._store.append(self._investigation_id, entry)
        self._entries = (*self._entries, entry)
