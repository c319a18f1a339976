"""What was seen of one object at one instant, one JSON line each, written by one process and read by another."""

from pathlib import Path

import msgspec


class Sighting(msgspec.Struct, frozen=True):
    """One state of one object, or its end.

    ``at`` is in Unix seconds: when the witness read it, or the subject's source told it; the subject adds
    when it was ``committed_at``. ``version`` is the resourceVersion, which is etcd's revision. Without a
    ``name``: the end of a full list.
    """

    at: float
    kind: str
    name: str = ""
    uid: str = ""
    version: int = 0
    phase: str = ""
    is_deleted: bool = False
    committed_at: float = 0.0


_line = msgspec.json.Decoder(Sighting)


class Log:
    """The lines of a growing file, read as they come. A half-written line is left for later."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self.sightings: list[Sighting] = []
        self.newest: dict[tuple[str, str], Sighting] = {}
        self.lists: dict[str, int] = {}

    def read(self) -> "Log":
        """Take in what was added since the last time."""
        if not self._path.exists():
            return self
        with self._path.open("rb") as file:
            file.seek(self._offset)
            whole, _, _ = file.read().rpartition(b"\n")
        for line in whole.splitlines():
            self._take(_line.decode(line))
        self._offset += len(whole) + bool(whole)
        return self

    def _take(self, seen: Sighting) -> None:
        self.sightings.append(seen)
        if not seen.name:
            self.lists[seen.kind] = self.lists.get(seen.kind, 0) + 1
        elif seen.is_deleted:
            self.newest.pop((seen.kind, seen.name), None)
        else:
            self.newest[seen.kind, seen.name] = seen
