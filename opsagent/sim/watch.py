"""One watch: a cursor into the history, pulled by whoever has a connection to feed.

It never waits. ``take`` gives what is ready now, ``next_due`` says when to look again even if
nothing changes: a bookmark, or the end of its time.
"""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from opsagent.sim.errors import StatusError
from opsagent.sim.selection import Selection
from opsagent.sim.store import Entry, ObjectStore
from opsagent.sim.values import Obj, encode, seconds

BOOKMARK_PERIOD = seconds(60)  # Source: the watch cache of kube-apiserver, about a minute
TIMEOUT_SECONDS = 2_700  # Source: kube-apiserver --min-request-timeout: 30 to 60 minutes


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """What a watch request asks for. ``after`` is None for "whatever is there now, then changes"."""

    after: int | None
    wants_bookmarks: bool = False
    timeout_seconds: int = TIMEOUT_SECONDS


class Watch:
    """One open watch of a selection. Not thread-safe; one reader."""

    def __init__(
        self, store: ObjectStore, wanted: Selection, options: WatchOptions, now: dt.datetime
    ) -> None:
        self._store = store
        self.wanted = wanted
        self._wants_bookmarks = options.wants_bookmarks
        self._ends_at = now + seconds(options.timeout_seconds)
        self._bookmark_at = now + BOOKMARK_PERIOD
        self._initial: list[Obj] = []
        self._cursor = options.after if options.after is not None else store.version
        if options.after is None:
            self._initial = [
                item for item in store.objects(wanted.resource) if wanted.matches(item)
            ]
        self.is_over = False

    def cut(self) -> None:
        """End it without a word, as a broken connection does."""
        self.is_over = True

    def next_due(self) -> dt.datetime:
        """Return when to call ``take`` even if nothing changed."""
        return min(self._ends_at, self._bookmark_at) if self._wants_bookmarks else self._ends_at

    def take(self, now: dt.datetime) -> bytes:
        """Return the JSON lines that are ready, empty if none; may set ``is_over``."""
        if self.is_over:
            return b""
        try:
            lines = list(self._lines(now))
        except StatusError as error:
            self.is_over = True
            lines = [_line("ERROR", error.status())]
        return b"".join(lines)

    def _lines(self, now: dt.datetime) -> Iterator[bytes]:
        for item in self._initial:
            yield _line("ADDED", item)
        self._initial = []
        entries = list(self._store.since(self._cursor))
        self._cursor = max(self._cursor, self._store.version)
        for entry in entries:
            if entry.resource is self.wanted.resource and (line := self._entry_line(entry)):
                yield line
        is_at_end = now >= self._ends_at
        if self._wants_bookmarks and (is_at_end or now >= self._bookmark_at):
            self._bookmark_at = now + BOOKMARK_PERIOD
            yield self._bookmark()
        self.is_over = is_at_end

    def _entry_line(self, entry: Entry) -> bytes:
        """Translate one write into what this selection sees of it; empty if nothing."""
        is_seen = entry.type != "DELETED" and self.wanted.matches(entry.item)
        was_seen = entry.before is not None and self.wanted.matches(entry.before)
        if is_seen:
            return _line("MODIFIED" if was_seen else "ADDED", entry.item)
        return _line("DELETED", entry.item) if was_seen else b""

    def _bookmark(self) -> bytes:
        resource = self.wanted.resource
        meta = {"resourceVersion": str(self._cursor), "creationTimestamp": None}
        item = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": meta}
        return _line("BOOKMARK", item)


def _line(type_: str, item: Obj) -> bytes:
    return encode({"type": type_, "object": item}) + b"\n"
