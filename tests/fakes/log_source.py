"""``ports.LogSource`` out of memory: containers that print when told to, connections that break where told to."""

import asyncio
import datetime as dt
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from opsagent.model.entity import Entity, Kind
from opsagent.model.kube import ContainerState, ContainerStatus, OwnerRef, Phase, Pod
from opsagent.model.log import LogEntry, LogOrigin
from opsagent.ports import Clock, NotFound, Transient
from opsagent.sim.logs import ContainerLog, LogFollow, LogQuery
from tests.fakes.objects import meta


@dataclass(frozen=True)
class Opened:
    """One connection: which log, from when, and at which loop time."""

    name: str
    since: dt.datetime | None
    is_previous: bool
    at: float


@dataclass
class Life:
    """One container: the logs of its lives, oldest first; only the last two are served."""

    pod: Pod
    lives: list[ContainerLog] = field(default_factory=lambda: [ContainerLog()])


class Containers:
    """Containers named by their pods, each of one container ``c``.

    ``refusals`` are raised by the next connections, ``breaks`` are after how many bytes they break (None: never),
    or, if negative, fall silent; chunks have ``chunk_bytes`` at most.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.containers: dict[str, Life] = {}
        self.refusals: deque[Exception] = deque()
        self.breaks: deque[int | None] = deque()
        self.opened: list[Opened] = []
        self.open_now = 0
        self.chunk_bytes = 65_536
        self._is_clean = False
        self._follows: dict[LogFollow, asyncio.Event] = {}

    def pods(self) -> list[Pod]:
        """Return all pods."""
        return [each.pod for each in self.containers.values()]

    def add(self, name: str, workload: str = "web", **fields: object) -> None:
        """Start a pod with one container, which is ready."""
        state = ContainerState(Phase.RUNNING, started_at=self._clock.now())
        status = ContainerStatus("c", True, 0, state)
        owner = OwnerRef("StatefulSet", workload, f"uid-{workload}")
        pod = Pod(
            meta(name, owner=owner, created_at=self._clock.now(), **fields),
            container_statuses=(status,),
            phase="Running",
        )
        self.containers[name] = Life(pod)

    def write(self, name: str, *texts: str | bytes, at: dt.datetime | None = None) -> None:
        """Let a container print lines now."""
        contents = [text.encode() if isinstance(text, str) else text for text in texts]
        self.containers[name].lives[-1].write(at or self._clock.now(), *contents)

    def rotate(self, name: str) -> None:
        """Begin a new file; who follows already sees both."""
        self.containers[name].lives[-1].rotate()

    def exit(self, name: str, code: int = 1, *, is_told: bool = True) -> None:
        """End a container's life; ``is_told``: the API says so at once."""
        self.containers[name].lives[-1].end()
        if is_told:
            self.tell(name, code)

    def start(self, name: str, *, is_told: bool = True) -> None:
        """Begin the next life."""
        life = self.containers[name]
        life.lives.append(ContainerLog())
        if is_told:
            self.tell(name)

    def tell(self, name: str, code: int | None = None) -> None:
        """Let the API say how it is: it ended with ``code``, or runs."""
        life, now = self.containers[name], self._clock.now()
        before = life.pod.container_statuses[0]
        restarts = len(life.lives) - 1
        if code is not None:
            ended = ContainerState(Phase.TERMINATED, "Error", exit_code=code, finished_at=now)
            status = replace(before, is_ready=False, state=ended)
        else:
            running = ContainerState(Phase.RUNNING, started_at=now)
            last = before.state if before.state.phase is Phase.TERMINATED else None
            last = last or ContainerState(Phase.TERMINATED, "Error", exit_code=1, finished_at=now)
            status = ContainerStatus("c", True, restarts, running, last)
        life.pod = replace(life.pod, container_statuses=(status,))

    def bend(self, name: str, **fields: object) -> None:
        """Change fields of a pod's one container status."""
        life = self.containers[name]
        status = replace(life.pod.container_statuses[0], **fields)  # type: ignore[arg-type]
        life.pod = replace(life.pod, container_statuses=(status,))

    def remove(self, name: str) -> None:
        """End a pod and take it out."""
        self.containers[name].lives[-1].end()
        del self.containers[name]

    def cut(self, *, is_clean: bool = False) -> None:
        """Break every open connection; ``is_clean``: as a server does that has no more to say."""
        self._is_clean = is_clean
        for follow, wake in self._follows.items():
            follow.cut()
            wake.set()

    @asynccontextmanager
    async def follow_log(
        self,
        pod: Entity,
        container: str,
        since: dt.datetime | None = None,
        *,
        is_previous: bool = False,
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        assert container == "c"
        loop = asyncio.get_running_loop()
        self.opened.append(Opened(pod.name, since, is_previous, loop.time()))
        await asyncio.sleep(0)
        if self.refusals:
            raise self.refusals.popleft()
        life = self.containers.get(pod.name)
        lives = [] if life is None else life.lives
        if len(lives) < 1 + is_previous:
            raise NotFound(f"{pod} has no such log")
        query = LogQuery(has_timestamps=True, is_followed=True, since=since)
        follow, wake = LogFollow(lives[-1 - is_previous], query), asyncio.Event()
        self._follows[follow] = wake
        unsubscribe = follow.subscribe(wake.set)
        self.open_now += 1
        try:
            yield self._chunks(follow, wake, self.breaks.popleft() if self.breaks else None)
        finally:
            self.open_now -= 1
            unsubscribe()
            del self._follows[follow]

    async def _chunks(
        self, follow: LogFollow, wake: asyncio.Event, left: int | None
    ) -> AsyncIterator[bytes]:
        while True:
            wake.clear()
            taken = follow.take(self._clock.now())
            for start in range(0, len(taken), self.chunk_bytes):
                chunk = taken[start : start + self.chunk_bytes]
                if left is not None and len(chunk) >= abs(left):
                    yield chunk[: abs(left)]
                    if left < 0:
                        await asyncio.Event().wait()
                    raise Transient("the connection broke")
                if left is not None:
                    left += len(chunk) if left < 0 else -len(chunk)
                yield chunk
            if follow.is_over:
                if follow._is_cut and not self._is_clean:
                    raise Transient("the connection was cut")
                return
            await wake.wait()


def origin(name: str) -> LogOrigin:
    """Return whose log that of pod ``name`` is."""
    return LogOrigin(Entity(Kind.POD, "shop", name), "c")


@dataclass
class Heard:
    """A sink that remembers what it was given, with the loop time."""

    entries: list[tuple[float, LogOrigin, LogEntry]] = field(default_factory=list)

    async def take(self, whose: LogOrigin, entries: object) -> None:
        now = asyncio.get_running_loop().time()
        self.entries += [(now, whose, entry) for entry in entries]  # type: ignore[attr-defined]

    def texts(self, name: str = "") -> list[str]:
        """Return the texts of one pod's entries, or of all."""
        return [entry.text for _, whose, entry in self.entries if name in ("", whose.pod.name)]
