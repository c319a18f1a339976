"""Bins of numbers, made up: by a seed, or number by number."""

import numpy as np

from opsagent.model.series import Bin, Labels

WIDTH_MS = 600_000
ODD = (float("nan"), float("inf"), float("-inf"), -0.0, 5e-324, 1.7976931348623157e308)


def label(name: str, **more: str) -> Labels:
    """Return the labels of one series."""
    return tuple(sorted({"__name__": name, **more}.items()))


def bin_of(number: int, *labels: Labels, seed: int = 0) -> Bin:
    """Return the bin that begins ``number`` widths after 1970, full of numbers that ``seed`` draws."""
    rng = np.random.default_rng([seed, number])
    n = len(labels)
    floats = rng.integers(0, 2**63, (4, n)).view(
        np.float64
    )  # any bits: NaN of all kinds among them
    return Bin(number * WIDTH_MS, WIDTH_MS, labels, rng.integers(1, 2**40, n), *floats)


def odd_bin(number: int) -> Bin:
    """Return a bin of what arithmetic seldom comes to."""
    labels = tuple(label(f"odd_{place}") for place in range(len(ODD)))
    values = np.array(ODD)
    count = np.arange(1, len(ODD) + 1)
    return Bin(number * WIDTH_MS, WIDTH_MS, labels, count, values, values, values, values[::-1])


def bits(told: Bin) -> object:
    """Return everything of a bin, its numbers by their bits: NaN is equal to itself."""
    floats = (told.sum, told.min, told.max, told.last)
    numbers = tuple(np.ascontiguousarray(each).view(np.int64).tolist() for each in floats)
    return told.start_ms, told.width_ms, told.labels, told.count.tolist(), numbers
