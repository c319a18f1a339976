"""What all streams of logs share, and what one leaves to the next."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from opsagent.model.log import LogEntry, LogOrigin
from opsagent.ports import Chance, Clock, LogSource
from opsagent.signals.logs.seam import Seam
from opsagent.sources.log_pace import LogPace

Sink: TypeAlias = Callable[[LogOrigin, Sequence[LogEntry]], Awaitable[None]]


class Holder(Protocol):
    """A stream that may hold what waits for more lines."""

    async def flush(self) -> None:
        """Hand it on: the log is silent."""
        ...


@dataclass(slots=True)
class LogCounters:
    """What all streams did since the start; see ``model.following``."""

    lines: int = 0
    bytes: int = 0
    entries: int = 0
    skipped_lines: int = 0
    skipped_bytes: int = 0
    repeated_lines: int = 0
    unstamped_lines: int = 0
    cut_lines: int = 0
    binary_lines: int = 0
    seams: int = 0
    gaps: int = 0
    reconnects: int = 0
    failures: int = 0


@dataclass(frozen=True, slots=True)
class LogRoad:
    """What all streams share.

    ``holds`` is told of a stream that holds what waits for more lines, ``ended`` that a log came to its end.
    """

    source: LogSource
    sink: Sink
    clock: Clock
    chance: Chance
    pace: LogPace
    counters: LogCounters
    holds: Callable[[Holder], None]
    ended: Callable[[], None]


@dataclass(slots=True)
class Place:
    """Where a log was left: what is known of it, and in which life of its container."""

    seam: Seam
    restarts: int
