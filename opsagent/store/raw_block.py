"""The code of a block: many log entries as one column each, in zstd frames.

Theory of operation. What one program prints looks alike, so the texts of one template stand side by side; a
compressor finds there what it would not find in the mixture, the more so as numbers and ids stand apart (see
``raw_text``). The column of templates is in order of arrival, and sorting it, stably, tells again which text belongs to
which entry; values that repeat stand in a table, and places of it in the column. Columns of numbers are laid out byte by
byte, first all the low bytes, so that the zeros of the high ones are one run. A checksum comes first, SQLite has none,
then which format this is.

What is soon to be replaced is a draft: as MessagePack has it, in order of arrival.

Origins and templates are numbers here: the day's file knows whose. An instant is whole microseconds. A lone
surrogate, which UTF-8 has no bytes for, comes back as a question mark, every other character as it was.

It knows no file, and refuses bytes that are no block.
"""

import datetime as dt
import struct
import zlib
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from typing import Any, NamedTuple, TypeAlias

import cramjam
import msgspec
import numpy as np
from numpy.typing import NDArray

from opsagent.model.log import LogSeverity
from opsagent.store.raw_text import Buffer, Pause, Stripped, Texts, go_on, joined, stripped, whole

# On skeletons of the corpus level 3 saves 2 %, on digits and ids nothing, and costs a fifth more.
LEVEL = 1
SAMPLE_PARTS = 32  # of a block: one tells how the whole compresses
# Measured on the corpus: 0.1 to 0.2 of texts that repeat, 0.2 to 0.35 of unique ones.
REPEATING_SHARE_MAX = 0.19

Column: TypeAlias = NDArray[np.integer[Any]]

_CHECKSUM_BYTES = 4
_FORMAT = b"\3"  # before it had a number, it was one zstd frame, which begins with another byte
_DRAFT = b"\4"
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)
_NOT_WHOLE = _EPOCH + _MICROSECOND
_PLACE = np.dtype("<u2")
_SEVERITIES = tuple(LogSeverity)  # what is stored is the place: add at the end, never reorder
_PLACES = {severity: place for place, severity in enumerate(_SEVERITIES)}


class Encoded(NamedTuple):
    """A block as it is stored, and the instants between which its entries were said, in Unix microseconds."""

    earliest: int
    latest: int
    body: bytes


class Ranked(NamedTuple):
    """A column of few values that repeat: each of them once, in order of arrival, and where it is each time."""

    values: Sequence[Any]
    places: Column


class Columns(NamedTuple):
    """Entries in order of arrival; origins and templates are the numbers, below 2^32, that the day's file gave them."""

    ats: Sequence[dt.datetime]
    origins: Column
    streams: Sequence[str]
    severities: Sequence[LogSeverity]
    templates: Ranked
    texts: Sequence[str]


Encode: TypeAlias = Callable[[Columns, Pause], Encoded]  # ``pause`` is called between steps


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
    templates: tuple[int, ...]
    instants: bytes  # each less the one before
    origins: bytes
    template_places: bytes
    stream_places: bytes
    severities: bytes


_ENCODER = msgspec.msgpack.Encoder()
_NUMBERS = msgspec.msgpack.Decoder(_Numbers)
_DRAFTED = msgspec.msgpack.Decoder(
    tuple[list[dt.datetime], list[int], list[str], list[LogSeverity], list[int], list[str]]
)
_SIZES = struct.Struct(
    "<4I"
)  # of the numbers, the skeleton, the digits and the ids, before they are compressed


def clean(text: str) -> str:
    """Return ``text`` as a block gives it back."""
    return text if text.isascii() else text.encode(errors="replace").decode()


def ranked(values: Sequence[Any]) -> Ranked:
    """Return a column of fewer than 65,536 different values."""
    places = {value: place for place, value in enumerate(dict.fromkeys(values))}
    if len(places) == 1:
        return Ranked([*places], np.zeros(len(values), _PLACE))
    return Ranked([*places], np.fromiter(map(places.__getitem__, values), _PLACE, len(values)))


def encoded(columns: Columns, pause: Pause = go_on) -> Encoded:
    """Return one or more entries as a block. ``pause`` is called between steps."""
    pause()
    ats, origins, streams, severities, templates, texts = columns
    instants = _instants(ats)
    pause()
    order = np.argsort(templates.places, kind="stable")
    of_stream = ranked(streams)
    of_severity = np.frombuffer(bytes(map(_PLACES.__getitem__, severities)), "u1")
    numbers = _Numbers(
        streams=tuple(map(clean, of_stream.values)),
        templates=tuple(templates.values),
        instants=_planes(np.diff(instants, prepend=0)),
        origins=_planes(origins.astype("<u4")),
        template_places=_planes(templates.places),
        stream_places=_planes(of_stream.places[order]),
        severities=of_severity[order].tobytes(),
    )
    pause()
    text = joined([*map(texts.__getitem__, order.tolist())])
    pause()
    taken_apart = whole(text) if _repeats(text) else stripped(text, pause)
    parts: tuple[Buffer, ...] = (_ENCODER.encode(numbers), *taken_apart)
    frames = []
    for part in parts:
        frames.append(_compressed(part))
        pause()
    packed = b"".join([_FORMAT, _SIZES.pack(*map(len, parts)), *frames])
    return Encoded(int(instants.min()), int(instants.max()), _checksum(packed) + packed)


def drafted(columns: Columns, pause: Pause = go_on) -> Encoded:
    """Return one or more entries as what is soon to be replaced: as small a block for much less CPU time."""
    pause()
    ats, origins, streams, severities, templates, texts = columns
    of_template = np.array(templates.values)[templates.places]

    def encode(streams: Sequence[str], texts: Sequence[str]) -> bytes:
        rows = ats, origins.tolist(), streams, severities, of_template.tolist(), texts
        return _ENCODER.encode(rows)

    try:
        draft = encode(streams, texts)
    except UnicodeEncodeError:
        draft = encode([*map(clean, streams)], [*map(clean, texts)])
    pause()
    packed = b"".join([_DRAFT, _compressed(draft)])
    return Encoded(_instant(min(ats)), _instant(max(ats)), _checksum(packed) + packed)


class Block:
    """The entries of a decoded block, by their places in it."""

    def __init__(self, packed: memoryview) -> None:
        sizes = _SIZES.unpack_from(packed)
        parts = _decompressed(packed[_SIZES.size :])
        ends = [*accumulate(sizes, initial=0)]
        numbers, *texts = (parts[begin:end] for begin, end in pairwise(ends))
        self._numbers = _NUMBERS.decode(numbers)
        self._instants = _column(self._numbers.instants, "<i8").cumsum()
        self._templates = _column(self._numbers.template_places, _PLACE)
        self._texts = Texts(Stripped(*texts))

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
        return Row(
            _EPOCH + int(self._instants[place]) * _MICROSECOND,
            _number_at(numbers.origins, len(self), place),
            numbers.streams[_number_at(numbers.stream_places, len(self), by_template)],
            _SEVERITIES[numbers.severities[by_template]],
            numbers.templates[template],
            self._texts[by_template],
        )


class Draft:
    """The entries of one that was soon to be replaced."""

    def __init__(self, packed: memoryview) -> None:
        columns = _decompressed(packed)
        self.size = len(columns)
        self._columns = _DRAFTED.decode(columns)

    def __len__(self) -> int:
        """Return how many entries there are."""
        return len(self._columns[0])

    def row(self, place: int) -> Row:
        """Return the entry at ``place``, from 0, in order of arrival."""
        ats, origins, streams, severities, templates, texts = self._columns
        return Row(
            ats[place],
            origins[place],
            streams[place],
            severities[place],
            templates[place],
            texts[place],
        )


def opened(body: bytes) -> Block | Draft:
    """Return the entries of what was :func:`encoded` or :func:`drafted`.

    Raises:
        ValueError: ``body`` is no block, or not all of one.
    """
    packed = memoryview(body)[_CHECKSUM_BYTES:]
    if not packed or _checksum(packed) != body[:_CHECKSUM_BYTES]:
        raise ValueError("a block's checksum is wrong")
    kind = _KINDS.get(bytes(packed[: len(_FORMAT)]))
    if kind is None:
        raise ValueError("a block has a format of another version")
    return kind(packed[len(_FORMAT) :])


_KINDS: dict[bytes, type[Block | Draft]] = {_FORMAT: Block, _DRAFT: Draft}


def _repeats(text: bytearray) -> bool:
    """Tell by a part of it whether ``text`` repeats so much that nothing has to be taken out of it."""
    sample = memoryview(text)[len(text) // 2 :][: len(text) // SAMPLE_PARTS]
    return len(cramjam.zstd.compress(sample, level=LEVEL)) < REPEATING_SHARE_MAX * len(sample)


def _instants(ats: Sequence[dt.datetime]) -> Column:
    """Return Unix microseconds."""
    # MessagePack has a form for instants, and C code at hand that makes it: 7 ns each instead of 140. From 1970 to 2514,
    # unless the second is whole, it is 10 bytes long: two that say so, 30 bits of nanoseconds, 34 of seconds.
    count = len(ats)
    wholes = [place for place, at in enumerate(ats) if not at.microsecond]
    shifted = [*ats]
    for place in wholes:
        shifted[place] = _NOT_WHOLE
    packed = np.frombuffer(_ENCODER.encode(shifted), "u1")[-10 * count :]
    forms = packed.reshape(-1, 10) if packed.size == 10 * count else packed
    if forms.ndim == 1 or not (forms[:, :2] == (0xD7, 0xFF)).all():
        return np.fromiter(map(_instant, ats), "<i8", count)
    words = np.ascontiguousarray(forms[:, 2:]).view(">u8").ravel()
    seconds, nanoseconds = words & np.uint64(0x3FFFFFFFF), words >> np.uint64(34)
    instants = (seconds * np.uint64(1_000_000) + nanoseconds // np.uint64(1000)).astype("<i8")
    instants[wholes] = [_instant(ats[place]) for place in wholes]
    return instants


def _instant(at: dt.datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND


def _compressed(part: Buffer) -> Buffer:
    return memoryview(cramjam.zstd.compress(part, level=LEVEL)) if part else b""


def _decompressed(frames: Buffer) -> memoryview:
    return memoryview(cramjam.zstd.decompress(frames))


def _checksum(packed: Buffer) -> bytes:
    return zlib.crc32(packed).to_bytes(_CHECKSUM_BYTES, "little")


def _planes(column: Column) -> bytes:
    """Return the lowest bytes of all numbers, then the next ones, and so on."""
    return column.view("u1").reshape(len(column), column.itemsize).T.tobytes()


def _column(planes: bytes, dtype: str | np.dtype[Any]) -> Column:
    """Return the numbers that :func:`_planes` laid out."""
    planar = np.frombuffer(planes, "u1").reshape(np.dtype(dtype).itemsize, -1)
    return np.ascontiguousarray(planar.T).view(dtype).ravel()


def _number_at(planes: bytes, count: int, place: int) -> int:
    """Return one of ``count`` numbers that :func:`_planes` laid out."""
    return int.from_bytes(planes[place::count], "little")
