"""The code of a block: many log entries as one column each, in zstd frames.

Theory of operation. What one program prints looks alike, so the texts of one template stand side by side; a
compressor finds there what it would not find in the mixture, the more so as numbers and ids stand apart (see
``raw_text``). The column of templates is in order of arrival, and sorting it, stably, tells again which text belongs to
which entry. They stand in parts, and to read one text takes its part alone. Values that repeat stand in a table, and
places of it in the column. Columns of numbers are laid out byte by byte, first all the low bytes, so that the zeros of
the high ones are one run. A checksum comes first, SQLite has none, then which format this is.

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

LEVEL = 1
# Of skeletons, digits and ids. Measured on the corpus: a higher one saves 1 % and costs a fifth more.
PART_LEVELS = (LEVEL, 2, LEVEL)
# Each is read by itself. One of half as many is read in two thirds of the time and takes 1 to 2 % more.
PART_CHARACTERS = 160 * 1024
SAMPLE_ROWS = 128  # which tell how the whole compresses
SAMPLE_BYTES = 12 * 1024
# Measured on the corpus: 0.07 to 0.17 of texts that repeat, 0.2 to 0.35 of unique ones, 0.12 to 0.2 of unique JSON.
REPEATING_SHARE_MAX = 0.17

Column: TypeAlias = NDArray[np.integer[Any]]

_CHECKSUM_BYTES = 4
_FORMAT = b"\3"  # before it had a number, it was one zstd frame, which begins with another byte
_DRAFT = b"\4"
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)
_NOT_WHOLE = _EPOCH + _MICROSECOND
_PLACE = np.dtype("<u2")
_LOWEST = 2  # bytes of the difference of two instants that nothing compresses
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


class _Part(msgspec.Struct, array_like=True, frozen=True):
    """How many bytes the frames of some texts have, and what is in them before it is compressed."""

    frames: int
    skeleton: int
    digits: int
    ids: int


class _Numbers(msgspec.Struct, array_like=True, frozen=True):
    """All but the texts. Columns are as :func:`_planes` lays them out; streams and severities are sorted by template."""

    streams: tuple[str, ...]
    templates: bytes  # in rising order, each less the one before
    instants: bytes  # each less the one before, and less its lowest bytes
    origins: bytes
    template_places: bytes
    stream_places: bytes
    severities: bytes
    parts: tuple[_Part, ...]
    part_rows: int  # texts in each part but the last


_ENCODER = msgspec.msgpack.Encoder()
_NUMBERS = msgspec.msgpack.Decoder(_Numbers)
_SIZES = struct.Struct("<2I")  # of the frames of all but the texts; of instants' lowest bytes
_DRAFTED = msgspec.msgpack.Decoder(
    tuple[list[dt.datetime], list[int], list[str], list[LogSeverity], list[int], list[str]]
)


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
    numbers_of = np.array(templates.values, "<u4")
    rising = np.argsort(numbers_of)
    order = np.argsort(templates.places, kind="stable")
    in_order = [*map(texts.__getitem__, order.tolist())]
    pause()
    parts, frames, part_rows = _parts(in_order, pause)
    of_stream = ranked(streams)
    of_severity = np.frombuffer(bytes(map(_PLACES.__getitem__, severities)), "u1")
    planes = _planes(np.diff(instants, prepend=0))
    lowest, higher = planes[: _LOWEST * len(ats)], planes[_LOWEST * len(ats) :]
    numbers = _Numbers(
        streams=tuple(map(clean, of_stream.values)),
        templates=_planes(np.diff(numbers_of[rising], prepend=np.uint32(0))),
        instants=higher,
        origins=_planes(origins.astype("<u4")),
        template_places=_planes(np.argsort(rising).astype(_PLACE)[templates.places]),
        stream_places=_planes(of_stream.places[order]),
        severities=of_severity[order].tobytes(),
        parts=tuple(parts),
        part_rows=part_rows,
    )
    head = _compressed(lowest) + _compressed(_ENCODER.encode(numbers))
    packed = b"".join([_FORMAT, _SIZES.pack(len(head), len(lowest)), head, *frames])
    pause()
    return Encoded(int(instants.min()), int(instants.max()), _checksum(packed) + packed)


def _parts(texts: Sequence[str], pause: Pause) -> tuple[list[_Part], list[bytes], int]:
    """Return texts in parts, their frames, and how many texts there are in each part but the last."""
    parts, frames, rows = [], [], len(texts)
    if not (is_kept := _repeats(texts)):
        rows = -(-rows // max(1, round(sum(map(len, texts)) / PART_CHARACTERS)))
    for begin in range(0, len(texts), rows):
        text = joined(texts[begin : begin + rows])
        pause()
        taken_apart = whole(text) if is_kept else stripped(text, pause)
        frame = b""
        for stream, level in zip(taken_apart, PART_LEVELS, strict=True):
            frame += _compressed(stream, level)
            pause()
        parts.append(_Part(len(frame), *map(len, taken_apart)))
        frames.append(frame)
    return parts, frames, rows


def drafted(columns: Columns, pause: Pause = go_on) -> Encoded:
    """Return one or more entries as what is soon to be replaced: larger by half, for much less CPU time."""
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
        size, lowest_size = _SIZES.unpack_from(packed)
        frames = packed[_SIZES.size :]
        head = _decompressed(frames[:size])
        self._numbers = _NUMBERS.decode(head[lowest_size:])
        planes = b"".join([head[:lowest_size], self._numbers.instants])
        self._instants = _column(planes, "<i8").cumsum()
        self._templates = _column(self._numbers.template_places, _PLACE)
        backwards = self._templates[::-1]
        # Where each template stands first: of what is put to one place, the last remains.
        first = np.zeros(int(backwards.max()) + 1, "i8")
        first[backwards] = np.arange(len(backwards))[::-1]
        self._firsts = first[self._templates]
        ends = accumulate((part.frames for part in self._numbers.parts), initial=size)
        self._frames = [frames[begin:end] for begin, end in pairwise(ends)]
        self._texts: dict[int, Texts] = {}  # of parts that were asked for

    def __len__(self) -> int:
        """Return how many entries there are."""
        return len(self._templates)

    @property
    def size(self) -> int:
        """How many bytes all texts are together."""
        return sum(part.skeleton for part in self._numbers.parts)

    def row(self, place: int) -> Row:
        """Return the entry at ``place``, from 0, in order of arrival."""
        numbers, template = self._numbers, self._templates[place]
        by_template = int(
            np.count_nonzero(self._firsts < self._firsts[place])
            + np.count_nonzero(self._templates[:place] == template)
        )
        return Row(
            _EPOCH + int(self._instants[place]) * _MICROSECOND,
            _number_at(numbers.origins, len(self), place),
            numbers.streams[_number_at(numbers.stream_places, len(self), by_template)],
            _SEVERITIES[numbers.severities[by_template]],
            int(_column(numbers.templates, "<u4")[: template + 1].sum()),
            self._text(by_template),
        )

    def _text(self, place: int) -> str:
        """Return the text at ``place`` in the order of templates."""
        number, place = divmod(place, self._numbers.part_rows)
        if number not in self._texts:
            _, *sizes = msgspec.structs.astuple(self._numbers.parts[number])
            streams = _decompressed(self._frames[number])
            ends = pairwise(accumulate(sizes, initial=0))
            self._texts[number] = Texts(Stripped(*(streams[begin:end] for begin, end in ends)))
        return self._texts[number][place]


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


def _repeats(texts: Sequence[str]) -> bool:
    """Tell by a part of them whether ``texts`` repeat so much that nothing has to be taken out of them."""
    sample = joined(texts[len(texts) // 2 :][:SAMPLE_ROWS])[:SAMPLE_BYTES]
    return len(_compressed(sample)) < REPEATING_SHARE_MAX * len(sample)


def _instants(ats: Sequence[dt.datetime]) -> Column:
    """Return Unix microseconds."""
    instants = _of_parts_of_seconds(ats)
    if instants is None:
        wholes = [place for place, at in enumerate(ats) if not at.microsecond]
        others = [*ats]
        for place in wholes:
            others[place] = _NOT_WHOLE
        instants = _of_parts_of_seconds(others)
        if instants is None:
            return np.fromiter(map(_instant, ats), "<i8", len(ats))
        instants[wholes] = [_instant(ats[place]) for place in wholes]
    return instants


def _of_parts_of_seconds(ats: Sequence[dt.datetime]) -> Column | None:
    """Return Unix microseconds of instants from 1970 to 2514 that are no whole seconds; None if one is something else."""
    # MessagePack has a form for instants, and C code at hand that makes it: 7 ns each instead of 140. It is 10 bytes
    # long then: two that say so, 30 bits of nanoseconds, 34 of seconds.
    packed = np.frombuffer(_ENCODER.encode(ats), "u1")[-10 * len(ats) :]
    if packed.size != 10 * len(ats):
        return None
    forms = packed.reshape(-1, 10)
    if not (forms[:, :2] == (0xD7, 0xFF)).all():
        return None
    words = np.ascontiguousarray(forms[:, 2:]).view(">u8").ravel()
    seconds, nanoseconds = words & np.uint64(0x3FFFFFFFF), words >> np.uint64(34)
    return (seconds * np.uint64(1_000_000) + nanoseconds // np.uint64(1000)).astype("<i8")


def _instant(at: dt.datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND


def _compressed(part: Buffer | bytearray, level: int = LEVEL) -> bytes:
    return bytes(cramjam.zstd.compress(part, level=level)) if part else b""


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
