"""``ports.LogStore`` in memory. Trusted because it passes the port's contract suite."""

import datetime as dt
import re
from collections.abc import Mapping, Sequence

from opsagent.model.log import LogEntry, LogOrigin, StoredEntry

_TOKEN = re.compile(r"[^\W_]+")


class MemoryLogs:
    """``kept`` has all entries by pointer, oldest first."""

    def __init__(self, now: dt.datetime) -> None:
        self.kept: dict[str, StoredEntry] = {}
        self._first: dict[str, str] = {}  # pointer -> template
        self._days: dict[dt.date, set[str]] = {}  # the template ids of each
        self._rows = 0
        self.newest: dt.datetime | None = None
        self._begin(_day(now))

    async def append(self, origin: LogOrigin, entries: Sequence[LogEntry], now: dt.datetime) -> str:
        if _day(now) > self._today:
            self._begin(_day(now))
        first = f"log:{self._today}.{self._rows + 1}"
        for entry in entries:
            self._take(origin, entry)
        return first

    def _begin(self, day: dt.date) -> None:
        self._today, self._rows = day, 0
        self._days[day] = set()

    def _take(self, origin: LogOrigin, entry: LogEntry) -> None:
        self._rows += 1
        self.newest = max(entry.at, self.newest or entry.at)
        pointer = f"log:{self._today}.{self._rows}"
        said = self._days[self._today]
        if entry.is_new or entry.template_id not in said:
            self._first[pointer] = entry.template
        said.add(entry.template_id)
        self.kept[pointer] = StoredEntry(
            pointer,
            origin,
            entry.at,
            _clean(entry.stream),
            entry.severity,
            _clean(entry.template_id),
            _clean(entry.text),
        )

    async def sync(self) -> None:
        pass

    async def entry(self, pointer: str) -> StoredEntry | None:
        return self.kept.get(pointer)

    async def search(self, words: str, limit: int = 100) -> tuple[StoredEntry, ...]:
        wanted = [tokens for word in words.split() if (tokens := _tokens(word))]
        found = [
            self.kept[pointer]
            for pointer, template in reversed(self._first.items())
            if wanted and all(_holds(_tokens(template), tokens) for tokens in wanted)
        ]
        return tuple(found[: max(limit, 0)])

    async def retain(self, oldest: dt.date, bytes_max: int) -> int:
        dropped = 0
        for day in sorted(self._days.keys() - {self._today}):
            if day < oldest or self._bytes() > bytes_max:
                self._drop(day)
                dropped += 1
        return dropped

    def _drop(self, day: dt.date) -> None:
        del self._days[day]
        for pointer in [pointer for pointer in self.kept if pointer.startswith(f"log:{day}.")]:
            del self.kept[pointer]
            self._first.pop(pointer, None)

    async def counts(self) -> Mapping[str, int]:
        return {
            "days": len(self._days),
            "rows": len(self.kept),
            "bytes": self._bytes(),
            "templates": len(self._first),
            "set_aside": 0,
        }

    async def aclose(self) -> None:
        pass

    def _bytes(self) -> int:
        return sum(len(each.text.encode()) for each in self.kept.values())


def _day(now: dt.datetime) -> dt.date:
    return now.astimezone(dt.UTC).date()


def _clean(text: str) -> str:
    return text.encode(errors="replace").decode()


def _tokens(text: str) -> list[str]:
    return _TOKEN.findall(text.lower())


def _holds(tokens: list[str], wanted: list[str]) -> bool:
    size = len(wanted)
    return any(tokens[at : at + size] == wanted for at in range(len(tokens) - size + 1))
