"""``ports.LogArchive`` and ``ports.TraceArchive`` that answer what they are told to and remember what they were asked.

And a Tempo in this process: the product's own client on the simulated one, without a socket, for virtual time.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

from opsagent.clients.archive_query import Address
from opsagent.clients.rest import RestReader
from opsagent.clients.tempo import SECTION, TempoArchive
from opsagent.model.archive import LogAnswer, LogSearch
from opsagent.model.trace import Trace, TraceAnswer, TraceSearch
from opsagent.sim.archive import ArchiveFace


@dataclass
class ScriptedLogArchive:
    answer: LogAnswer | Exception = field(default_factory=LogAnswer)
    asked: list[LogSearch] = field(default_factory=list)

    async def search(self, search: LogSearch) -> LogAnswer:
        self.asked.append(search)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@dataclass
class ScriptedTraceArchive:
    found: TraceAnswer | Exception = field(default_factory=TraceAnswer)
    whole: Trace | Exception = field(default_factory=lambda: Trace("0" * 32))
    asked: list[TraceSearch | str] = field(default_factory=list)

    async def search(self, search: TraceSearch) -> TraceAnswer:
        self.asked.append(search)
        if isinstance(self.found, Exception):
            raise self.found
        return self.found

    async def trace(self, trace_id: str) -> Trace:
        self.asked.append(trace_id)
        if isinstance(self.whole, Exception):
            raise self.whole
        return self.whole


class InProcess(RestReader):
    """Asks an archive that has no socket. ``asked`` are paths with their query.

    ``failure`` is raised instead, if it is set. ``crooked`` is answered to paths that begin so.
    """

    def __init__(self, face: ArchiveFace, tenant: str = "") -> None:
        super().__init__(SECTION, "http://in.this.process")
        self._face = face
        self._sent: Mapping[str, str] = {"x-scope-orgid": tenant} if tenant else {}
        self.asked: list[str] = []
        self.failure: Exception | None = None
        self.crooked: dict[str, tuple[int, bytes]] = {}

    async def read(self, path: str) -> tuple[int, bytes, bool]:
        self.asked.append(path)
        if self.failure is not None:
            raise self.failure
        for begin, (status, body) in self.crooked.items():
            if path.startswith(begin):
                return status, body, False
        parts = urlsplit(path)
        answer = self._face.handle(parts.path, dict(parse_qsl(parts.query)), self._sent)
        return answer.status, answer.body, False


def tempo_in_process(rest: InProcess) -> TempoArchive:
    """Return the product's client on ``rest``."""
    return TempoArchive(Address("http://in.this.process"), rest)
