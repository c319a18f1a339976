"""The labels of series, read once: answers of one server repeat the same bytes for them, hour after hour.

What comes again is the same object again, so whoever keeps series finds them by identity. The memory has a bound;
when it is full it begins anew, which costs time and changes no answer.
"""

from collections.abc import Callable, Iterable

from opsagent.model.series import Labels

ENTRIES_MAX = 100_000  # a kilobyte each


class LabelMemory:
    """Bytes of labels -> labels. ``read`` is called for bytes that are new; what it raises is the caller's."""

    def __init__(
        self,
        read: Callable[[bytes], Iterable[tuple[str, str]]],
        entries_max: int = ENTRIES_MAX,
    ) -> None:
        self._read = read
        self._entries_max = entries_max
        self._known: dict[bytes, Labels] = {}
        self._pairs: dict[tuple[str, str], tuple[str, str]] = {}

    def labels(self, raw: bytes) -> Labels:
        """Return the labels that ``raw`` spells, sorted by name."""
        found = self._known.get(raw)
        if found is None:
            if len(self._known) >= self._entries_max:
                self._known.clear()
                self._pairs.clear()
            # Most pairs are those of other series too: the same namespace, job, node.
            found = tuple(self._pairs.setdefault(pair, pair) for pair in sorted(self._read(raw)))
            self._known[raw] = found
        return found
