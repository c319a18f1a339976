"""Selections of series on the simulated Prometheus: what is seen at an instant, what was scraped in a span."""

import struct
from collections.abc import Iterator, Sequence

from opsagent.clients.prometheus_selections import Matcher, selects
from opsagent.model.series import STALE_BITS, Labels
from opsagent.sim.metric_answers import Vector
from opsagent.sim.remote_read import Line
from opsagent.sim.tsdb import Tsdb

_STALE: float = struct.unpack("<d", struct.pack("<Q", STALE_BITS))[0]


def seen(db: Tsdb, wanted: Sequence[Matcher], stamp: int) -> Vector:
    """Return labels, the metric's name among them, and value of each series that is alive at ``stamp``, Unix ms."""
    named = (
        (_whole(metric, labels), value)
        for metric in _metrics(wanted)
        for labels, _, value in db.instant(metric, stamp, {})
    )
    return {labels: value for labels, value in named if selects(wanted, labels)}


def samples_of(db: Tsdb, wanted: Sequence[Matcher], first: int, last: int) -> Iterator[Line]:
    """Yield the samples from ``first`` to ``last``, Unix ms, both included, marks among them."""
    for metric in _metrics(wanted):
        for labels, samples in db.between(metric, first, last):
            whole = _whole(metric, labels)
            if selects(wanted, whole):
                yield whole, [(at, _STALE if value is None else value) for at, value in samples]


def _metrics(wanted: Sequence[Matcher]) -> list[str]:
    return next(each.value for each in wanted if each.label == "__name__").split("|")


def _whole(metric: str, labels: Labels) -> Labels:
    return tuple(sorted((("__name__", metric), *labels)))
