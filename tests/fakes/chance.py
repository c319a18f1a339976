"""Chances for tests: no surprise at all, or the same surprises each time."""


class MiddleChance:
    """Always draws the middle."""

    def uniform(self, low: float, high: float) -> float:
        return (low + high) / 2
