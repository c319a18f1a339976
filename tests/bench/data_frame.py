"""The yardstick of bulk metrics: prometheus-api-client's MetricRangeDataFrame, asked without compression.

What both sides come to is compared: how many samples, how many of them NaN, and the sum of the others.
"""

import datetime as dt
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tests.bench.metrics_server import START_SECONDS, STEP_SECONDS

Sums: TypeAlias = tuple[int, int, float]
START = dt.datetime.fromtimestamp(START_SECONDS, dt.UTC)
STEP = dt.timedelta(seconds=STEP_SECONDS)


def sums(values: NDArray[np.float64]) -> Sums:
    missing = np.isnan(values)
    return len(values), int(missing.sum()), float(values[~missing].sum())


def data_frame(url: str, query: str, points: int) -> Callable[[], Sums]:
    """Return what asks ``url`` for a range and makes a data frame of it."""
    from prometheus_api_client import MetricRangeDataFrame, PrometheusConnect  # noqa: PLC0415 - pandas, a second

    library = PrometheusConnect(url, headers={"Accept-Encoding": "identity"})
    end = START + STEP * (points - 1)

    def yardstick() -> Sums:
        found = library.custom_query_range(query, START, end, f"{STEP_SECONDS}s")
        return sums(MetricRangeDataFrame(found)["value"].to_numpy())

    return yardstick
