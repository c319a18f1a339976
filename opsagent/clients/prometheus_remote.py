"""Prometheus' remote read in bulk: a question and its sampled answer, protobuf by hand, twenty nanoseconds a sample.

Theory of operation. An answer is one message a series: its labels, then its samples. A sample of these decades takes
18 bytes: a head of two (field, length), a tag and eight bytes of value, a tag and six of stamp, whose first five have
the high bit and the last has not. A value of zero is left out, which leaves 9. So the samples of many series, put
behind each other, are rows of nine bytes, and three sorts of rows tell everything:

    full   12 10 09 v v v v v v     the head of a sample and the first six bytes of its value
    end    v v 10 t t t t t t       what must follow it, and follows nothing else
    zero   12 07 10 t t t t t t     a sample that is zero

A ``full`` row cannot be an ``end``, whose third byte differs; so the ``full`` rows are found by their heads, the rows
after them are ``end``, all others must be ``zero``, and masks verify every byte that is neither value nor stamp. Where
no row is ``zero``, as for most, two rows are one sample, which takes no search. Where that fails (another century,
native histograms, fields in another order) the series is read byte by byte. Series of which one fails are halved until
it is alone.

Series are looked for byte by byte too, but only if the answer is laid out as none of late: see ``prometheus_layouts``.

It refuses what breaks a bound before it costs memory: the length that snappy announces, series, samples.
Source: prometheus.io/docs, "Remote Read API"; prompb/types.proto of Prometheus; protobuf.dev, "Encoding".
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

import cramjam
import numpy as np
from numpy.typing import NDArray

from opsagent.clients.prometheus_labels import LabelMemory
from opsagent.clients.prometheus_layouts import (
    Group,
    Layout,
    LayoutMemory,
    Message,
    Regions,
)
from opsagent.clients.prometheus_selections import Matcher
from opsagent.clients.protobuf import Bytes, field, fields, read_varint
from opsagent.model.series import Labels, SeriesBlock, Stamps, Values
from opsagent.ports import Terminal

READ = "/api/v1/read"
HEADERS = {
    "content-type": "application/x-protobuf",
    "content-encoding": "snappy",
    "x-prometheus-remote-read-version": "0.1.0",
}
DECODED_BYTES_MAX = 128 * 2**20
SERIES_MAX = 100_000
SLOW_BYTES_MAX = 16 * 2**20  # that are read byte by byte: seconds
ROOM_BYTES_MAX = 16 * 2**20  # that are kept from answer to answer: nine hundred thousand samples
STAMP_MAX = 253_402_300_800_000  # the year 10000
UNKNOWN_FORM = "metrics: an answer of remote read in no known form: check metrics.url"

Samples: TypeAlias = tuple[Stamps, Stamps, Values]
"""How many each series has, then stamps and values of all."""

_ROW_BYTES, _PAIR_BYTES = 9, 18
_ROW = np.dtype(
    {
        "names": ["head", "tail"],  # bytes 0 to 3, and 1 to 8
        "formats": ["<u4", "<u8"],
        "offsets": [0, 1],
        "itemsize": _ROW_BYTES,
    }
)
_PAIR = np.dtype(
    {
        "names": [
            "head",
            "value",
            "tail",
        ],  # of a full row and its end; the tail is that of the end
        "formats": ["<u4", "<f8", "<u8"],
        "offsets": [0, 3, 10],
        "itemsize": _PAIR_BYTES,
    }
)
_SAMPLES, _VALUE, _STAMP, _NAME, _TEXT = 2, 1, 2, 1, 2  # numbers of fields
_FIRST = 0x0A  # field 1, with a length
_HIGH_BIT = 0x80
_PADDING = b"\0\0"  # so that eight bytes can be looked at wherever a row begins
_HEAD = np.uint32(0xFFFFFF)
_FULL = np.uint32(0x09_10_12)
_ZERO = np.uint32(0x10_07_12)
_END_MASK = np.uint64(0x80_80_80_80_80_80_FF_00)
_END = np.uint64(0x00_80_80_80_80_80_10_00)
_LOW_BYTES = np.uint64(0x00_7F_00_7F_00_7F_00_00)
_HIGH_BYTES = np.uint64(0x7F_00_7F_00_7F_00_00_00)
_FIRST_BITS, _SECOND_BITS, _THIRD_BITS = (np.uint64(0x3FFF << 14 * n) for n in range(3))
_ONE, _TWO, _SIXTEEN = np.uint64(1), np.uint64(2), np.uint64(16)


def question(wanted: Sequence[Matcher], start_ms: int, end_ms: int) -> bytes:
    """Return the body that asks for the samples of all series that ``wanted`` means; both ends are included."""
    assert 0 <= start_ms <= end_ms
    query = field(1, start_ms) + field(2, end_ms)
    for each in wanted:
        comparison = field(1, each.comparison.value)
        texts = field(2, each.label.encode()) + field(3, each.value.encode())
        query += field(3, comparison + texts)
    return bytes(cramjam.snappy.compress_raw(field(1, query)))


class RemoteReader:
    """Reads the answers of one server."""

    def __init__(self) -> None:
        self._layouts = LayoutMemory()
        self._memory = LabelMemory(_labels, forget=self._layouts.clear)
        self._room = bytearray()

    def block(self, body: Bytes) -> SeriesBlock:
        """Return what a good answer holds.

        Raises:
            Terminal: it is no such answer, or breaks a bound.
        """
        self._memory.begin()
        message = self._unpacked(body)
        try:
            layout = self._layouts.find(message) or self._learned(message)
            counts, stamps, values = _samples(message, layout.groups)
        except (IndexError, ValueError) as error:
            raise Terminal(UNKNOWN_FORM) from error
        starts: Stamps = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return SeriesBlock(layout.labels, starts, stamps, values)

    def _learned(self, message: Message) -> Layout:
        """Return how ``message`` is laid out, and remember it."""
        labels, regions = self._series(message)
        return self._layouts.learn(labels, regions, message)

    def _series(self, message: Message) -> tuple[tuple[Labels, ...], Regions]:
        """Return the labels of every series that has samples, and where these lie."""
        room, memory = message.room, self._memory
        labels: list[Labels] = []
        starts, stops = regions = Regions([], [])
        last, seen = b"", 0
        for start, stop in _parts(room, 0, message.size):
            for first, end in _parts(room, start, stop):
                seen += 1
                if seen > SERIES_MAX:
                    raise Terminal(f"metrics: an answer of more than {SERIES_MAX} series")
                raw = memory.behind(last)
                is_known = _is_told_by(raw, room, first, end)
                if not is_known:
                    raw = _raw_labels(room, first, end)
                after = first + len(raw)
                if after < end:  # else the server knows it, but has no sample of that time
                    labels.append(memory.labels(raw, None if is_known else last))
                    last = raw
                    starts.append(after)
                    stops.append(end)
        return tuple(labels), regions

    def _unpacked(self, body: Bytes) -> Message:
        """Return what snappy packed, in room that is used again and again: new room costs as much as the unpacking."""
        try:
            size = cramjam.snappy.decompress_raw_len(body)
            if size > DECODED_BYTES_MAX:
                raise Terminal(
                    f"metrics: an answer that unpacks to more than {DECODED_BYTES_MAX} bytes"
                )
            room = self._room if size <= len(self._room) else bytearray(size)
            if size <= ROOM_BYTES_MAX:
                self._room = room
            cramjam.snappy.decompress_raw_into(body, room)
        except cramjam.DecompressionError as error:
            raise Terminal(UNKNOWN_FORM) from error
        return Message(room, size)


def _parts(message: Bytes, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Yield where each of the messages begins and ends that fill ``start`` to ``stop`` as field 1.

    Raises:
        Terminal, IndexError: there is anything else.
    """
    while start < stop:
        if message[start] != _FIRST:
            raise Terminal(UNKNOWN_FORM)
        length, first = read_varint(message, start + 1)
        start = first + length
        if start > stop:
            raise Terminal(UNKNOWN_FORM)
        yield first, start


def _is_told_by(raw: bytes, message: bytearray, start: int, stop: int) -> bool:
    """Return whether the labels of the series at ``start`` are ``raw``, which are whole labels, and no more."""
    after = start + len(raw)
    return (
        len(raw) > 0
        and after <= stop
        and message.startswith(raw, start)
        and (after == stop or message[after] != _FIRST)
    )


def _raw_labels(message: bytearray, first: int, stop: int) -> bytes:
    """Return the labels of a series that begins at ``first``, as they stand there."""
    start = first
    while start < stop and message[start] == _FIRST:
        length = message[start + 1]
        if length < _HIGH_BIT:
            start += 2 + length
        else:
            length, start = read_varint(message, start + 1)
            start += length
    if start > stop:
        raise Terminal(UNKNOWN_FORM)
    return bytes(message[first:start])


def _labels(raw: bytes) -> Iterator[tuple[str, str]]:
    for first, stop in _parts(raw, 0, len(raw)):
        texts = dict(fields(raw[first:stop]))
        name, text = texts.get(_NAME, b""), texts.get(_TEXT, b"")
        if not isinstance(name, bytes) or not isinstance(text, bytes):
            raise Terminal(UNKNOWN_FORM)
        yield name.decode(), text.decode()


def _samples(message: Message, groups: Iterable[Group]) -> Samples:
    """Return the samples of all groups.

    Raises:
        Terminal: too much of it is not made of rows.
    """
    found: list[Samples] = []
    slow_bytes = 0
    for group in groups:
        parts = group.parts.unpack_from(message.room, group.start)
        for each in _of_parts(parts, group.sizes):
            if isinstance(each, bytes):
                slow_bytes += len(each)
                if slow_bytes > SLOW_BYTES_MAX:
                    raise Terminal(UNKNOWN_FORM)
                found.append(_of_fields(each))
            else:
                found.append(each)
    return _joined(found)


def _joined(parts: Sequence[Samples]) -> Samples:
    if len(parts) == 1:
        return parts[0]
    counts, stamps, values = zip(*parts, strict=True)
    return np.concatenate(counts), np.concatenate(stamps), np.concatenate(values)


def _of_parts(parts: Sequence[bytes], sizes: Stamps) -> Iterator[Samples | bytes]:
    """Yield samples of series, and each part, those of one series, that is not made of rows, in their order."""
    found = _of_rows(parts, sizes)
    if found is not None:
        yield found
    elif len(parts) == 1:
        yield parts[0]
    else:
        half = len(parts) // 2
        yield from _of_parts(parts[:half], sizes[:half])
        yield from _of_parts(parts[half:], sizes[half:])


def _of_rows(parts: Sequence[bytes], sizes: Stamps) -> Samples | None:
    """Return the samples if all parts, of which ``sizes`` are the lengths, are made of rows, else None."""
    if (sizes % _ROW_BYTES).any():
        return None
    joined = b"".join([*parts, _PADDING])
    if not (sizes % _PAIR_BYTES).any():
        found = _of_pairs(joined, sizes // _PAIR_BYTES)
        if found is not None:
            return found
    return _of_any_rows(joined, np.cumsum(sizes) // _ROW_BYTES)


def _of_pairs(joined: bytes, counts: Stamps) -> Samples | None:
    """Return the samples if each is a full row and an end, as where nothing is zero, else None."""
    pairs = np.frombuffer(joined, _PAIR, len(joined) // _PAIR_BYTES)
    if not ((pairs["head"] & _HEAD) == _FULL).all():
        return None
    tails = pairs["tail"].copy()
    if not ((tails & _END_MASK) == _END).all():
        return None
    return counts, _stamps(tails), pairs["value"].copy()


def _of_any_rows(joined: bytes, bounds: Stamps) -> Samples | None:
    """Return the samples of series that end before the rows ``bounds``, else None."""
    count = int(bounds[-1])
    rows = np.frombuffer(joined, _ROW, count)
    head = rows["head"] & _HEAD
    is_full = head == _FULL
    ends = np.flatnonzero(~is_full)
    before = ends - 1
    is_long = is_full[before]
    zeros = np.flatnonzero(~is_long)
    tail = rows["tail"].copy()[ends]  # gathering is quicker from words that lie aligned
    is_verified = (
        count - len(ends) == len(ends) - len(zeros)  # each full row has its end
        and not is_full[bounds - 1].any()  # in the same series
        and (head[ends[zeros]] == _ZERO).all()
        and ((tail & _END_MASK) == _END).all()
    )
    if not is_verified:
        return None
    values: Values = np.ndarray((count,), "<f8", joined, 3, (_ROW_BYTES,)).copy()[before]
    values[zeros] = 0.0
    counts: Stamps = np.diff(np.searchsorted(ends, bounds), prepend=0)
    return counts, _stamps(tail), values


def _stamps(tails: NDArray[np.uint64]) -> Stamps:
    """Return the stamps in the last six bytes of each tail: seven bits in a byte, the lowest first."""
    words = (tails & _LOW_BYTES) | ((tails & _HIGH_BYTES) >> _ONE)  # 14 bits in each of three
    stamps = (words >> _SIXTEEN) & _FIRST_BITS
    stamps |= (words >> _SIXTEEN + _TWO) & _SECOND_BITS
    stamps |= (words >> _SIXTEEN + _TWO + _TWO) & _THIRD_BITS
    return stamps.view(np.int64)


def _of_fields(region: bytes) -> Samples:
    """Return the samples of one series, read field by field."""
    stamps: list[int] = []
    values: list[float] = []
    for number, content in fields(region):
        if number > _SAMPLES:  # exemplars, native histograms
            continue
        if number < _SAMPLES or not isinstance(content, bytes):  # labels behind samples
            raise Terminal(UNKNOWN_FORM)
        sample = dict(fields(content))
        value, stamp = sample.get(_VALUE, 0.0), sample.get(_STAMP, 0)
        if not isinstance(value, float) or not isinstance(stamp, int):
            raise Terminal(UNKNOWN_FORM)
        if not 0 <= stamp <= STAMP_MAX:  # a negative one has 64 bits
            raise Terminal("metrics: a sample at no time")
        stamps.append(stamp)
        values.append(value)
    return np.array([len(stamps)]), np.array(stamps, np.int64), np.array(values, np.float64)
