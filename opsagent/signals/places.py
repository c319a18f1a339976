"""Which place in the arrays a series has: one place a series, a bound on places, and a second life for those given up."""

import numpy as np

from opsagent.model.series import Labels, Stamps

NO_PLACE = -1
PAIR_WEIGHT = 200  # bytes that two short texts and their tuple take beside their letters
WEIGHT_MAX = (
    4096  # of the labels of a series, on the average of all places; cAdvisor's have half of that
)


class Places:
    """Labels -> place, from 0 to ``places_max`` - 1, in the order in which series were first seen.

    Labels take memory too, and their number has no bound of its own: when those that are held weigh as much as
    ``places_max`` series with many labels, all places are taken.
    """

    def __init__(self, places_max: int) -> None:
        self._places_max = places_max
        self._index: dict[Labels, int] = {}
        self._labels: list[Labels] = []
        self._weight = 0
        self._free: list[int] = []
        self._asked: tuple[Labels, ...] = ()
        self._found: Stamps = np.empty(0, np.int64)
        self._order: Stamps | None = None
        self.lives: Stamps = np.zeros(places_max, np.int64)
        """How many series had each place so far; shape (places_max,)."""

    def __len__(self) -> int:
        """How many places were ever taken; all that are in use lie below."""
        return len(self._labels)

    @property
    def labels(self) -> tuple[Labels, ...]:
        """Who has each place; what was given up and not taken again shows who had it last."""
        return tuple(self._labels)

    def of(self, labels: tuple[Labels, ...]) -> Stamps:
        """Return the places of ``labels``, new ones for those that have none, ``NO_PLACE`` when all are taken."""
        # The series of one answer are nearly always those of the one before, down to the objects.
        if labels != self._asked or (self._found == NO_PLACE).any():
            self._asked = labels
            places = (self._index.get(each, NO_PLACE) for each in labels)
            self._found = np.fromiter(places, np.int64, len(labels))
            for number in np.flatnonzero(self._found == NO_PLACE):
                self._found[number] = self._take(labels[number])
        return self._found

    def give_up(self, places: Stamps) -> None:
        """Let others have ``places``."""
        for place in places.tolist():
            del self._index[self._labels[place]]
            self._free.append(place)
        self._asked = ()

    def order(self) -> Stamps:
        """Return the places in the order of their labels."""
        if self._order is None:
            ordered = sorted(range(len(self._labels)), key=self._labels.__getitem__)
            self._order = np.array(ordered, np.int64)
        return self._order

    def taken(self) -> Stamps:
        """Return the places that are in use."""
        return np.fromiter(self._index.values(), np.int64, len(self._index))

    def _take(self, labels: Labels) -> int:
        known = self._index.get(labels)  # it may stand twice in one answer
        if known is not None:
            return known
        if not self._free and len(self._labels) == self._places_max:
            return NO_PLACE
        weight = _weight(labels) - (_weight(self._labels[self._free[-1]]) if self._free else 0)
        if self._weight + weight > self._places_max * WEIGHT_MAX:
            return NO_PLACE
        if self._free:
            place = self._free.pop()
            self._labels[place] = labels
        else:
            place = len(self._labels)
            self._labels.append(labels)
        self._weight += weight
        self._index[labels] = place
        self.lives[place] += 1
        self._order = None
        return place


def _weight(labels: Labels) -> int:
    """Return about how many bytes the labels take."""
    return sum(PAIR_WEIGHT + len(name) + len(text) for name, text in labels)
