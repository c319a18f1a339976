"""Every selection means the same on a simulated and on a real Prometheus, on the same samples, by both ways of asking."""

import datetime as dt
from pathlib import Path

import numpy as np
import pytest

from opsagent.model.series import Labels, Selection, SeriesBlock, is_stale
from opsagent.ports import SeriesSource, Terminal
from tests.contracts.metrics.history import LENGTH_SECONDS
from tests.contracts.metrics.series_environment import Environment, everywhere, http, real, sim
from tests.fakes.virtual_time import EPOCH

STEP = dt.timedelta(seconds=15)  # that of the scrapes
Told = dict[Labels, tuple[list[int], list[int]]]


def at(seconds: float) -> dt.datetime:
    return EPOCH + dt.timedelta(seconds=seconds)


START, END = at(-60), at(LENGTH_SECONDS + 400)


def told(block: SeriesBlock) -> Told:
    """Return stamps and the bits of the values by labels."""
    assert len(set(block.labels)) == len(block.labels)
    assert len(block.starts) == len(block.labels) + 1
    assert block.starts[-1] == len(block.stamps) == len(block.values)
    parts = (block.of(index) for index in range(len(block.labels)))
    return {
        labels: (stamps.tolist(), values.view(np.int64).tolist())
        for labels, (stamps, values) in zip(block.labels, parts, strict=True)
    }


def named(block: SeriesBlock, name: str) -> set[str]:
    return {dict(labels).get(name, "") for labels in block.labels}


@everywhere
@pytest.mark.parametrize("selection", list(Selection))
async def test_every_selection_has_samples_and_what_is_seen_of_them(
    environment: Environment, selection: Selection, tmp_path: Path
) -> None:
    async with environment(tmp_path) as source:
        samples = await source.samples(selection, start=START, end=END)
        seen = await source.range(selection, start=at(0), end=at(LENGTH_SECONDS), step=STEP)
    assert named(samples, "__name__") == named(seen, "__name__")
    assert set(seen.labels) == set(samples.labels)
    assert len(samples.labels) > 1
    for stamps, _ in told(samples).values():
        assert stamps == sorted(set(stamps))
    assert np.isfinite(seen.values).all()


@everywhere
async def test_samples_are_those_that_were_scraped_and_a_mark_where_a_series_ended(
    environment: Environment, tmp_path: Path
) -> None:
    async with environment(tmp_path) as source:
        up = await source.samples(Selection.TARGETS_UP, start=START, end=END)
        memory = await source.samples(Selection.CONTAINER_MEMORY, start=START, end=END)
    for index in range(len(up.labels)):
        stamps, values = up.of(index)
        assert set(np.diff(stamps)) == {15_000}
        assert set(values) == {1.0}
    ended = [labels for index, labels in enumerate(memory.labels) if is_stale(memory.of(index)[1]).any()]  # fmt: skip
    assert len(ended) == 2  # the pods of the two bad releases
    marks = is_stale(memory.values)
    assert np.isfinite(memory.values[~marks]).all()


@everywhere
async def test_both_ends_are_included_and_nothing_else_is(
    environment: Environment, tmp_path: Path
) -> None:
    async with environment(tmp_path) as source:
        two = await source.samples(Selection.TARGETS_UP, start=at(60), end=at(75))
        none = await source.samples(Selection.TARGETS_UP, start=at(61), end=at(74))
        ranged = await source.range(
            Selection.TARGETS_UP, start=at(60), end=at(120.9), step=dt.timedelta(seconds=20)
        )
    stamps = round(at(60).timestamp()) * 1000
    assert {tuple(each) for each, _ in told(two).values()} == {(stamps, stamps + 15_000)}
    assert none.labels == ()
    assert {tuple(each) for each, _ in told(ranged).values()} == {
        tuple(stamps + 20_000 * step for step in range(4))
    }


@everywhere
async def test_namespaces_narrow_what_has_one_and_nothing_else(
    environment: Environment, tmp_path: Path
) -> None:
    async with environment(tmp_path, ("shop",)) as source:
        shop = await source.samples(Selection.CONTAINER_CPU, start=START, end=END)
        seen = await source.range(Selection.CONTAINER_CPU, start=at(0), end=at(900), step=STEP)
        nodes = await source.samples(Selection.NODE_MEMORY, start=START, end=END)
    assert named(shop, "namespace") == named(seen, "namespace") == {"shop"}
    assert nodes.labels
    other = tmp_path / "other"
    other.mkdir()
    async with environment(other, ("nowhere", "no-one")) as source:
        empty = await source.samples(Selection.CONTAINER_CPU, start=START, end=END)
        unseen = await source.range(Selection.CONTAINER_CPU, start=at(0), end=at(900), step=STEP)
    assert (empty.labels, unseen.labels) == ((), ())
    assert not empty.is_partial
    assert not unseen.is_partial


@everywhere
async def test_a_range_that_makes_no_sense_never_reaches_the_server(
    environment: Environment, tmp_path: Path
) -> None:
    async with environment(tmp_path) as source:
        for end, step in ((at(-1), 30), (at(11_000), 1), (at(100), 0.1)):
            with pytest.raises(Terminal, match="points"):
                await source.range(
                    Selection.TARGETS_UP, start=at(0), end=end, step=dt.timedelta(seconds=step)
                )


@pytest.mark.lab
@pytest.mark.timeout(120)
@pytest.mark.parametrize("face", [sim, http])
async def test_every_bit_is_the_same_as_the_real_one(face: Environment, tmp_path: Path) -> None:
    async def all_of(source: SeriesSource, selection: Selection) -> tuple[Told, Told]:
        samples = await source.samples(selection, start=START, end=END)
        seen = await source.range(selection, start=START, end=END, step=dt.timedelta(seconds=7))
        return told(samples), told(seen)

    async with face(tmp_path) as simulated, real(tmp_path) as prometheus:
        for selection in Selection:
            mine = await all_of(simulated, selection)
            assert mine == await all_of(prometheus, selection), selection
