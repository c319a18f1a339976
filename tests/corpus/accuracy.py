"""Grouping accuracy and its F1 over templates, as the literature on log parsing defines them.

A line counts for the accuracy if the lines grouped with it are exactly the lines of its true template. The
F1 counts groups instead: precision over those predicted, recall over the true ones.
"""

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Grouping:
    accuracy: float
    f1: float


def grouping(truth: Sequence[Hashable], found: Sequence[Hashable]) -> Grouping:
    """Score ``found[i]``, the group of line i, against ``truth[i]``."""
    true_sizes, found_sizes = Counter(truth), Counter(found)
    together = Counter(zip(truth, found, strict=True))
    right = {
        pair: size
        for pair, size in together.items()
        if true_sizes[pair[0]] == size == found_sizes[pair[1]]
    }
    precision, recall = len(right) / len(found_sizes), len(right) / len(true_sizes)
    f1 = 2 * precision * recall / (precision + recall) if right else 0.0
    return Grouping(sum(right.values()) / len(truth), f1)
