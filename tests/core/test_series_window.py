"""Windows of series: what each sample of whatever order leaves behind, and that every other one is counted."""

import math
import random
import struct
from collections.abc import Iterable, Sequence
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, strategies as st

from opsagent.model.series import STALE_BITS, Bin, Labels, SeriesBlock, block_of, is_stale
from opsagent.signals.series import SeriesWindow, WindowShape

STALE: float = struct.unpack("<d", struct.pack("<Q", STALE_BITS))[0]
BEGIN = 1_767_571_200_000  # a multiple of ten minutes
MINUTE = 60_000
BIN = 10 * MINUTE
SLOT = 15_000
SMALL = WindowShape(series_max=4)
TICK: Labels = (("__name__", "tick"),)
Sample = tuple[int, float]


def name(number: int) -> Labels:
    return (("__name__", "m"), ("n", str(number)))


def block(**series: Sequence[Sample]) -> SeriesBlock:
    """Return a block of series ``a``, ``b`` and so on, stamps from BEGIN on."""
    return block_of(
        ((("n", key),), [BEGIN + at for at, _ in samples], [value for _, value in samples])
        for key, samples in series.items()
    )


def tick(at: int) -> SeriesBlock:
    """Return one sample of a series of its own, which tells how far the data has gone."""
    return block_of([(TICK, [BEGIN + at], [0.0])])


def told(bins: Iterable[Bin], *, but: Labels = TICK) -> dict[tuple[int, Labels], tuple[float, ...]]:
    """Return count, sum, min, max, last by start (from BEGIN on) and labels."""
    found = {}
    for each in bins:
        assert list(each.labels) == sorted(each.labels)
        assert each.width_ms == BIN
        for index, labels in enumerate(each.labels):
            if labels != but:
                numbers = (each.count, each.sum, each.min, each.max, each.last)
                row = tuple(float(column[index]) for column in numbers)
                found[each.start_ms - BEGIN, labels] = row
    return found


def window(shape: WindowShape | None = None) -> SeriesWindow:
    return SeriesWindow(BEGIN, shape)


A, B = (("n", "a"),), (("n", "b"),)


def test_ten_minutes_come_to_five_numbers() -> None:
    mine = window()
    samples = [(minute * MINUTE, float(value)) for minute, value in enumerate([5, 1, 9, 3])]
    assert mine.take(block(a=samples, b=[(0, 2.0)]), BEGIN + BIN) == ()
    bins = mine.take(tick(BIN + 2 * MINUTE), BEGIN + BIN + 2 * MINUTE)
    assert told(bins) == {(0, A): (4, 18, 1, 9, 3), (0, B): (1, 2, 2, 2, 2)}
    assert mine.take(tick(BIN + 3 * MINUTE), BEGIN + BIN + 3 * MINUTE) == ()


def test_a_bin_holds_its_begin_and_not_its_end() -> None:
    mine = window()
    edges = block(a=[(0, 1.0), (BIN - 1, 2.0)], b=[(BIN, 4.0), (2 * BIN - 1, 5.0)])
    bins = mine.take(edges, BEGIN + 2 * BIN) + mine.take(tick(3 * BIN), BEGIN + 3 * BIN)
    assert told(bins) == {(0, A): (2, 3, 1, 2, 2), (BIN, B): (2, 9, 4, 5, 5)}


def test_what_is_no_finite_number_is_in_no_bin() -> None:
    mine = window()
    odd = [math.nan, 3.0, math.inf, -math.inf, STALE]
    mine.take(
        block(a=[(n * MINUTE, value) for n, value in enumerate(odd)], b=[(0, math.nan)]),
        BEGIN + BIN,
    )
    assert told(mine.take(tick(2 * BIN), BEGIN + 2 * BIN)) == {(0, A): (1, 3, 3, 3, 3)}


def test_what_is_no_finite_number_is_counted_once_however_often_it_comes() -> None:
    mine = window()
    odd = block(
        a=[(0, math.nan), (SLOT, math.inf), (2 * SLOT, 1.0), (3 * SLOT, -math.inf)],
        b=[(0, 1.0), (SLOT, STALE), (SLOT, STALE)],
    )
    for _ in range(3):
        mine.take(odd, BEGIN + MINUTE)
    assert mine.counters.unfinite_total == 3
    assert mine.counters.ended_total == 1
    assert mine.counters.samples_total - mine.counters.repeats_total == 6


def test_the_end_of_a_series_is_its_latest_sample_and_a_gap_after_it() -> None:
    mine = window()
    mine.take(block(a=[(0, 1.0), (MINUTE, STALE)], b=[(0, 1.0)]), BEGIN + MINUTE)
    stamps, values = mine.latest()
    assert [mine.labels, stamps.tolist()] == [(A, B), [BEGIN + MINUTE, BEGIN]]
    assert is_stale(values).tolist() == [True, False]
    mine.take(block(a=[(5 * MINUTE, 7.0)]), BEGIN + 5 * MINUTE)
    assert mine.latest()[1].tolist() == [7.0, 1.0]
    at, found = mine.between(BEGIN, BEGIN + 6 * MINUTE)
    assert at.shape == found.shape
    (a,) = [column[stamp > 0].tolist() for column, stamp in zip(found.T, at.T, strict=True)][:1]
    assert [a[0], a[2]] == [1.0, 7.0]
    assert math.isnan(a[1])


def test_a_window_is_read_back_slot_by_slot_with_nothing_from_outside() -> None:
    mine = window()
    samples = [(n * 30_000, float(n)) for n in range(40)]
    mine.take(block(a=samples), BEGIN + 20 * MINUTE)
    at, found = mine.between(BEGIN + 5 * MINUTE, BEGIN + 7 * MINUTE)
    assert found[at > 0].tolist() == [10.0, 11.0, 12.0, 13.0]
    assert np.isnan(found[at == 0]).all()
    assert mine.between(BEGIN + BIN, BEGIN + BIN)[0].max() == 0
    whole = mine.between(BEGIN - 100 * BIN, BEGIN + 100 * BIN)[1]
    assert whole[~np.isnan(whole)].tolist() == [value for _, value in samples]
    assert window().between(BEGIN, BEGIN + BIN)[0].shape[1] == 0


def test_a_counter_that_falls_began_anew() -> None:
    mine = window()
    counted = [10.0, 12.0, 1.0, 4.0, math.nan, 4.0, STALE, 2.0]
    mine.take(
        block(a=[(n * 30_000, value) for n, value in enumerate(counted)], b=[(0, 5.0)]), BEGIN + BIN
    )
    grown = mine.increase(BEGIN, BEGIN + BIN)
    assert grown[0] == 2 + 1 + 3 + 0 + 2
    assert math.isnan(grown[1])
    assert mine.increase(BEGIN + 90_000, BEGIN + BIN)[0] == 2.0


def test_scrapes_that_waver_keep_slots_of_their_own() -> None:
    mine = window()
    rng = random.Random(1)
    for first in (0, 7_499, 7_500, 14_999):
        samples = [
            (first + 8_000 + n * SLOT + (rng.randrange(-7_000, 7_000) if n else 0), float(n))
            for n in range(100)
        ]
        mine.take(block(**{f"x{first}": samples}), BEGIN + 26 * MINUTE)
    assert mine.counters.merged_total == 0


def test_two_samples_in_a_slot_leave_the_newer_one_and_are_counted() -> None:
    mine = window()
    mine.take(block(a=[(0, 1.0), (1_000, 2.0)]), BEGIN)
    mine.take(block(a=[(2_000, 3.0)]), BEGIN)
    mine.take(block(a=[(500, 4.0)]), BEGIN)
    assert told(mine.take(tick(2 * BIN), BEGIN + 2 * BIN)) == {(0, A): (1, 3, 3, 3, 3)}
    assert mine.counters.merged_total == 3


def test_a_repeated_sample_leaves_nothing_new_not_even_when_its_bin_is_closed() -> None:
    mine = window()
    again = block(a=[(0, 1.0), (MINUTE, 2.0)])
    for _ in range(3):
        mine.take(again, BEGIN + MINUTE)
    bins = mine.take(tick(2 * BIN), BEGIN + 2 * BIN)
    mine.take(again, BEGIN + 2 * BIN)
    mine.take(block(a=[(MINUTE, 2.0), (MINUTE, 2.0)]), BEGIN + 2 * BIN)
    assert told(bins) == {(0, A): (2, 3, 1, 2, 2)}
    assert mine.counters.repeats_total == 8
    assert mine.counters.late_total == 0


def test_a_late_sample_counts_until_its_bin_is_closed() -> None:
    mine = window()
    mine.take(block(a=[(0, 1.0), (BIN + MINUTE, 2.0)]), BEGIN + BIN + MINUTE)
    mine.take(block(a=[(5 * MINUTE, 3.0)]), BEGIN + BIN + MINUTE)
    assert mine.latest()[1].tolist() == [2.0]
    bins = mine.take(tick(BIN + 2 * MINUTE), BEGIN + BIN + 2 * MINUTE)
    assert told(bins) == {(0, A): (2, 4, 1, 3, 3)}
    assert mine.take(block(a=[(6 * MINUTE, 4.0)]), BEGIN + BIN + 2 * MINUTE) == ()
    assert mine.counters.late_total == 1


def test_what_begins_within_a_bin_begins_with_the_next_one() -> None:
    mine = SeriesWindow(BEGIN + 1)
    mine.take(block(a=[(BIN - 1, 1.0), (BIN + MINUTE, 2.0)]), BEGIN + 2 * BIN)
    assert told(mine.take(tick(3 * BIN), BEGIN + 3 * BIN)) == {(BIN, A): (1, 2, 2, 2, 2)}
    assert mine.counters.late_total == 1


def test_a_stamp_from_the_future_is_left_out_and_closes_nothing() -> None:
    mine = window()
    mine.take(block(a=[(0, 1.0)]), BEGIN)
    assert mine.take(block(b=[(10 * BIN, 1.0), (5 * MINUTE, 2.0)]), BEGIN) == ()
    assert mine.counters.ahead_total == 1
    assert mine.newest_ms == BEGIN + 5 * MINUTE
    fast = mine.take(block(b=[(BIN + 4 * MINUTE, 1.0)]), BEGIN + BIN)
    assert fast == ()  # a clock that is four minutes fast
    assert told(mine.take(tick(BIN + 3 * MINUTE), BEGIN + BIN + 3 * MINUTE))[0, A][0] == 1


def test_a_clock_that_is_set_forward_and_back_closes_nothing_too_early() -> None:
    mine = window()
    for minute in range(10):
        mine.take(block(a=[(minute * MINUTE, 1.0)]), BEGIN + minute * MINUTE)
    assert mine.take(block(a=[(BIN, 1.0)]), BEGIN + 1000 * BIN) == ()
    mine.take(block(a=[(BIN + MINUTE, 1.0)]), BEGIN + 9 * MINUTE)
    bins = mine.take(block(a=[(BIN + 2 * MINUTE, 1.0)]), BEGIN + BIN + 2 * MINUTE)
    assert told(bins) == {(0, A): (10, 10, 1, 1, 1)}
    assert asdict(mine.counters)["late_total"] == 0


def test_hours_and_days_at_once_and_days_of_nothing() -> None:
    mine = window(SMALL)
    hours, day = 3600 * 1000, 24 * 3600 * 1000
    samples = [(at, 1.0) for at in range(0, day, SLOT)]
    bins = mine.take(block(a=samples), BEGIN + day)
    late = block(a=[(30 * day + at, 1.0) for at in range(0, 2 * hours, SLOT)])
    bins += mine.take(late, BEGIN + 30 * day + 2 * hours)
    bins += mine.take(tick(31 * day), BEGIN + 31 * day)
    starts = [each.start_ms for each in bins]
    assert starts == sorted(set(starts))
    assert {row[0] for row in told(bins).values()} == {BIN / SLOT}
    assert len(bins) == (day + 2 * hours) // BIN
    assert mine.counters.late_total == mine.counters.merged_total == 0


def test_who_is_a_little_late_is_so_after_a_long_silence_too() -> None:
    mine = window()
    mine.take(block(a=[(0, 1.0), (6 * BIN, 2.0)]), BEGIN + 6 * BIN)
    mine.take(block(b=[(6 * BIN - MINUTE, 3.0)]), BEGIN + 6 * BIN)
    assert mine.counters.late_total == 0


def test_more_series_than_places_are_counted_and_the_others_go_on() -> None:
    mine = window(SMALL)
    many = block(**{f"x{n}": [(0, float(n)), (MINUTE, float(n))] for n in range(6)})
    for _ in range(2):
        mine.take(many, BEGIN + MINUTE)
    assert len(mine) == 4
    assert mine.counters.dropped_total == 8
    bins = mine.take(tick(2 * BIN), BEGIN + 2 * BIN)  # it has no place, but tells how late it is
    assert {labels[0][1] for _, labels in told(bins)} == {"x0", "x1", "x2", "x3"}


def wave(count: int, minute: int) -> SeriesBlock:
    """Return one sample of each of the first ``count`` series."""
    at = BEGIN + minute * MINUTE
    return block_of((name(number), [at], [float(number + minute)]) for number in range(count))


def test_series_come_by_the_thousand_and_lose_nothing_of_those_before() -> None:
    mine = window(WindowShape(series_max=3_000))
    for minute, count in enumerate((1, 500, 700, 2_500, 4_000)):
        assert mine.take(wave(count, minute), BEGIN + minute * MINUTE) == ()
    assert mine.counters.dropped_total == 1_000
    bins = told(mine.take(tick(BIN + 2 * MINUTE), BEGIN + BIN + 2 * MINUTE))
    assert len(bins) == 3_000
    for number, minutes in ((0, (0, 1, 2, 3, 4)), (600, (2, 3, 4)), (2_400, (3, 4)), (2_999, (4,))):
        values = [float(number + minute) for minute in minutes]
        expected = (len(values), sum(values), values[0], values[-1], values[-1])
        assert bins[0, name(number)] == expected


def test_others_take_the_places_of_the_silent_before_there_was_room_for_all() -> None:
    mine = window(WindowShape(series_max=1_000, window_ms=BIN))
    mine.take(wave(400, 0), BEGIN)
    mine.take(tick(4 * BIN), BEGIN + 4 * BIN)
    others = block_of(
        ((("n", f"other {number}"),), [BEGIN + 4 * BIN], [1.0]) for number in range(999)
    )
    mine.take(others, BEGIN + 4 * BIN)
    assert mine.counters.dropped_total == 0


def test_the_silent_give_their_place_to_others_and_leave_nothing_behind() -> None:
    mine = window(SMALL)
    mine.take(block(**{f"x{n}": [(0, 100.0)] for n in range(4)}), BEGIN)
    assert mine.lives.tolist() == [1, 1, 1, 1]
    for minute in range(1, 60):
        mine.take(block(x0=[(minute * MINUTE, 1.0)]), BEGIN + minute * MINUTE)
    fresh = block(y=[(60 * MINUTE, 5.0)], z=[(60 * MINUTE, 6.0)])
    mine.take(fresh, BEGIN + 60 * MINUTE)
    assert mine.counters.dropped_total == 0
    places = {labels[0][1]: place for place, labels in enumerate(mine.labels)}
    assert {"x0", "y", "z"} <= places.keys()
    assert mine.lives[places["x0"]] == 1
    assert mine.lives[places["y"]] == mine.lives[places["z"]] == 2
    found = mine.between(BEGIN, BEGIN + 70 * MINUTE)[1][:, places["y"]]
    assert found[~np.isnan(found)].tolist() == [5.0]
    assert math.isnan(mine.increase(BEGIN, BEGIN + 70 * MINUTE)[places["y"]])
    assert mine.take(block(x1=[(60 * MINUTE, 1.0)]), BEGIN + 60 * MINUTE) == ()  # it comes back
    assert (("n", "x1"),) in mine.labels


def test_a_series_that_stands_twice_in_an_answer_is_one() -> None:
    mine = window()
    twice = block_of([(A, [BEGIN + MINUTE], [2.0]), (A, [BEGIN, BEGIN + MINUTE], [1.0, 2.0])])
    mine.take(twice, BEGIN + MINUTE)
    assert told(mine.take(tick(2 * BIN), BEGIN + 2 * BIN)) == {(0, A): (2, 3, 1, 2, 2)}
    assert mine.latest()[0].tolist()[0] == BEGIN + MINUTE
    assert mine.counters.repeats_total == 1


def test_nothing_is_nothing() -> None:
    mine = window()
    assert mine.take(block_of([]), BEGIN) == ()
    assert mine.take(block(a=[]), BEGIN) == ()
    assert mine.increase(BEGIN, BEGIN + BIN).tolist() == [math.nan] or len(mine) == 1


VALUES = st.floats(-1e6, 1e6) | st.sampled_from([math.nan, STALE, math.inf])
STEPS = st.lists(st.tuples(st.integers(SLOT, 3 * MINUTE), VALUES), min_size=1, max_size=30)


def spread(series: list[list[tuple[int, float]]]) -> list[tuple[Labels, int, float]]:
    """Return samples of each series that lie a slot or more apart, within some bins."""
    samples = []
    for number, steps in enumerate(series):
        at = 0
        for step, value in steps:
            at += step - step % SLOT  # a slot at least, and no wavering
            samples.append((name(number), BEGIN + at % (6 * BIN), value))
    return samples


def plainly(
    samples: Iterable[tuple[Labels, int, float]],
) -> dict[tuple[int, Labels], tuple[float, ...]]:
    """Return the bins as one would reckon them by hand."""
    found: dict[tuple[int, Labels], dict[int, float]] = {}
    for labels, at, value in samples:
        if math.isfinite(value):
            found.setdefault(((at - BEGIN) // BIN * BIN, labels), {}).setdefault(at, value)
    reckoned = {}
    for key, by_stamp in found.items():
        values = [by_stamp[at] for at in sorted(by_stamp)]
        total = 0.0
        for value in values:
            total += value
        reckoned[key] = (len(values), total, min(values), max(values), values[-1])
    return reckoned


@given(st.lists(STEPS, max_size=5), st.randoms(use_true_random=False))
def test_any_order_leaves_the_same_bins_to_the_last_bit(
    series: list[list[tuple[int, float]]], rng: random.Random
) -> None:
    once = list(
        {(labels, at): (labels, at, value) for labels, at, value in spread(series)}.values()
    )
    shape = WindowShape(grace_ms=7 * BIN)
    mine = window(shape)
    samples = [*once, *rng.sample(once, len(once) // 3)]
    rng.shuffle(samples)
    while samples:
        part = [samples.pop() for _ in range(min(len(samples), rng.randrange(1, 9)))]
        mine.take(block_of((labels, [at], [value]) for labels, at, value in part), BEGIN + 6 * BIN)
    bins = mine.take(tick(13 * BIN), BEGIN + 13 * BIN)
    assert told(bins) == plainly(once)
    counted = asdict(mine.counters)
    assert counted.pop("samples_total") == len(once) + counted.pop("repeats_total") + 1
    odd = np.array([value for _, _, value in once if not math.isfinite(value)], np.float64)
    ended = int(np.count_nonzero(is_stale(odd)))
    assert counted.pop("ended_total") == ended
    assert counted.pop("unfinite_total") == len(odd) - ended
    assert set(counted.values()) == {0}


@given(
    st.lists(
        st.tuples(
            st.integers(0, 5),
            st.lists(st.tuples(st.integers(-BIN, 4 * BIN), VALUES), max_size=6),
            st.integers(0, 4 * BIN),
        ),
        max_size=12,
    )
)
def test_every_sample_is_in_a_bin_or_counted(
    story: list[tuple[int, list[tuple[int, float]], int]],
) -> None:
    mine = SeriesWindow(BEGIN, WindowShape(series_max=4, window_ms=BIN))
    bins: list[Bin] = []
    for number, samples, now in story:
        finite = [(at, value if math.isfinite(value) else 1.0) for at, value in samples]
        bins += mine.take(block(**{f"x{number}": finite}), BEGIN + now)
    bins += mine.take(block(x0=[(9 * BIN, 1.0)]), BEGIN + 9 * BIN)
    starts = [each.start_ms for each in bins]
    assert starts == sorted(set(starts))
    counters = mine.counters
    lost = counters.repeats_total + counters.merged_total + counters.late_total
    lost += counters.ahead_total + counters.dropped_total
    kept = sum(int(each.count.sum()) for each in bins)
    is_last_kept = mine.latest()[0].tolist().count(BEGIN + 9 * BIN)
    assert kept + lost + is_last_kept == counters.samples_total


def test_a_shape_that_makes_no_sense_is_a_mistake() -> None:
    with pytest.raises(AssertionError):
        window(WindowShape(slot_ms=7_000))
    with pytest.raises(AssertionError):
        window(WindowShape(series_max=0))
