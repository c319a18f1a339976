"""Blocks of samples: what belongs to whom, and the one NaN that is a mark."""

import math
import struct

import numpy as np

from opsagent.model.series import STALE_BITS, Bin, Selection, block_of, is_stale

A, B = (("__name__", "a"),), (("__name__", "b"), ("job", "j"))
STALE = struct.unpack("<d", struct.pack("<Q", STALE_BITS))[0]


def test_each_series_has_its_own_part() -> None:
    block = block_of([(A, [1, 2], [0.5, 1.5]), (B, [], []), (A, [3], [2.5])])
    assert block.labels == (A, B, A)
    parts = [block.of(index) for index in range(3)]
    assert [(list(stamps), list(values)) for stamps, values in parts] == [
        ([1, 2], [0.5, 1.5]),
        ([], []),
        ([3], [2.5]),
    ]
    assert not block.is_partial
    assert block_of([], ("a store is away",)).is_partial


def test_only_one_nan_says_that_a_series_ended() -> None:
    values = np.array([1.0, math.nan, STALE, math.inf])
    assert list(is_stale(values)) == [False, False, True, False]
    assert list(is_stale(block_of([(A, [1], [STALE])]).values)) == [True]


def test_the_counters_among_the_selections() -> None:
    assert {each.value for each in Selection if each.is_counter} == {
        "container_cpu",
        "container_throttling",
        "container_restarts",
    }


def test_a_block_of_millions_is_shown_in_a_few_words() -> None:
    assert repr(block_of([(A, [1, 2], [0.5, 1.5])])) == "SeriesBlock(1 series, 2 samples, ())"
    one = np.ones(1)
    assert repr(Bin(600_000, 60_000, (A,), one.astype(np.int64), one, one, one, one)) == (
        "Bin(600000, 60000, 1 series)"
    )
