"""Tells who looks at a page that something changed: a number that grows with every change of an incident.

It carries no content: whoever hears it reads again. Of the incidents only those that changed last are
remembered by name; the others count as unchanged.
"""

import asyncio

from opsagent.controllers.pipeline import Step

INCIDENTS_MAX = 512


class News:
    """The numbers of the newest changes. All methods belong to one event loop."""

    def __init__(self) -> None:
        self._newest = 0
        self._by_incident: dict[str, int] = {}
        self._changed = asyncio.Event()
        self._is_closed = False

    def notice(self, step: Step) -> None:
        """Count the incidents that changed with a committed step, and wake who waits."""
        for incident in step.batch.incidents:
            self._newest += 1
            self._by_incident.pop(incident.incident_id, None)
            self._by_incident[incident.incident_id] = self._newest
        while len(self._by_incident) > INCIDENTS_MAX:
            del self._by_incident[next(iter(self._by_incident))]
        if step.batch.incidents:
            self._wake()

    def newest(self, incident_id: str = "") -> int:
        """Return the number of the newest change of one incident, or of any; 0 before there was one."""
        return self._by_incident.get(incident_id, 0) if incident_id else self._newest

    async def wait(self, after: int, incident_id: str = "") -> int | None:
        """Wait for a change with a higher number and return that; None at once after :meth:`close`."""
        while not self._is_closed:
            if self.newest(incident_id) > after:
                return self.newest(incident_id)
            await self._changed.wait()
        return None

    def close(self) -> None:
        """Let go of all who wait."""
        self._is_closed = True
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
