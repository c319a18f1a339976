"""How many objects a side has seen, and which: equal on both sides, or the measurement is void."""

from zlib import crc32


class Sum:
    """Counts objects and sums up their names and resource versions."""

    def __init__(self) -> None:
        self.count = 0
        self.total = 0

    def add(self, name: str, version: str) -> None:
        self.count += 1
        self.total += crc32(name.encode()) + int(version)

    def __repr__(self) -> str:
        return f"{self.count} objects, {self.total}"

    def __eq__(self, other: object) -> bool:
        return repr(self) == repr(other)

    __hash__ = None  # type: ignore[assignment] # it changes
