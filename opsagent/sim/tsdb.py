"""A small time series database with Prometheus' rules of what an instant and a window see.

Theory. A series is a list of samples at scrape instants. A scrape in which a series is missing that the
scrape before had leaves a stale mark. An instant sees the newest sample of the last five minutes, unless
that is a mark; a window sees its samples without the marks, both ends included.
Source: the querying basics of the Prometheus documentation, "Staleness"; version 2 closes windows left.

Samples older than the retention are dropped. Not thread-safe.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

LOOKBACK_MS = 300_000  # Source: --query.lookback-delta
Labels: TypeAlias = tuple[tuple[str, str], ...]  # sorted by name


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a metric, as a target exposes it."""

    metric: str
    labels: Labels
    value: float


def sample(metric: str, value: float, **labels: str) -> Sample:
    """Return a sample with sorted labels; empty ones are none."""
    kept = ((name, text) for name, text in labels.items() if text)
    return Sample(metric, tuple(sorted(kept)), value)


@dataclass(slots=True)
class _Track:
    """One series: stamps in Unix ms, ascending, and a value each; None is a stale mark."""

    stamps: list[int] = field(default_factory=list)
    values: list[float | None] = field(default_factory=list)


Window: TypeAlias = list[tuple[int, float]]  # stamps and values, oldest first


class Tsdb:
    """All series of one Prometheus."""

    def __init__(self, retention_ms: int) -> None:
        self._retention_ms = retention_ms
        self._tracks: dict[str, dict[Labels, _Track]] = {}
        self._alive: set[tuple[str, Labels]] = set()

    def append(self, stamp: int, samples: Iterable[Sample]) -> None:
        """Store one scrape of everything; what has gone since the last one is marked stale."""
        seen: dict[tuple[str, Labels], float] = {}
        for each in samples:
            seen[each.metric, each.labels] = each.value
        gone: dict[tuple[str, Labels], None] = dict.fromkeys(self._alive - seen.keys())
        for (metric, labels), value in {**seen, **gone}.items():
            track = self._tracks.setdefault(metric, {}).setdefault(labels, _Track())
            track.stamps.append(stamp)
            track.values.append(value)
        self._alive = set(seen)
        self._forget(stamp - self._retention_ms)

    def instant(
        self, metric: str, stamp: int, where: Mapping[str, str]
    ) -> Iterator[tuple[Labels, int, float]]:
        """Yield (labels, stamp of the sample, value) of each series that ``where`` matches and that is alive."""
        for labels, track in self._matching(metric, where):
            index = bisect_right(track.stamps, stamp) - 1
            if index < 0 or track.stamps[index] < stamp - LOOKBACK_MS:
                continue
            value = track.values[index]
            if value is not None:
                yield labels, track.stamps[index], value

    def window(
        self, metric: str, stamp: int, length_ms: int, where: Mapping[str, str]
    ) -> Iterator[tuple[Labels, Window]]:
        """Yield each matching series that has samples in the ``length_ms`` up to ``stamp``."""
        for labels, track in self._matching(metric, where):
            first = bisect_left(track.stamps, stamp - length_ms)
            last = bisect_right(track.stamps, stamp)
            pairs = zip(track.stamps[first:last], track.values[first:last], strict=True)
            found = [(at, value) for at, value in pairs if value is not None]
            if found:
                yield labels, found

    def everything(self) -> Iterator[tuple[str, Labels, list[tuple[int, float | None]]]]:
        """Yield metric, labels and samples of every series, sorted; None is a stale mark."""
        for metric in sorted(self._tracks):
            for labels, track in sorted(self._tracks[metric].items()):
                yield metric, labels, list(zip(track.stamps, track.values, strict=True))

    def between(
        self, metric: str, first: int, last: int
    ) -> Iterator[tuple[Labels, list[tuple[int, float | None]]]]:
        """Yield each series of ``metric`` that has samples from ``first`` to ``last``, both included; None is a stale mark."""
        for labels, track in self._tracks.get(metric, {}).items():
            part = slice(bisect_left(track.stamps, first), bisect_right(track.stamps, last))
            found = list(zip(track.stamps[part], track.values[part], strict=True))
            if found:
                yield labels, found

    def _matching(self, metric: str, where: Mapping[str, str]) -> Iterator[tuple[Labels, _Track]]:
        for labels, track in self._tracks.get(metric, {}).items():
            if where.items() <= dict(labels).items():
                yield labels, track

    def _forget(self, oldest: int) -> None:
        for tracks in self._tracks.values():
            for labels, track in list(tracks.items()):
                if track.stamps[-1] < oldest:
                    del tracks[labels]
                elif 2 * (cut := bisect_left(track.stamps, oldest)) > len(track.stamps):
                    del track.stamps[:cut], track.values[:cut]
