"""The corpus is the same for a seed, and templates found in it are the true ones more often than not."""

from statistics import mean

import pytest

from opsagent.signals.logs.mining import Miner
from opsagent.signals.logs.scrubbing import Scrubber
from tests.corpus.accuracy import Grouping, grouping
from tests.corpus.dialects import DIALECTS, HELD_OUT
from tests.corpus.dialects.shape import Dialect
from tests.corpus.generate import everything, lines


def scored(dialect: Dialect, seed: int) -> Grouping:
    miner = Miner(Scrubber())
    said = list(lines(dialect, seed))
    found = [miner.mine(line.content)[0] for line in said]
    return grouping([line.template for line in said], [each.latest().id for each in found])


def test_a_seed_always_gives_the_same_lines() -> None:
    assert list(everything(3, 20, 5)) == list(everything(3, 20, 5))
    assert [line.raw for line in everything(3, 20)] != [line.raw for line in everything(4, 20)]


def test_there_are_many_dialects_and_every_template_is_used() -> None:
    assert len(DIALECTS) >= 16
    assert {each.name for each in DIALECTS} > HELD_OUT
    for dialect in DIALECTS:
        used = {line.template for line in lines(dialect, 0)}
        assert len(used) >= 0.9 * len(dialect.templates), dialect.name


def test_planted_secrets_stand_in_their_lines() -> None:
    planted = [line for line in everything(6, 20, 2) if line.secrets]
    assert len(planted) == 10 * len(DIALECTS)
    for line in planted:
        assert all(secret in line.content for secret in line.secrets)


@pytest.mark.parametrize(
    ("truth", "found", "accuracy", "f1"),
    [
        ("aabb", "xxyy", 1.0, 1.0),
        ("aabb", "xxxx", 0.0, 0.0),
        ("aabb", "xxyz", 0.5, 0.4),
        ("aaab", "xxxy", 1.0, 1.0),
    ],
)
def test_grouping_is_scored_as_in_the_literature(
    truth: str, found: str, accuracy: float, f1: float
) -> None:
    assert grouping(truth, found) == Grouping(accuracy, pytest.approx(f1))


def test_templates_are_found_in_seen_and_held_out_dialects() -> None:
    scores = {dialect.name: scored(dialect, seed=0) for dialect in DIALECTS}
    seen = [score for name, score in scores.items() if name not in HELD_OUT]
    held_out = [score for name, score in scores.items() if name in HELD_OUT]
    assert mean(score.accuracy for score in seen) > 0.94
    assert mean(score.f1 for score in seen) > 0.92
    assert mean(score.accuracy for score in held_out) > 0.90
    assert mean(score.f1 for score in held_out) > 0.87
