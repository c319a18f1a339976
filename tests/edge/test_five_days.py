"""The daemon among everything that a cluster says: what comes in is there, and twice the same comes to the same rows."""

import json
import subprocess
import sys
from typing import Any

import pytest

pytestmark = pytest.mark.flood


def played(hash_seed: int) -> Any:  # JSON
    command = ["env", f"PYTHONHASHSEED={hash_seed}", sys.executable, "-m", "tests.bench.five_days"]
    asked = ("--scale=0.02", "--days=2", "--hours=0.5")
    done = subprocess.run((*command, *asked), capture_output=True, check=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def test_lines_samples_events_and_alerts_are_kept_and_the_same_again_in_another_order_of_hashing() -> (
    None
):
    first, second = played(1), played(2)
    assert first["counts"] == second["counts"]
    assert first["digest"] == second["digest"]
    counts = first["counts"]
    assert counts["lost"] == counts["gaps"] == 0
    assert counts["lines"] > 500
    assert (
        counts["lines"] - counts["entries"] <= 3
    )  # the last record of a pod waits for its next line
    assert min(counts[name] for name in ("samples", "bins", "watch_events", "alerts")) > 0
