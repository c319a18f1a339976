"""The last while of thousands of series, and what each ten minutes of them come to.

Theory of operation. A ring of slots holds the samples, slot by slot for all series side by side: one row is one
moment of everything. A slot is as long as the time between two scrapes and has room for one sample of each series.
Where a slot begins differs from series to series by a shift, so that the first sample lies in the middle of its slot:
scrapes that come some seconds early or late stay in slots of their own. A sample is told by its stamp, which stands
beside it. So the same sample may come any number of times and in any order; what it leaves behind is the same.

A bin is closed once the data has gone ``grace_ms`` beyond its end, and is computed from the slots then, oldest first:
therefore the order of arrival does not show in it, not even in the last bit of a sum. How far the data has gone is
its newest stamp, but never more than the clock says, so neither a stamp from the future nor a clock that was set
forward closes anything. What comes later than that is counted and left out.

Counted and left out are also: samples further ahead of the clock than ``ahead_ms``, and those of series beyond
``series_max``. When all places are taken, series that have been silent for ``window_ms`` give up theirs. If a series
has two samples in a slot the newer one stays: ``merged_total`` says that the slots are too long.

Numbers are the finite ones. NaN, infinities and the mark of a series that ended are kept as samples and are in no
bin. Nothing here knows a clock or does any I/O.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from opsagent.model.series import Bin, Flags, Labels, SeriesBlock, Stamps, Values, is_stale
from opsagent.signals.places import NO_PLACE, Places

_LINE = 8  # numbers in a cache line
_SERIES_AT_FIRST = 512  # that the ring has room for; it grows twofold
_NO_SHIFT = -1
_Samples: TypeAlias = tuple[Stamps, Stamps, Values]  # places, stamps, values


@dataclass(frozen=True, slots=True)
class WindowShape:
    """How much is kept, in milliseconds and series.

    Attributes:
        slot_ms: at most the time between two scrapes. Prometheus' operator scrapes every 15 or 30 s.
        bin_ms: what is summed up, a multiple of ``slot_ms``.
        window_ms: how long samples can be read back.
        grace_ms: how much later than others a sample may come; more than the overlap of two questions.
        ahead_ms: how far a stamp may lie before the clock; tokens count as invalid beyond that, too.
        series_max: how many series there is room for; 3 KB each, once it is taken.
    """

    slot_ms: int = 15_000
    bin_ms: int = 600_000
    window_ms: int = 1_800_000
    grace_ms: int = 120_000
    ahead_ms: int = 300_000
    series_max: int = 10_000


@dataclass(slots=True)
class WindowCounters:
    """What a window did with the samples that it was given."""

    samples_total: int = 0
    repeats_total: int = 0  # had come before
    merged_total: int = 0  # shared their slot with a newer one
    late_total: int = 0  # their bin was closed
    ahead_total: int = 0  # from the future
    dropped_total: int = 0  # of series that had no place
    unfinite_total: int = 0  # of those that were kept: NaN and infinities, which are in no bin
    ended_total: int = 0  # and marks of an end


class SeriesWindow:
    """The series of one selection. Every array has one entry a place, shape (n,)."""

    def __init__(self, begin_ms: int, shape: WindowShape | None = None) -> None:
        """Begin with the first bin that is whole after ``begin_ms`` (Unix ms); what is older is late."""
        self.shape = shape = shape or WindowShape()
        assert shape.bin_ms % shape.slot_ms == 0
        assert shape.series_max > 0
        self.counters = WindowCounters()
        kept_ms = shape.window_ms + shape.bin_ms + shape.grace_ms + shape.ahead_ms
        self._slots = kept_ms // shape.slot_ms + 2
        self._width = _width(min(shape.series_max, _SERIES_AT_FIRST))
        self._stamps: Stamps = np.zeros(self._slots * self._width, np.int64)
        self._values: Values = np.zeros(self._slots * self._width)
        self._places = Places(shape.series_max)
        self._shift: Stamps = np.full(shape.series_max, _NO_SHIFT)
        self._last_ms: Stamps = np.zeros(shape.series_max, np.int64)
        self._last: Values = np.full(shape.series_max, np.nan)
        self._closed_ms = -(-begin_ms // shape.bin_ms) * shape.bin_ms
        self._newest_ms = 0  # of what came
        self._filled_ms = 0  # of what is in the ring

    # What it is told

    def take(self, block: SeriesBlock, now_ms: int) -> tuple[Bin, ...]:
        """Take samples in, at ``now_ms`` (Unix ms); return the bins that are closed by it, oldest first."""
        self.counters.samples_total += len(block.stamps)
        bins: list[Bin] = []
        samples = self._usable(block, now_ms)
        while len(samples[1]):
            near, samples = self._split(samples)
            self._put(near)
            if len(samples[1]):  # they need the slots of what is older
                bins += self._close(int(samples[1].min()) - self.shape.grace_ms)
        bins += self._close(min(now_ms, self._newest_ms) - self.shape.grace_ms)
        return tuple(bins)

    # What it knows

    def __len__(self) -> int:
        """How many places there are up to the last one that was ever taken: n."""
        return len(self._places)

    @property
    def labels(self) -> tuple[Labels, ...]:
        """Whose place it is; who is silent for long loses it to others."""
        return self._places.labels

    @property
    def lives(self) -> Stamps:
        """How many series had the place so far: when it grows, what was known of the place is of another series."""
        return self._places.lives[: len(self)]

    @property
    def newest_ms(self) -> int:
        """The newest stamp of all, Unix ms; 0 before the first."""
        return self._newest_ms

    def latest(self) -> tuple[Stamps, Values]:
        """Return stamp and value of the newest sample of each series, which may be the mark of its end."""
        return self._last_ms[: len(self)].copy(), self._last[: len(self)].copy()

    def between(self, start_ms: int, end_ms: int) -> tuple[Stamps, Values]:
        """Return the samples from ``start_ms`` to before ``end_ms``, as far as they are kept.

        Shape (k, n) both, the oldest slot first; where there is none the stamp is 0 and the value NaN.
        """
        rows = list(self._rows(start_ms, end_ms))
        stamps = np.array([np.where(there, at, 0) for at, _, there in rows], np.int64)
        values = np.array([np.where(there, value, np.nan) for _, value, there in rows])
        shape = (len(rows), len(self))
        return stamps.reshape(shape), values.reshape(shape)

    def increase(self, start_ms: int, end_ms: int) -> Values:
        """Return by how much each counter grew between its first and its last sample in the span, nothing extrapolated.

        A value below the one before it means that the counting began anew at zero. NaN where there are less
        than two finite samples.
        """
        before = np.full(len(self), np.nan)
        grown = np.zeros(len(self))
        seen = np.zeros(len(self), np.int64)
        for _, values, there in self._rows(start_ms, end_ms):
            value = np.where(there & np.isfinite(values), values, np.nan)
            step = value - before
            step = np.where(step < 0, value, step)
            grown += np.where(np.isnan(step), 0.0, step)
            seen += ~np.isnan(value)
            before = np.where(np.isnan(value), before, value)
        return np.where(seen > 1, grown, np.nan)

    # Taking in

    def _usable(self, block: SeriesBlock, now_ms: int) -> _Samples:
        """Return the samples that have a place and a possible time, oldest first within a place."""
        is_ahead = block.stamps > now_ms + self.shape.ahead_ms
        in_time = block.stamps[~is_ahead] if is_ahead.any() else block.stamps
        # Also by those without a place: else the silent would never give theirs up.
        self._newest_ms = max(self._newest_ms, int(in_time.max(initial=0)))
        places = self._find_places(block)
        series = np.repeat(places, np.diff(block.starts))
        is_homeless = (series == NO_PLACE) & ~is_ahead
        self.counters.ahead_total += int(np.count_nonzero(is_ahead))
        self.counters.dropped_total += int(np.count_nonzero(is_homeless))
        samples = (series, block.stamps, block.values)
        series, stamps, values = _chosen(samples, ~(is_homeless | is_ahead))
        is_rising = (stamps[1:] > stamps[:-1]) | (series[1:] != series[:-1])
        if not is_rising.all() or _is_doubled(places):
            order = np.lexsort((stamps, series))
            series, stamps, values = series[order], stamps[order], values[order]
        self._note_latest(series, stamps, values)
        return series, stamps, values

    def _find_places(self, block: SeriesBlock) -> Stamps:
        places = self._places.of(block.labels)
        if len(self) > self._width:
            self._grow()
        if (places == NO_PLACE).any():
            self._give_up_silent()
            places = self._places.of(block.labels)
        firsts = block.starts[:-1]
        is_first = (places != NO_PLACE) & (firsts < block.starts[1:])
        is_first[is_first] = self._shift[places[is_first]] == _NO_SHIFT
        # In the middle of the slot: (stamp + shift) % slot is half a slot.
        slot = self.shape.slot_ms
        self._shift[places[is_first]] = (slot // 2 - block.stamps[firsts[is_first]]) % slot
        return places

    def _grow(self) -> None:
        """Make the rows of the ring wide enough for every place, and twice as wide at least."""
        width = _width(min(self.shape.series_max, max(2 * self._width, len(self))))
        stamps: Stamps = np.zeros((self._slots, width), np.int64)
        values: Values = np.zeros((self._slots, width))
        stamps[:, : self._width] = self._stamps.reshape(self._slots, self._width)
        values[:, : self._width] = self._values.reshape(self._slots, self._width)
        self._stamps, self._values, self._width = stamps.reshape(-1), values.reshape(-1), width

    def _give_up_silent(self) -> None:
        taken = self._places.taken()
        before = min(self._newest_ms - self.shape.window_ms, self._closed_ms)
        silent = taken[self._last_ms[taken] < before]
        self._places.give_up(silent)
        self._stamps.reshape(self._slots, self._width)[:, silent] = 0
        self._shift[silent] = _NO_SHIFT
        self._last_ms[silent] = 0
        self._last[silent] = np.nan

    def _note_latest(self, series: Stamps, stamps: Stamps, values: Values) -> None:
        """Remember the last sample of each run of one series."""
        ends = np.flatnonzero(series[1:] != series[:-1])
        ends = np.append(ends, len(series) - 1) if len(series) else ends
        ends = ends[stamps[ends] > self._last_ms[series[ends]]]
        self._last_ms[series[ends]] = stamps[ends]
        self._last[series[ends]] = values[ends]

    def _split(self, samples: _Samples) -> tuple[_Samples, _Samples]:
        """Return what there are slots for while the present bin is open, and the rest."""
        is_near = samples[1] < self._closed_ms + (self._slots - 1) * self.shape.slot_ms
        return _chosen(samples, is_near), _chosen(samples, ~is_near)

    def _put(self, samples: _Samples) -> None:
        """Put samples into their slots and count those that are not."""
        series, stamps, values = samples
        places = self._position(series, stamps)
        held = self._stamps[places]
        is_new = (held < stamps) & (stamps >= self._closed_ms)
        if not is_new.all():
            is_repeat = held == stamps
            is_late = (stamps < self._closed_ms) & ~is_repeat
            self.counters.repeats_total += int(np.count_nonzero(is_repeat))
            self.counters.late_total += int(np.count_nonzero(is_late))
            self.counters.merged_total += int(np.count_nonzero(~(is_new | is_repeat | is_late)))
            held = held[is_new]
            places, stamps, values = _chosen((places, stamps, values), is_new)
        if len(stamps):
            self._count_crowded(places, stamps, held)
            self._count_unfinite(places, stamps, values)
            self._stamps[places] = (
                stamps  # where a slot is told twice the last one stays, the newest
            )
            self._values[places] = values
            self._filled_ms = max(self._filled_ms, int(stamps.max()))

    def _count_crowded(self, places: Stamps, stamps: Stamps, held: Stamps) -> None:
        """Count the samples that lose their slot to the next one, and those that came before."""
        is_twin = np.concatenate([[False], places[1:] == places[:-1]])
        is_replacing = (stamps - held < self.shape.slot_ms) & ~is_twin
        repeats = int(np.count_nonzero(is_twin[1:] & (stamps[1:] == stamps[:-1])))
        self.counters.repeats_total += repeats
        crowded = np.count_nonzero(is_twin) + np.count_nonzero(is_replacing)
        self.counters.merged_total += int(crowded) - repeats

    def _count_unfinite(self, places: Stamps, stamps: Stamps, values: Values) -> None:
        is_odd: Flags = ~np.isfinite(values)
        if not is_odd.any():
            return
        is_again = (places[1:] == places[:-1]) & (stamps[1:] == stamps[:-1])
        odd = values[is_odd & ~np.concatenate([[False], is_again])]
        ended = int(np.count_nonzero(is_stale(odd)))
        self.counters.ended_total += ended
        self.counters.unfinite_total += len(odd) - ended

    def _position(self, series: Stamps, stamps: Stamps) -> Stamps:
        """Return where samples stand in the ring."""
        slots = (stamps + self._shift[series]) // self.shape.slot_ms
        slots -= slots // self._slots * self._slots  # the remainder: ``%`` takes twice as long
        positions: Stamps = slots * self._width + series
        return positions

    # Giving out

    def _rows(self, start_ms: int, end_ms: int) -> Iterator[tuple[Stamps, Values, Flags]]:
        """Yield stamps, values and which of them lie in the span, for each slot that may hold some, oldest first."""
        count = len(self)
        for slot in self._slots_of(start_ms, end_ms).tolist():
            start = slot * self._width
            stamps = self._stamps[start : start + count]
            there: Flags = (stamps >= start_ms) & (stamps < end_ms)
            yield stamps, self._values[start : start + count], there

    def _slots_of(self, start_ms: int, end_ms: int) -> Stamps:
        """Return the slots that may hold samples of the span, oldest first."""
        width = self.shape.slot_ms
        end_ms = min(end_ms, self._filled_ms + 1)
        first, last = start_ms // width, (end_ms - 1) // width + 1  # a slot more, for the shift
        return np.arange(max(first, last - self._slots + 1), last + 1) % self._slots

    def _close(self, before_ms: int) -> list[Bin]:
        """Close every bin that ends at ``before_ms`` or earlier; return those that have anything in them."""
        width = self.shape.bin_ms
        bins = []
        while self._closed_ms + width <= before_ms:
            if self._filled_ms < self._closed_ms:  # nothing came since
                self._closed_ms = before_ms - before_ms % width
                break
            bins.append(self._bin(self._closed_ms))
            self._closed_ms += width
        return [each for each in bins if each.labels]

    def _bin(self, start_ms: int) -> Bin:
        end_ms = start_ms + self.shape.bin_ms
        count, *numbers = _summed(*self._filled(start_ms, end_ms))
        order = self._places.order()
        told = order[count[order] > 0]
        labels = self.labels
        return Bin(
            start_ms,
            self.shape.bin_ms,
            tuple([labels[place] for place in told.tolist()]),
            count[told],
            *(each[told] for each in numbers),
        )

    def _filled(self, start_ms: int, end_ms: int) -> tuple[Values, Flags]:
        """Return copies of the slots with finite numbers from the span, and which those are; shape (k, n), oldest first."""
        slots = self._slots_of(start_ms, end_ms)
        shape = (self._slots, self._width)
        stamps = self._stamps.reshape(shape)[slots, : len(self)]
        is_in: Flags = (stamps >= start_ms) & (stamps < end_ms)
        is_filled = is_in.any(axis=1)  # slots are shorter than the time between most scrapes
        values = self._values.reshape(shape)[slots[is_filled], : len(self)]
        return values, is_in[is_filled] & np.isfinite(values)


def _summed(values: Values, good: Flags) -> tuple[Stamps, Values, Values, Values, Values]:
    """Return count, sum, min, max and last of the good numbers of each column; what has none is 0 or NaN. Spoils ``values``."""
    bad = ~good
    count: Stamps = np.add.reduce(good, axis=0, dtype=np.int64)
    last = np.zeros(len(count))
    is_sought = count > 0
    for row, is_good in zip(values[::-1], good[::-1], strict=True):
        np.copyto(last, row, where=is_good & is_sought)
        is_sought &= ~is_good
        if not is_sought.any():
            break
    np.copyto(values, np.nan, where=bad)
    low, high = (each.reduce(values, axis=0, initial=np.nan) for each in (np.fmin, np.fmax))
    np.copyto(values, 0.0, where=bad)
    total = np.zeros(len(count))
    for row in values:  # one after the other: the order of a sum is seen in its last bit
        total += row
    return count, total, low, high, last


def _width(series: int) -> int:
    """Return an odd number of cache lines, lest all rows of the ring fall into one part of the cache."""
    return (series // _LINE + 1 | 1) * _LINE


def _chosen(samples: _Samples, which: Flags) -> _Samples:
    if which.all():
        return samples
    series, stamps, values = samples
    return series[which], stamps[which], values[which]


def _is_doubled(places: Stamps) -> bool:
    """Return whether a place stands there twice."""
    taken = places[places != NO_PLACE]
    return len(taken) > 0 and int(np.bincount(taken).max()) > 1
