"""Answers of Prometheus' query_range in bulk: bytes of JSON to arrays, a hundred nanoseconds a sample.

Theory of operation. What costs time is not JSON but the making of two Python objects for each sample. So the numbers
of a series are left as bytes, and one pass over them takes away every character that a number is made of: what is
left must be the skeleton ``[[,""],[,""]]`` to the letter. If it is, the brackets and quotation marks are taken away
instead, which leaves a plain list of numbers, read at once. If it is not (NaN and infinities have letters, another
server may put spaces) the series is read slowly, by its types. Both ways read every number alike, but for the sign of
a zero.

Labels are bytes that come again with every answer: they are read once.

It refuses what is no answer, and more series than ``SERIES_MAX``; how many bytes are read is the caller's to bound.
Source: prometheus.io/docs, "HTTP API", range queries.
"""

from contextlib import suppress

import msgspec
import numpy as np

from opsagent.clients.prometheus_labels import LabelMemory
from opsagent.clients.prometheus_wire import UNKNOWN_FORM, warnings_of
from opsagent.model.series import Labels, SeriesBlock, Stamps, Values
from opsagent.ports import Terminal, Transient

SERIES_MAX = 100_000
SECONDS_MAX = 253_402_300_800.0  # the year 10000; milliseconds of it are exact as float64
_OK = 200
_NUMBER = b"0123456789+-.eE"
_STRUCTURE = b'[]"'
_SAMPLE = b'[,""],'

_flat = msgspec.json.Decoder(list[float])
_typed = msgspec.json.Decoder(list[tuple[float, str]])
_labels = msgspec.json.Decoder(dict[str, str])


class _Line(msgspec.Struct):
    metric: msgspec.Raw
    values: msgspec.Raw


class _Data(msgspec.Struct, rename="camel"):
    result_type: str
    result: list[_Line]


class _Body(msgspec.Struct, rename="camel"):
    status: str
    data: _Data
    warnings: list[str] = []
    is_partial: bool = False


_body = msgspec.json.Decoder(_Body)


class RangeReader:
    """Reads the answers of one server."""

    def __init__(self) -> None:
        self._memory = LabelMemory(lambda raw: _labels.decode(raw).items())

    def block(self, status: int, body: bytes | bytearray) -> SeriesBlock:
        """Return what an answer holds; stamps to the millisecond.

        Raises:
            Transient: see ``prometheus_wire.warnings_of``; also if there is nothing, and the server warned.
            Terminal: see there; also more series than ``SERIES_MAX``, or a stamp that is no time.
        """
        self._memory.begin()
        answer = _read(status, body)
        lines = answer.data.result
        is_partial = answer.warnings or answer.is_partial
        warnings = warnings_of(status, bytes(body)) if is_partial else ()
        if warnings and not lines:
            raise Transient(f"metrics: a partial answer that shows nothing: {warnings[0]}")
        try:
            labels = tuple(self._memory.labels(bytes(line.metric)) for line in lines)
            numbers = [_numbers(bytes(line.values)) for line in lines]
        except (msgspec.DecodeError, ValueError) as error:  # what is no UTF-8 is a ValueError
            raise Terminal(UNKNOWN_FORM) from error
        return _joined(labels, numbers, warnings)


def _read(status: int, body: bytes | bytearray) -> _Body:
    if status == _OK and body.count(b'"values"') > SERIES_MAX:
        raise Terminal(f"metrics: an answer of more than {SERIES_MAX} series")
    try:
        answer = _body.decode(body) if status == _OK else None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        answer = None
    if answer is None or answer.status != "success" or answer.data.result_type != "matrix":
        warnings_of(status, bytes(body))  # raises what the server says, if it says anything
        raise Terminal(UNKNOWN_FORM)
    return answer


def _numbers(raw: bytes) -> Values:
    """Return stamp, value, stamp, value of one series. ``raw`` is JSON of any form.

    Raises:
        msgspec.DecodeError, ValueError: it has another form.
    """
    left = raw.translate(None, _NUMBER)
    samples = len(left) // len(_SAMPLE)
    if samples and left == b"[" + (_SAMPLE * samples)[:-1] + b"]":
        with suppress(msgspec.DecodeError):  # e.g. of +5, which is a number, but none of JSON
            return np.array(_flat.decode(b"[%b]" % raw.translate(None, _STRUCTURE)))
    pairs = _typed.decode(raw)
    return np.array([number for at, text in pairs for number in (at, float(text))])


def _joined(
    labels: tuple[Labels, ...], numbers: list[Values], warnings: tuple[str, ...]
) -> SeriesBlock:
    flat: Values = np.concatenate([np.empty(0), *numbers])
    seconds = flat[0::2]
    if not np.all((seconds >= 0) & (seconds <= SECONDS_MAX)):  # NaN is neither
        raise Terminal("metrics: a sample at no time")
    starts: Stamps = np.cumsum([0, *(len(each) // 2 for each in numbers)], dtype=np.int64)
    stamps: Stamps = np.rint(seconds * 1000).astype(np.int64)
    return SeriesBlock(labels, starts, stamps, flat[1::2].copy(), warnings)
