"""Numbers in bulk: many series at once as arrays, and what ten minutes of each come to.

Samples are what a scrape found, under all labels that the store of numbers has. What is asked for is a member of
``Selection``, never a text: its matchers are kept in one file of ``clients``.

Arrays are shared, not copied: whoever makes a value hands it over and does not write into it any more.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Labels: TypeAlias = tuple[tuple[str, str], ...]
"""All labels of a series, ``__name__`` among them, sorted by name."""
Stamps: TypeAlias = NDArray[np.int64]
Values: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]

STALE_BITS = 0x7FF0000000000002  # Source: StaleNaN, model/value/value.go of Prometheus


class Selection(StrEnum):
    """Every set of series that may be asked for as a whole."""

    CONTAINER_CPU = "container_cpu"
    """Seconds of cpu that each container used, a counter."""
    CONTAINER_THROTTLING = "container_throttling"
    """Periods of the scheduler, and those in which the limit held a container back; two counters."""
    CONTAINER_MEMORY = "container_memory"
    """Working set of each container in bytes."""
    CONTAINER_RESTARTS = "container_restarts"
    """How often each container was started again, a counter."""
    DEPLOYMENT_REPLICAS = "deployment_replicas"
    """Ready and unavailable replicas of each Deployment."""
    NODE_MEMORY = "node_memory"
    """Bytes that each node could still give out."""
    TARGETS_UP = "targets_up"
    """1 for each target that the last scrape reached, else 0."""

    @property
    def is_counter(self) -> bool:
        """Whether a value that falls means that the counting began anew."""
        return self in _COUNTERS


_COUNTERS = frozenset(
    {Selection.CONTAINER_CPU, Selection.CONTAINER_THROTTLING, Selection.CONTAINER_RESTARTS}
)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SeriesBlock:
    """Samples of n series, one behind the other, m in all.

    Attributes:
        labels: n different ones, in the order of the answer.
        starts: shape (n + 1,); series i has the samples ``starts[i]`` to ``starts[i + 1]``.
        stamps: Unix ms, shape (m,), as they were sent: a good source sends each series oldest first.
        values: shape (m,). NaN and infinities as they came; one NaN, by its bits, says that the series ended.
        warnings: the server's words on what is missing (untrusted text, cut); if any, more may be there.
    """

    labels: tuple[Labels, ...]
    starts: Stamps
    stamps: Stamps
    values: Values
    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return (
            f"SeriesBlock({len(self.labels)} series, {len(self.stamps)} samples, {self.warnings})"
        )

    @property
    def is_partial(self) -> bool:
        """Whether something may be missing."""
        return bool(self.warnings)

    def of(self, index: int) -> tuple[Stamps, Values]:
        """Return the samples of one series."""
        part = slice(self.starts[index], self.starts[index + 1])
        return self.stamps[part], self.values[part]


def block_of(
    series: Iterable[tuple[Labels, Sequence[int], Sequence[float]]], warnings: tuple[str, ...] = ()
) -> SeriesBlock:
    """Return a block of (labels, stamps in Unix ms, values) each."""
    given = tuple(series)
    ends = np.cumsum([0, *(len(stamps) for _, stamps, _ in given)], dtype=np.int64)
    return SeriesBlock(
        tuple(labels for labels, _, _ in given),
        ends,
        np.array([stamp for _, stamps, _ in given for stamp in stamps], dtype=np.int64),
        np.array([value for _, _, values in given for value in values], dtype=np.float64),
        warnings,
    )


def is_stale(values: Values) -> Flags:
    """Return which values are not numbers but say that the series ended; same shape."""
    marks: Flags = values.view(np.int64) == STALE_BITS
    return marks


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Bin:
    """What one span of time comes to, for each of the n series that had a finite sample in it.

    Attributes:
        start_ms: where it begins, Unix ms, a multiple of ``width_ms``; its end is not part of it.
        width_ms: how long it is.
        labels: n, sorted.
        count: finite samples, 1 or more, shape (n,).
        sum: of them, added from the oldest to the newest, so that it is the same on every machine; shape (n,).
        min: the smallest, shape (n,).
        max: the greatest, shape (n,).
        last: the newest, shape (n,).
    """

    start_ms: int
    width_ms: int
    labels: tuple[Labels, ...]
    count: Stamps
    sum: Values
    min: Values
    max: Values
    last: Values

    def __repr__(self) -> str:
        return f"Bin({self.start_ms}, {self.width_ms}, {len(self.labels)} series)"
