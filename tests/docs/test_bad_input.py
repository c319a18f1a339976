"""``docs/bad-input.md`` names tests that exist and counts that status shows."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from opsagent.sim.tempo import Tempo
from tests.edge.beset_daemon import Trouble, beset
from tests.edge.test_bad_input_joined import OddSeries
from tests.fakes.archives import InProcess, tempo_in_process
from tests.fakes.beset import BesetSeries

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "bad-input.md").read_text(encoding="utf-8")


def test_every_test_that_it_names_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PAGE)
    assert len(named) > 30
    missing = [
        f"{file}::{test}"
        for file, test in named
        if not (ROOT / file).exists() or f"def {test}" not in (ROOT / file).read_text()
    ]
    assert not missing


def holds(tree: Any, path: Sequence[str]) -> bool:
    """Return whether the path leads anywhere; ``*`` is any key, but all lead on."""
    if not path:
        return True
    if not isinstance(tree, dict) or not tree:
        return False
    if path[0] == "*":
        return all(holds(each, path[1:]) for each in tree.values())
    return path[0] in tree and holds(tree[path[0]], path[1:])


def test_every_count_that_it_names_is_in_the_status(tmp_path: Path) -> None:
    counts = set(re.findall(r"`([a-z_]+(?:\.(?:[a-z_]+|\*))*_(?:total|seconds|error))`", PAGE))
    assert len(counts) > 20
    traces = tempo_in_process(InProcess(Tempo()))
    status = beset(tmp_path, Trouble(series=BesetSeries(OddSeries().tell), traces=traces)).status
    assert not [each for each in sorted(counts) if not holds(status, each.split("."))]
    assert not holds(status, ["sources", "*", "nothing_total"])
