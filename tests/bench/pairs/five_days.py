"""Five days of a cluster through the whole daemon, twice, in processes of their own: see ``tests.bench.five_days``.

``cpu``: seconds of one core; ``memory``: the peak; ``age``: what an item costs on the last day, the first day's cost
being 1; ``lost``: lines that came to nothing, or are known to be missing; ``same``: 1 if both runs, with other orders
of hashing, left the same rows.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from statistics import mean
from typing import Any

from tests.bench.frame import Figure, Row

CPU_SECONDS_MAX = 120.0
MEBIBYTES_MAX = 512.0
AGE_MAX = 1.1


def _run(hash_seed: int) -> dict[str, Any]:
    command = ["env", f"PYTHONHASHSEED={hash_seed}", sys.executable, "-m", "tests.bench.five_days"]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def _at_most(name: str, found: float, limit: float, unit: str) -> Row:
    return Row(f"five_days.{name}", found, limit, limit / found, ">= 1x", found <= limit, unit)


def _five_days() -> Iterator[Row]:
    runs = [_run(hash_seed) for hash_seed in (1, 2)]
    yield _at_most("cpu", mean(run["cpu_seconds_total"] for run in runs), CPU_SECONDS_MAX, "s")
    yield _at_most("memory", max(run["rss_mebibytes"] for run in runs), MEBIBYTES_MAX, "MiB")
    ages = [run["cpu_seconds"][-1] / run["cpu_seconds"][0] for run in runs]
    yield _at_most("age", mean(ages), AGE_MAX, "")
    lost = sum(run["counts"]["lost"] + run["counts"]["gaps"] for run in runs)
    yield Row("five_days.lost", lost, 0, 1, "0", lost == 0, "lines")
    is_same = runs[0]["digest"] == runs[1]["digest"]
    yield Row("five_days.same", is_same, 1, float(is_same), "1", is_same, "")


ROWS = (Figure("five_days", _five_days),)
