"""What a series of numbers comes to in one line, for a model, which reads rows of numbers badly and facts well.

Last, smallest and greatest value with their times, how many there are, and where there are none. Pure.
"""

import datetime as dt
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from opsagent.incidents.words import clock, count
from opsagent.model.metrics import Point, Series

GAPS_MAX = 3
_WHOLE = 1000
_LATE = 1.5  # steps between two points that are none too many


@dataclass(frozen=True, slots=True)
class Unit:
    """How a number is shown: divided by ``size``, with a word behind it."""

    word: str
    size: float = 1.0

    def shown(self, value: float) -> str:
        """Return ``96.52 MiB``: four digits that tell something, more only before the point."""
        scaled = value / self.size
        number = f"{scaled:.0f}" if abs(scaled) >= _WHOLE else f"{scaled:.4g}"
        return f"{number} {self.word}".rstrip()


@dataclass(frozen=True, slots=True)
class Span:
    """When it was looked at: each ``step`` from ``start`` to ``end``."""

    start: dt.datetime
    end: dt.datetime
    step: dt.timedelta


def subject(series: Series) -> str:
    """Return ``pod web-1 container web``: the labels, without the namespace that all share."""
    named = sorted(series.labels.items())
    return " ".join(f"{name} {text}" for name, text in reversed(named) if name != "namespace")


def finding(series: Series, unit: Unit, span: Span) -> str:
    """Return one line about ``series``."""
    numbers = [point for point in series.points if math.isfinite(point.value)]
    parts = []
    if numbers:
        lowest = min(numbers, key=lambda point: point.value)
        highest = max(numbers, key=lambda point: point.value)
        told = (("last", numbers[-1]), ("min", lowest), ("max", highest))
        if lowest.value == highest.value:
            parts.append(f"always {unit.shown(lowest.value)}")
        else:
            parts += [f"{word} {unit.shown(p.value)} at {clock(p.at)}" for word, p in told]
    odd = len(series.points) - len(numbers)
    if odd:
        parts.append(f"{odd} of {count(len(series.points), 'value')} not a finite number")
    parts.append(f"{count(len(series.points), 'value')} seen")
    gaps = list(_gaps(series.points, span))
    parts += gaps[:GAPS_MAX]
    if len(gaps) > GAPS_MAX:
        parts.append(f"and {count(len(gaps) - GAPS_MAX, 'gap')} more")
    return ", ".join(parts)


def _gaps(points: Sequence[Point], span: Span) -> Iterator[str]:
    most = span.step * _LATE
    if points[0].at - span.start > most:
        yield f"none before {clock(points[0].at)}"
    for earlier, later in pairwise(points):
        if later.at - earlier.at > most:
            yield f"none from {clock(earlier.at)} to {clock(later.at)}"
    if span.end - points[-1].at > most:
        yield f"none since {clock(points[-1].at)}"
