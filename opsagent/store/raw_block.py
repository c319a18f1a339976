"""The code of a block: many log entries as one column each, in zstd frames.

Theory of operation. What one program prints looks alike, so the texts of one template stand side by side; a
compressor finds there what it would not find in the mixture, the more so as numbers and ids stand apart (see
``raw_text``). The column of templates is in order of arrival, and sorting it, stably, tells again which text belongs to
which entry. Columns of numbers are laid out byte by byte, first all the low bytes, so that the zeros of the high
ones are one run. A checksum comes first, SQLite has none, then which format this is.

Origins and templates are numbers here: the day's file knows whose. An instant is whole microseconds. A lone
surrogate, which UTF-8 has no bytes for, comes back as a question mark, every other character as it was.

It knows no file, and refuses bytes that are no block.
"""

import datetime as dt
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import cramjam
import msgspec
import numpy as np
from numpy.typing import NDArray

from opsagent.model.log import LogSeverity
from opsagent.store.raw_text import Stripped, Texts, joined, stripped, whole

# On skeletons of the corpus level 3 saves 2 %, on digits and ids nothing, and costs a fifth more.
LEVEL = 1
SAMPLE_PARTS = 32  # of a block: one tells how the whole compresses
# Measured on the corpus: 0.1 to 0.2 of texts that repeat, 0.2 to 0.35 of unique ones.
REPEATING_SHARE_MAX = 0.19

Column: TypeAlias = NDArray[np.integer[Any]]

_CHECKSUM_BYTES = 4
_FORMAT = b"\2"  # before it had a number, it was one zstd frame, which begins with another byte
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)
_EXACT_SECONDS = 2**52 / 1e6  # of them, till 2112, a float tells each half microsecond
_SEVERITIES = tuple(LogSeverity)  # what is stored is the place: add at the end, never reorder
_PLACES = {severity: place for place, severity in enumerate(_SEVERITIES)}


class Encoded(NamedTuple):
    """A block as it is stored, and the instants between which its entries were said, in Unix microseconds."""

    earliest: int
    latest: int
    body: bytes


class Columns(NamedTuple):
    """Entries in order of arrival; origins and templates are the numbers, below 2^32, that the day's file gave them."""

    ats: Sequence[dt.datetime]
    origins: Column
    streams: Sequence[str]
    severities: Sequence[LogSeverity]
    templates: Sequence[int]
    texts: Sequence[str]


class Row(NamedTuple):
    """One entry."""

    at: dt.datetime
    origin: int
    stream: str
    severity: LogSeverity
    template: int
    text: str


class _Numbers(msgspec.Struct, array_like=True, frozen=True):
    """All but the texts. Columns are as :func:`_planes` lays them out; streams and severities are sorted by template."""

    streams: tuple[str, ...]
    instants: bytes  # each less the one before
    origins: bytes
    stream_places: bytes
    severities: bytes
    templates: bytes


class _Frames(NamedTuple):
    """What is in a block, each compressed by itself."""

    numbers: bytes
    skeleton: bytes
    digits: bytes
    ids: bytes


_ENCODER = msgspec.msgpack.Encoder()
_NUMBERS = msgspec.msgpack.Decoder(_Numbers)
_FRAMES = msgspec.msgpack.Decoder(_Frames)


def clean(text: str) -> str:
    """Return ``text`` as a block gives it back."""
    return text if text.isascii() else text.encode(errors="replace").decode()


def encoded(columns: Columns, *, is_brief: bool = False) -> Encoded:
    """Return one or more entries as a block, a larger one for less CPU time if it ``is_brief``, soon to be replaced."""
    ats, origins, streams, severities, templates, texts = columns
    instants = _instants(ats)
    of_template = np.fromiter(templates, "<u4", len(ats))
    order = np.argsort(of_template, kind="stable")
    names = {name: place for place, name in enumerate(dict.fromkeys(streams))}
    of_stream = np.zeros(len(ats), "<u4")
    if len(names) > 1:
        of_stream = np.fromiter(map(names.__getitem__, streams), "<u4", len(ats))
    of_severity = np.frombuffer(bytes(map(_PLACES.__getitem__, severities)), "u1")
    numbers = _Numbers(
        streams=tuple(map(clean, names)),
        instants=_planes(np.diff(instants, prepend=0)),
        origins=_planes(origins.astype("<u4")),
        stream_places=_planes(of_stream[order]),
        severities=of_severity[order].tobytes(),
        templates=_planes(of_template),
    )
    text = joined([*map(texts.__getitem__, order.tolist())])
    parts = whole(text) if is_brief or _repeats(text) else stripped(text)
    frames = _Frames(*map(_compressed, (_ENCODER.encode(numbers), *parts)))
    packed = _FORMAT + _ENCODER.encode(frames)
    return Encoded(int(instants.min()), int(instants.max()), _checksum(packed) + packed)


class Block:
    """The entries of a decoded block, by their places in it.

    Raises:
        ValueError: ``body`` is no block, or not all of one.
    """

    def __init__(self, body: bytes) -> None:
        packed = body[_CHECKSUM_BYTES:]
        if not packed or _checksum(packed) != body[:_CHECKSUM_BYTES]:
            raise ValueError("a block's checksum is wrong")
        if not packed.startswith(_FORMAT):
            raise ValueError("a block has a format of another version")
        frames = _FRAMES.decode(memoryview(packed)[len(_FORMAT) :])
        self._numbers = _NUMBERS.decode(_decompressed(frames.numbers))
        self._templates = _column(self._numbers.templates, "<u4")
        self._texts = Texts(Stripped(*map(_decompressed, frames[1:])))

    def __len__(self) -> int:
        """Return how many entries there are."""
        return len(self._templates)

    @property
    def size(self) -> int:
        """How many bytes all texts are together."""
        return self._texts.size

    def row(self, place: int) -> Row:
        """Return the entry at ``place``, from 0, in order of arrival."""
        numbers, template = self._numbers, self._templates[place]
        by_template = int(
            np.count_nonzero(self._templates < template)
            + np.count_nonzero(self._templates[:place] == template)
        )
        instant = _column(numbers.instants, "<i8")[: place + 1].sum()
        return Row(
            _EPOCH + int(instant) * _MICROSECOND,
            _number_at(numbers.origins, len(self), place),
            numbers.streams[_number_at(numbers.stream_places, len(self), by_template)],
            _SEVERITIES[numbers.severities[by_template]],
            int(template),
            self._texts[by_template],
        )


def _repeats(text: bytearray) -> bool:
    """Tell by a part of it whether ``text`` repeats so much that nothing has to be taken out of it."""
    sample = memoryview(text)[len(text) // 2 :][: len(text) // SAMPLE_PARTS]
    return len(cramjam.zstd.compress(sample, level=LEVEL)) < REPEATING_SHARE_MAX * len(sample)


def _instants(ats: Sequence[dt.datetime]) -> Column:
    """Return Unix microseconds."""
    # MessagePack has a form for instants, and C code at hand that makes it: 7 ns each instead of 140. From 1970 to 2514,
    # unless the second is whole, it is 10 bytes long: two that say so, 30 bits of nanoseconds, 34 of seconds.
    count = len(ats)
    packed = np.frombuffer(_ENCODER.encode(ats), "u1")[-10 * count :]
    if packed.size == 10 * count:
        forms = packed.reshape(count, 10)
        if (forms[:, :2] == (0xD7, 0xFF)).all():
            words = np.ascontiguousarray(forms[:, 2:]).view(">u8").ravel()
            seconds, nanoseconds = words & np.uint64(0x3FFFFFFFF), words >> np.uint64(34)
            return (seconds * np.uint64(1_000_000) + nanoseconds // np.uint64(1000)).astype("<i8")
    seconds = np.fromiter(map(dt.datetime.timestamp, ats), "f8", count)
    if np.abs(seconds).max() < _EXACT_SECONDS:
        microseconds: Column = np.rint(seconds * 1_000_000).astype("<i8")
        return microseconds
    return np.fromiter(((at - _EPOCH) // _MICROSECOND for at in ats), "<i8", count)


def _compressed(part: bytes) -> bytes:
    return bytes(cramjam.zstd.compress(part, level=LEVEL)) if part else b""


def _decompressed(part: bytes) -> bytes:
    return bytes(cramjam.zstd.decompress(part)) if part else b""


def _checksum(packed: bytes) -> bytes:
    return zlib.crc32(packed).to_bytes(_CHECKSUM_BYTES, "little")


def _planes(column: Column) -> bytes:
    """Return the lowest bytes of all numbers, then the next ones, and so on."""
    return column.view("u1").reshape(len(column), column.itemsize).T.tobytes()


def _column(planes: bytes, dtype: str) -> Column:
    """Return the numbers that :func:`_planes` laid out."""
    planar = np.frombuffer(planes, "u1").reshape(np.dtype(dtype).itemsize, -1)
    return np.ascontiguousarray(planar.T).view(dtype).ravel()


def _number_at(planes: bytes, count: int, place: int) -> int:
    """Return one of ``count`` numbers that :func:`_planes` laid out."""
    return int.from_bytes(planes[place::count], "little")
