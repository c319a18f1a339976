"""Reads what an Alertmanager holds: the alerts that stand and the silences, by its API v2.

Reads only: opsagent mutes nothing.
"""

from opsagent.clients.alertmanager_wire import silences, standing
from opsagent.clients.rest import RestReader
from opsagent.model.alert import Silence, StandingAlert
from opsagent.ports import Terminal, Transient

_RETRIED = frozenset({408, 425, 429})
_SERVER_ERROR = range(500, 600)
_OK = 200


class AlertmanagerClient:
    """One Alertmanager. Raises (all reads): Transient, Terminal."""

    def __init__(self, rest: RestReader) -> None:
        self._rest = rest

    async def alerts(self) -> tuple[StandingAlert, ...]:
        """Return the alerts that stand, also those that are muted."""
        return standing(await self._get("/api/v2/alerts"))

    async def silences(self) -> tuple[Silence, ...]:
        """Return the silences that have not expired."""
        return silences(await self._get("/api/v2/silences"))

    async def aclose(self) -> None:
        """Close connections."""
        await self._rest.aclose()

    async def _get(self, path: str) -> bytes:
        status, body = await self._rest.get(path)
        if status == _OK:
            return body
        kind = Transient if status in _RETRIED or status in _SERVER_ERROR else Terminal
        raise kind(f"alertmanager: status {status}")
