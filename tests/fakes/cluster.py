"""A ``ClusterReader`` that follows a script and writes down every request with its loop time."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from opsagent.model.entity import Entity, Kind
from opsagent.model.kube import KubeObject
from opsagent.model.signal import LogRecord
from opsagent.ports import ListPage, NotFound, WatchEvent


@dataclass(frozen=True)
class Read:
    """One request: ``verb`` is list, watch or get; ``start`` the continue token, version or name."""

    verb: str
    namespace: str
    start: str
    at: float


Script = Sequence[WatchEvent | Exception | float]


class ScriptedCluster:
    """``lists`` are pages or errors, ``watches`` what each watch does; the last of each repeats for ever.

    In a watch a number is a silence of that many seconds. A watch that comes to its end is closed by
    the server. No single object is ever found.
    """

    def __init__(
        self,
        lists: Sequence[ListPage | Exception],
        watches: Sequence[Script] = ((1e9,),),
    ) -> None:
        self._lists = list(lists)
        self._watches = list(watches)
        self.reads: list[Read] = []
        self.open_watches = 0

    def times(self, verb: str) -> list[float]:
        """Return when ``verb`` was asked for."""
        return [read.at for read in self.reads if read.verb == verb]

    def starts(self, verb: str) -> list[str]:
        """Return where each ``verb`` started."""
        return [read.start for read in self.reads if read.verb == verb]

    def _note(self, verb: str, namespace: str, start: str) -> None:
        self.reads.append(Read(verb, namespace, start, asyncio.get_running_loop().time()))

    async def list_page(
        self,
        kind: Kind,  # noqa: ARG002 - the port's
        *,
        namespace: str = "",
        continue_token: str = "",
        limit: int = 500,  # noqa: ARG002 - the port's
    ) -> ListPage:
        self._note("list", namespace, continue_token)
        answer = self._lists.pop(0) if len(self._lists) > 1 else self._lists[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def watch(
        self,
        kind: Kind,  # noqa: ARG002 - the port's
        resource_version: str,
        *,
        namespace: str = "",
    ) -> AsyncIterator[WatchEvent]:
        self._note("watch", namespace, resource_version)
        script = self._watches.pop(0) if len(self._watches) > 1 else self._watches[0]
        self.open_watches += 1
        try:
            for step in script:
                match step:
                    case Exception():
                        raise step
                    case WatchEvent():
                        yield step
                    case seconds:
                        await asyncio.sleep(seconds)
        finally:
            self.open_watches -= 1

    async def get(self, entity: Entity) -> KubeObject:
        self._note("get", entity.namespace, entity.name)
        raise NotFound(str(entity))

    async def pod_log(
        self,
        pod: Entity,
        container: str,
        *,
        previous: bool = False,
        tail_lines: int = 100,
    ) -> tuple[LogRecord, ...]:
        raise NotImplementedError

    @property
    def malformed_total(self) -> int:
        return 0
