"""The labels of series, read once: answers of one server repeat the same bytes for them, hour after hour.

What comes again is the same object again, so whoever keeps series finds them by identity. The memory has a bound;
when it is full it begins anew, which costs time and changes no answer. An answer has a bound of its own, since all
its labels are held together: a pair of two letters takes ten bytes on the way and two hundred here.
"""

from collections.abc import Callable, Iterable

from opsagent.model.series import Labels
from opsagent.ports import Terminal

MEMORY_BYTES_MAX = 32 * 2**20  # of what was read: a hundred thousand series
MEMORY_PAIRS_MAX = 600_000  # 130 MiB; of a hundred thousand series of usual ones there are fewer
LABELS_BYTES_MAX = 16 * 2**10  # of one series; those of real ones have some hundred
PAIRS_MAX = 500_000  # new ones of one answer, 110 MiB; a series of cAdvisor's has five or less that no other has


class LabelMemory:
    """Bytes of labels -> labels.

    ``read`` is called for bytes that are new; what it raises is the caller's. ``forget`` is called when it begins anew.
    """

    def __init__(
        self,
        read: Callable[[bytes], Iterable[tuple[str, str]]],
        bytes_max: int = MEMORY_BYTES_MAX,
        forget: Callable[[], None] = lambda: None,
    ) -> None:
        self._read = read
        self._forget = forget
        self._bytes_max = bytes_max
        self._bytes = 0
        self._new_pairs = 0
        self._known: dict[bytes, Labels] = {}
        self._behind: dict[bytes, bytes] = {}
        self._pairs: dict[tuple[str, str], tuple[str, str]] = {}

    def begin(self) -> None:
        """Begin with another answer."""
        self._new_pairs = 0

    def labels(self, raw: bytes, before: bytes | None = None) -> Labels:
        """Return the labels that ``raw`` spells, sorted by name; ``before`` are the bytes of the series before it.

        Raises:
            Terminal: there is too much of them.
        """
        found = self._known.get(raw)
        if found is None:
            found = self._learned(raw)
        if before is not None:
            self._behind[before] = raw
        return found

    def behind(self, before: bytes) -> bytes:
        """Return the bytes that stood behind ``before`` when that was last told: a good guess for now; else none."""
        return self._behind.get(before, b"")

    def _learned(self, raw: bytes) -> Labels:
        if len(raw) > LABELS_BYTES_MAX:
            raise Terminal(f"metrics: a series with labels of more than {LABELS_BYTES_MAX} bytes")
        self._bytes += len(raw)
        if self._bytes > self._bytes_max or len(self._pairs) > MEMORY_PAIRS_MAX:
            self._known.clear()
            self._behind.clear()
            self._pairs.clear()
            self._bytes = len(raw)
            self._forget()
        # Most pairs are those of other series too: the same namespace, job, node.
        before = len(self._pairs)
        labels = tuple(self._pairs.setdefault(pair, pair) for pair in sorted(self._read(raw)))
        self._new_pairs += len(self._pairs) - before
        if self._new_pairs > PAIRS_MAX:
            raise Terminal(f"metrics: an answer with more than {PAIRS_MAX} new labels")
        self._known[raw] = labels
        return labels
