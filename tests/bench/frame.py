"""Measuring two sides fairly: alternating, in one process, by CPU time, with equal results or not at all.

The machine is shared, so wall time means nothing here: CPU time of this process (user and system, all its
threads) does. A server that feeds both sides belongs in a process of its own. Each round runs both sides
one after the other, who begins alternates, and the median of the rounds' ratios counts. Memory is the growth
of the peak in a fresh process a side.
"""

import gc
import importlib
import json
import pkgutil
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from statistics import median

ROUNDS = 5


class Measure(Enum):
    CPU = "us"  # of one item
    MEMORY = "KiB"  # by which the peak of a fresh process grows


@dataclass(frozen=True, slots=True)
class Sides:
    """One run of each side. Both results must be equal; a round deals with ``items`` items."""

    candidate: Callable[[], object]
    yardstick: Callable[[], object]
    items: int = 1


@dataclass(frozen=True, slots=True)
class Pair:
    """Yardstick over candidate is to be at least ``goal``. ``open`` prepares, and tidies up behind."""

    name: str
    goal: float
    open: Callable[[], AbstractContextManager[Sides]]
    measure: Measure = Measure.CPU

    def rows(self, rounds: int) -> Iterator["Row"]:
        yield from (_by_cpu if self.measure is Measure.CPU else _by_memory)(self, rounds)


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the report. ``ok`` says whether the goal was met."""

    name: str
    candidate: float
    yardstick: float
    ratio: float
    goal: str
    ok: bool
    unit: str


@dataclass(frozen=True, slots=True)
class Figure:
    """What is computed once, not timed, e.g. an accuracy; it yields its own rows."""

    name: str
    compute: Callable[[], Iterator[Row]]

    def rows(self, rounds: int) -> Iterator[Row]:  # noqa: ARG002 - one is enough
        yield from self.compute()


class UnequalError(Exception):
    """The sides did not do the same work: the measurement is void."""


def found() -> Iterator[Pair | Figure]:
    """Yield what the files in ``pairs`` measure, by file name."""
    pairs = importlib.import_module("tests.bench.pairs")
    for module in sorted(pkgutil.iter_modules(pairs.__path__), key=lambda each: each.name):
        yield from importlib.import_module(f"tests.bench.pairs.{module.name}").ROWS


def _by_cpu(pair: Pair, rounds: int) -> Iterator[Row]:
    with pair.open() as sides:
        times = [_round(pair.name, sides, is_flipped=bool(number % 2)) for number in range(rounds)]
    ratio = median(yardstick / candidate for candidate, yardstick in times)
    candidate, yardstick = (median(side) * 1e6 / sides.items for side in zip(*times, strict=True))
    yield _row(pair, candidate, yardstick, ratio)


def _round(name: str, sides: Sides, *, is_flipped: bool) -> tuple[float, float]:
    first, second = sides.candidate, sides.yardstick
    if is_flipped:
        first, second = second, first
    (one, result), (other, other_result) = _timed(first), _timed(second)
    if result != other_result:
        raise UnequalError(f"{name}: {str(result)[:200]} is not {str(other_result)[:200]}")
    return (other, one) if is_flipped else (one, other)


def _timed(run: Callable[[], object]) -> tuple[float, object]:
    gc.collect()
    began = time.process_time()
    result = run()
    return time.process_time() - began, result


def _by_memory(pair: Pair, rounds: int) -> Iterator[Row]:
    grown = [
        [_in_child(pair.name, side) for side in ("candidate", "yardstick")] for _ in range(rounds)
    ]
    for sides in grown:
        if sides[0]["result"] != sides[1]["result"]:
            raise UnequalError(f"{pair.name}: {sides}")
    candidate, yardstick = (median(sides[i]["grown"] for sides in grown) for i in (0, 1))
    yield _row(pair, candidate, yardstick, yardstick / max(candidate, 1))


def _in_child(name: str, side: str) -> dict[str, float | str]:
    command = [sys.executable, "-m", "tests.bench", "--side", side, name]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _peak() -> int:
    """Return the peak of this process's memory in KiB. ``ru_maxrss`` would begin with that of its parent."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1])


def run_side(pair: Pair, side: str) -> None:
    """Run one side in this process and print by how much its peak grew."""
    with pair.open() as sides:
        before = _peak()
        result = getattr(sides, side)()
        grown = _peak() - before
    print(json.dumps({"grown": grown, "result": repr(result)}))  # noqa: T201 - its parent reads it


def _row(pair: Pair, candidate: float, yardstick: float, ratio: float) -> Row:
    unit = pair.measure.value
    return Row(
        pair.name, candidate, yardstick, ratio, f">= {pair.goal:g}x", ratio >= pair.goal, unit
    )


def shown(row: Row, *, is_json: bool) -> str:
    if is_json:
        return json.dumps(asdict(row))
    mark = "ok" if row.ok else "MISSED"
    return (
        f"{row.name:32} {row.candidate:12.4g} {row.yardstick:12.4g} {row.unit:6}"
        f" {row.ratio:8.3g}x  goal {row.goal:12} {mark}"
    )
