"""Samples in bulk: remote read beside prometheus-api-client's data frame of the same samples, and beside its floor.

2,000 series of 240 samples over loopback. ``metrics.remote`` gets bytes that are made as a Prometheus makes them, from
a process of its own. ``metrics.remote.real`` asks Debian's Prometheus, if the lab has fetched it before; without it
that row is left out. The floor downloads the same answer and unpacks it, no more, with the standard library.
"""

import asyncio
import http.client
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import cramjam
import numpy as np

from opsagent.clients.download import Place
from opsagent.clients.prometheus_remote import HEADERS, READ, question
from opsagent.clients.prometheus_selections import matchers, selector
from opsagent.clients.prometheus_series import PrometheusSeries, milliseconds
from opsagent.model.series import Selection
from tests.bench.data_frame import START, STEP, Sums, data_frame, sums
from tests.bench.frame import Measure, Pair, Sides
from tests.bench.metrics_server import count, made, serving
from tests.lab.binaries import cache_folder
from tests.lab.packages import stamp
from tests.lab.remote_write import write
from tests.lab.telemetry_binaries import prometheus

SERIES, POINTS = 2000, 240
HALF_AN_HOUR = 60  # points
CPU = Selection.CONTAINER_CPU
END = START + STEP * (POINTS - 1)
ITEMS = count(SERIES, POINTS)


@contextmanager
def _sides(url: str) -> Iterator[Sides]:
    with asyncio.Runner() as runner:
        source = PrometheusSeries(Place("metrics", url))

        async def read() -> Sums:
            return sums((await source.samples(CPU, start=START, end=END)).values)

        def candidate() -> Sums:
            return runner.run(read())

        yield Sides(candidate, data_frame(url, selector(matchers(CPU)), POINTS), ITEMS)
        runner.run(source.aclose())


@contextmanager
def _made() -> Iterator[Sides]:
    with serving(SERIES, POINTS) as url, _sides(url) as sides:
        yield sides


@contextmanager
def _real() -> Iterator[Sides]:
    with (
        TemporaryDirectory() as folder,
        prometheus(Path(folder), "", "--web.enable-remote-write-receiver") as url,
    ):
        # Those that end are left out: a range shows their last value for five minutes more.
        whole = [line for line in made(SERIES, POINTS) if len(line[1]) == POINTS]
        for first in range(0, POINTS, HALF_AN_HOUR):  # it takes in what is an hour old, at most
            part = slice(first, first + HALF_AN_HOUR)
            write(url, ((labels[0][1], labels[1:], lines[part]) for labels, lines in whole))
        with _sides(url) as sides:
            yield sides


@contextmanager
def _floor() -> Iterator[Sides]:
    with serving(SERIES, POINTS) as url, _sides(url) as sides:
        place, wanted = (
            urlsplit(url).netloc,
            question(matchers(CPU), *map(milliseconds, (START, END))),
        )
        values = np.concatenate(
            [[value for _, value in lines] for _, lines in made(SERIES, POINTS)]
        )
        connection = http.client.HTTPConnection(place)

        def floor() -> Sums:
            connection.request("POST", READ, wanted, HEADERS)
            message = cramjam.snappy.decompress_raw(connection.getresponse().read())
            assert len(message) > ITEMS
            return sums(values)  # the other side has to do it too

        yield Sides(sides.candidate, floor, ITEMS)
        connection.close()


ROWS = (
    Pair("metrics.remote", 18, _made),
    Pair("metrics.remote.memory", 5, _made, Measure.MEMORY),
    Pair("metrics.remote.floor", 1 / 3, _floor),
    *((Pair("metrics.remote.real", 18, _real),) if (cache_folder() / stamp()).exists() else ()),
)
