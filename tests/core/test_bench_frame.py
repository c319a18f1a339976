"""A measurement alternates, compares like with like, and says whether its goal was met."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.bench.__main__ import main
from tests.bench.frame import Pair, Row, Sides, UnequalError, found, shown


def pair(candidate: object, yardstick: object, calls: list[str] | None = None) -> Pair:
    noted = [] if calls is None else calls

    @contextmanager
    def opened() -> Iterator[Sides]:
        def side(name: str, result: object) -> object:
            noted.append(name)
            sum(range(20_000 if name == "c" else 100_000))
            return result

        yield Sides(lambda: side("c", candidate), lambda: side("y", yardstick))

    return Pair("x", 1.5, opened)


def test_who_begins_alternates_and_the_ratio_is_yardstick_over_candidate() -> None:
    calls: list[str] = []
    (row,) = pair(1, 1, calls).rows(3)
    assert calls == ["c", "y", "y", "c", "c", "y"]
    assert row.candidate < row.yardstick
    assert row.ratio > 1.5
    assert row.ok


def test_different_results_void_the_measurement() -> None:
    with pytest.raises(UnequalError, match="x: 1 is not 2"):
        list(pair(1, 2).rows(1))


def test_a_row_is_shown_to_people_and_to_programs() -> None:
    row = Row("x", 1.0, 9.0, 9.0, ">= 10x", ok=False, unit="us")
    assert "MISSED" in shown(row, is_json=False)
    assert json.loads(shown(row, is_json=True))["ratio"] == 9.0


def test_every_measurement_has_a_name_of_its_own() -> None:
    names = [each.name for each in found()]
    assert len(names) == len(set(names)) >= 3


def test_an_unknown_name_is_an_error() -> None:
    assert main(["no.such.name"]) == 1
