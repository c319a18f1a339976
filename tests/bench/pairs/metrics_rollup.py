"""From the bytes of remote read to ten-minute bins: five days of 5,000 series, 72M samples, are to cost at most 10 CPU s.

Half a day is measured: an hour's answer is unpacked and decoded twelve times, each time an hour later, and goes through
the window. What is shown is microseconds a sample.
"""

import time
from collections.abc import Iterator
from dataclasses import replace
from statistics import median

from opsagent.clients.prometheus_remote import RemoteReader
from opsagent.signals.series import SeriesWindow
from opsagent.sim.remote_read import answer_to
from tests.bench.frame import Figure, Row
from tests.bench.metrics_server import START_SECONDS, STEP_SECONDS, count, made

SERIES, HOURS, ROUNDS = 5000, 12, 3
HOUR_MS = 3_600_000
POINTS = HOUR_MS // 1000 // STEP_SECONDS
MICROSECONDS_MAX = 10e6 / 72e6
FINITE = 0.9  # at least, of what is made


def _seconds(body: bytes) -> float:
    reader, window, rolled = RemoteReader(), SeriesWindow(START_SECONDS * 1000), 0
    began = time.process_time()
    for hour in range(HOURS):
        block = reader.block(body)
        block = replace(block, stamps=block.stamps + hour * HOUR_MS)
        bins = window.take(block, START_SECONDS * 1000 + (hour + 1) * HOUR_MS)
        rolled += sum(int(each.count.sum()) for each in bins)
    taken = time.process_time() - began
    assert rolled > FINITE * (HOURS - 1) * count(SERIES, POINTS)
    assert not window.counters.merged_total
    return taken


def _rows() -> Iterator[Row]:
    body = answer_to(made(SERIES, POINTS))
    taken = median(_seconds(body) for _ in range(ROUNDS)) * 1e6 / HOURS / count(SERIES, POINTS)
    goal = f"<= {MICROSECONDS_MAX:.3f}"
    ratio = MICROSECONDS_MAX / taken
    yield Row("metrics.rollup", taken, MICROSECONDS_MAX, ratio, goal, ratio >= 1, "us")


ROWS = (Figure("metrics.rollup", _rows),)
