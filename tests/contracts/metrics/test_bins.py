"""What remote read of a real Prometheus comes to in ten minutes is what that Prometheus says of the same ten minutes."""

import json
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from opsagent.clients.download import Place
from opsagent.clients.prometheus_selections import Comparison, matchers, selector
from opsagent.clients.prometheus_series import PrometheusSeries
from opsagent.model.series import Bin, Labels, Selection
from opsagent.ports import SeriesSource
from opsagent.signals.series import SeriesWindow
from tests.contracts.metrics.environment import history
from tests.contracts.metrics.history import LENGTH_SECONDS
from tests.contracts.metrics.test_series import END, START
from tests.fakes.virtual_time import EPOCH
from tests.lab.remote_write import write
from tests.lab.telemetry_binaries import prometheus as running_prometheus

ROUNDING = 1e-12  # a sum by compensation against one from the oldest to the newest
BINS = LENGTH_SECONDS * 1000 // 600_000
Asked = Mapping[Labels, float]


def asked(url: str, selection: Selection, name: str, how: str, told: Bin) -> Asked:
    """Return what Prometheus says of all series called ``name`` from the bin's beginning to before its end."""
    first, *others = matchers(selection)
    series = selector((replace(first, comparison=Comparison.EQUAL, value=name), *others))
    query = {
        "query": f"{how}_over_time({series}[{told.width_ms}ms])",
        "time": f"{(told.start_ms + told.width_ms - 1) / 1000:.3f}",
    }
    path = f"{url}/api/v1/query?{urllib.parse.urlencode(query)}"
    with urllib.request.urlopen(path, timeout=10) as answer:
        found = json.load(answer)["data"]["result"]
    return {
        tuple(sorted({**each["metric"], "__name__": name}.items())): float(each["value"][1])
        for each in found
    }


async def bins(source: SeriesSource, selection: Selection) -> tuple[Bin, ...]:
    """Return all bins of the history."""
    block = await source.samples(selection, start=START, end=END)
    window = SeriesWindow(round(EPOCH.timestamp() * 1000))
    return window.take(block, round(END.timestamp() * 1000))


@pytest.mark.lab
async def test_bins_of_remote_read_are_what_a_real_prometheus_says(tmp_path: Path) -> None:
    hand, simulated = history()
    with running_prometheus(tmp_path, "", "--web.enable-remote-write-receiver") as url:
        write(url, simulated.samples(hand.cluster.now))
        source = PrometheusSeries(Place("metrics", url))
        for selection in Selection:
            told = await bins(source, selection)
            assert len(told) == BINS, selection
            for each in told:
                for name in {dict(labels)["__name__"] for labels in each.labels}:
                    check(url, selection, name, each)
        await source.aclose()


def check(url: str, selection: Selection, name: str, told: Bin) -> None:
    """Compare the five numbers of each series called ``name`` with those of the server."""
    places = {
        labels: place
        for place, labels in enumerate(told.labels)
        if dict(labels)["__name__"] == name
    }
    columns = {"count": told.count, "min": told.min, "max": told.max, "last": told.last}
    for how, column in columns.items():
        mine = {labels: float(column[place]) for labels, place in places.items()}
        assert asked(url, selection, name, how, told) == mine, (how, name, told)
    sums = asked(url, selection, name, "sum", told)
    assert sums == pytest.approx(
        {labels: told.sum[place] for labels, place in places.items()}, rel=ROUNDING
    )
