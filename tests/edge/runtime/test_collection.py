"""A settled process searches for garbage less often, and never through what was there before; cycles go all the same."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from opsagent.runtime.collection import THRESHOLDS, postpone, settle


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.enable()
    gc.set_threshold(*thresholds)


class Cycle:
    def __init__(self) -> None:
        self.own = self


def test_what_was_there_is_left_alone_and_what_comes_is_searched_more_rarely() -> None:
    settle()
    assert gc.get_freeze_count() > 1000
    assert gc.get_threshold() == THRESHOLDS


def test_a_start_is_not_searched_until_it_has_settled() -> None:
    postpone()
    assert not gc.isenabled()
    settle()
    assert gc.isenabled()


def test_a_cycle_that_is_made_later_goes() -> None:
    settle()
    gone = weakref.ref(Cycle())
    kept: list[list[int]] = [[] for _ in range(2 * THRESHOLDS[0])]
    assert gone() is None
    assert kept
