"""The labels of series, read once: answers of one server repeat the same bytes for them, hour after hour.

What comes again is the same object again, so whoever keeps series finds them by identity. The memory has a bound;
when it is full it begins anew, which costs time and changes no answer.
"""

from collections.abc import Callable, Iterable

from opsagent.model.series import Labels
from opsagent.ports import Terminal

MEMORY_BYTES_MAX = 32 * 2**20  # of what was read: a hundred thousand series
LABELS_BYTES_MAX = 16 * 2**10  # of one series; those of real ones have some hundred


class LabelMemory:
    """Bytes of labels -> labels. ``read`` is called for bytes that are new; what it raises is the caller's."""

    def __init__(
        self,
        read: Callable[[bytes], Iterable[tuple[str, str]]],
        bytes_max: int = MEMORY_BYTES_MAX,
    ) -> None:
        self._read = read
        self._bytes_max = bytes_max
        self._bytes = 0
        self._known: dict[bytes, Labels] = {}
        self._pairs: dict[tuple[str, str], tuple[str, str]] = {}

    def labels(self, raw: bytes) -> Labels:
        """Return the labels that ``raw`` spells, sorted by name.

        Raises:
            Terminal: there is too much of them.
        """
        found = self._known.get(raw)
        return self._learned(raw) if found is None else found

    def _learned(self, raw: bytes) -> Labels:
        if len(raw) > LABELS_BYTES_MAX:
            raise Terminal(f"metrics: a series with labels of more than {LABELS_BYTES_MAX} bytes")
        self._bytes += len(raw)
        if self._bytes > self._bytes_max:
            self._known.clear()
            self._pairs.clear()
            self._bytes = len(raw)
        # Most pairs are those of other series too: the same namespace, job, node.
        labels = tuple(self._pairs.setdefault(pair, pair) for pair in sorted(self._read(raw)))
        self._known[raw] = labels
        return labels
