"""Answers of remote read that are laid out as one before: their series are known without being read.

Theory of operation. While nothing comes or goes, the answers of a server differ in the bytes of samples alone. What is
remembered of an answer is its frame, all other bytes: tags, lengths, labels, and of the samples of each series the first
byte. These are all that is looked at to find series and labels, so an answer that is as long and has the same frame has
the same series, and their samples lie at the same places. The samples are not remembered: they are verified and read
from their bytes as those of every answer.

Formats of ``struct`` cut out a frame, and the samples too: fifty nanoseconds a series.

What is remembered has a bound. It holds labels, so it has to be forgotten when the memory of labels is.
"""

from dataclasses import dataclass
from itertools import pairwise
from struct import Struct
from typing import NamedTuple

import numpy as np

from opsagent.model.series import Labels, Stamps

FRAMES_MAX = 16  # two of each selection: a scrape more or less is another one
FRAMES_BYTES_MAX = 16 * 2**20  # of all of them: fifty thousand series
GROUP_BYTES = 2**19  # of samples: what stays in the cache while it is looked at
_SERIES_BYTES = 100  # that one takes beside its frame: in two formats, in sizes, in labels


class Message(NamedTuple):
    """An answer, unpacked: the first ``size`` bytes of ``room``."""

    room: bytearray
    size: int


class Regions(NamedTuple):
    """Where the samples of each series begin and end; numbers alone, that the garbage collector does not visit."""

    starts: list[int]
    stops: list[int]


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Series behind each other whose samples are read at once: ``parts`` cuts them out, from ``start`` on.

    ``sizes`` are the bytes that the samples of each series have, shape (n,).
    """

    start: int
    parts: Struct
    sizes: Stamps


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Which series an answer holds, and where their samples lie."""

    labels: tuple[Labels, ...]
    groups: tuple[Group, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Frame:
    """What ``parts`` cut out of an answer that had ``layout``, and the first of it, which is quick to compare."""

    layout: Layout
    parts: Struct
    head: bytes
    told: bytes

    @property
    def weight(self) -> int:
        return len(self.told) + _SERIES_BYTES * len(self.layout.labels)

    def is_of(self, message: Message) -> bool:
        return (
            self.parts.size == message.size
            and message.room.startswith(self.head)
            and b"".join(self.parts.unpack_from(message.room)) == self.told
        )


class LayoutMemory:
    """The layouts of late answers, the latest last."""

    def __init__(self, bytes_max: int = FRAMES_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._frames: list[_Frame] = []

    def find(self, message: Message) -> Layout | None:
        """Return how ``message`` is laid out, if one that was kept is laid out so."""
        for number, each in enumerate(self._frames):
            if each.is_of(message):
                self._frames.append(self._frames.pop(number))
                return each.layout
        return None

    def learn(self, labels: tuple[Labels, ...], regions: Regions, message: Message) -> Layout:
        """Return how ``message`` is laid out: its series have ``labels`` and their samples lie in ``regions``, not empty.

        It is remembered unless it is too large.
        """
        starts, stops = np.array(regions.starts, np.int64), np.array([0, *regions.stops], np.int64)
        gaps, sizes = starts - stops[:-1], stops[1:] - starts
        layout = Layout(labels, _groups(stops, gaps, sizes))
        weight = message.size - int(sizes.sum()) + (1 + _SERIES_BYTES) * len(labels)
        if weight <= self._bytes_max:
            rest = f"{message.size - stops[-1]}s"
            self._keep(layout, _format("%ds%dx", gaps + 1, sizes - 1, rest), message)
        return layout

    def _keep(self, layout: Layout, parts: Struct, message: Message) -> None:
        told = parts.unpack_from(message.room)
        self._frames.append(_Frame(layout, parts, told[0], b"".join(told)))
        weight = sum(each.weight for each in self._frames)
        while weight > self._bytes_max or len(self._frames) > FRAMES_MAX:
            weight -= self._frames.pop(0).weight

    def clear(self) -> None:
        """Forget everything."""
        self._frames.clear()


def _groups(stops: Stamps, gaps: Stamps, sizes: Stamps) -> tuple[Group, ...]:
    """Return what cuts out samples of ``sizes`` bytes, each behind as many as in ``gaps``, from one of ``stops`` on."""
    filled = np.cumsum(sizes) // GROUP_BYTES
    cuts = [0, *(np.flatnonzero(filled[1:] != filled[:-1]) + 1).tolist(), len(sizes)]
    parts = (slice(*each) for each in pairwise(cuts))
    return tuple(
        Group(int(stops[part.start]), _format("%dx%ds", gaps[part], sizes[part]), sizes[part])
        for part in parts
    )


def _format(pair: str, first: Stamps, second: Stamps, rest: str = "") -> Struct:
    numbers = np.column_stack([first, second]).ravel().tolist()
    return Struct("<" + pair * len(first) % tuple(numbers) + rest)
