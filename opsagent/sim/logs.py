"""What containers print, and who follows it.

Theory. A run of a container has one log, a list of lines that only grows and ends with the run. A follower
is a cursor into it, pulled like a watch by whoever has a connection to feed. Rotation is the runtime's:
who comes new is shown the newest file alone, who was following already goes on without a gap.

Source: the kubelet's log reader: ``sinceTime`` counts in whole seconds and is inclusive, stamps have nine
digits, and a log that is followed ends when its container does.
"""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field

from opsagent.sim.values import micro_stamp


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of output, without its end."""

    at: dt.datetime
    content: bytes


@dataclass(frozen=True, slots=True)
class LogQuery:
    """What of a container's log is wanted; empty ``container`` means the only one."""

    container: str = ""
    is_previous: bool = False
    is_followed: bool = False
    since: dt.datetime | None = None
    tail_lines: int | None = None
    has_timestamps: bool = False
    limit_bytes: int | None = None


@dataclass(slots=True)
class ContainerLog:
    """What one run printed. ``first`` is where the newest file begins."""

    lines: list[LogLine] = field(default_factory=list)
    first: int = 0
    is_over: bool = False
    _listeners: dict[int, Callable[[], None]] = field(default_factory=dict)
    _listened: int = 0

    def write(self, at: dt.datetime, *contents: bytes) -> None:
        """Print lines at ``at``."""
        self.lines += [LogLine(at, content) for content in contents]
        self._tell()

    def rotate(self) -> None:
        """Begin a new file."""
        self.first = len(self.lines)

    def end(self) -> None:
        """Print nothing more."""
        self.is_over = True
        self._tell()

    def listen(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call ``callback`` when there is more to read, or the log is over; until the returned function is called."""
        self._listened += 1
        number = self._listened
        self._listeners[number] = callback
        return lambda: self._listeners.pop(number, None) and None

    def _tell(self) -> None:
        for callback in list(self._listeners.values()):
            callback()


class LogFollow:
    """One reader of one log, from where its query says. Not thread-safe; one reader."""

    def __init__(self, log: ContainerLog, query: LogQuery) -> None:
        self._log = log
        self._query = query
        self._left = query.limit_bytes
        self._cursor = log.first
        if query.tail_lines is not None:
            self._cursor = max(log.first, len(log.lines) - query.tail_lines)
        self._is_cut = False
        self._wake: Callable[[], None] = lambda: None

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come."""
        is_read = self._log.is_over and self._cursor >= len(self._log.lines)
        return self._is_cut or self._left == 0 or is_read

    def cut(self) -> None:
        """End it without a word, as a broken connection does."""
        self._is_cut = True
        self._wake()

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call ``callback`` when ``take`` has something new to say; until the returned function is called."""
        self._wake = callback
        return self._log.listen(callback)

    def next_due(self) -> dt.datetime | None:
        """Return None: it says nothing by itself."""
        return None

    def take(self, now: dt.datetime) -> bytes:  # noqa: ARG002 - as of a watch
        """Return the lines that are ready, empty if none."""
        if self.is_over:
            return b""
        lines = self._log.lines[self._cursor :]
        self._cursor += len(lines)
        printed = b"".join(self._printed(line) for line in lines if self._is_wanted(line))
        if self._left is not None:
            printed = printed[: self._left]
            self._left -= len(printed)
        return printed

    def _is_wanted(self, line: LogLine) -> bool:
        since = self._query.since
        return since is None or line.at >= since.replace(microsecond=0)

    def _printed(self, line: LogLine) -> bytes:
        if not self._query.has_timestamps:
            return line.content + b"\n"
        stamp = micro_stamp(line.at).removesuffix("Z") + "000Z"
        return stamp.encode() + b" " + line.content + b"\n"
