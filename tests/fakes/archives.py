"""``ports.LogArchive`` and ``ports.TraceArchive`` that answer what they are told to and remember what they were asked."""

from dataclasses import dataclass, field

from opsagent.model.archive import LogAnswer, LogSearch
from opsagent.model.trace import Trace, TraceAnswer, TraceSearch


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
