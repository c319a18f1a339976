"""Writes samples, stale marks included, into a running Prometheus: the remote write protocol, by hand.

Text formats cannot carry a stale mark, which is a NaN with bits of its own. Protobuf is written field by
field, snappy as literals without compression; both are a few lines for exactly this message.
Source: prometheus.io/docs, "Remote-Write 1.0"; snappy's format_description.txt.
"""

import struct
import urllib.request
from collections.abc import Iterable, Sequence

STALE = 0x7FF0000000000002  # Source: StaleNaN, model/value/value.go of Prometheus
SERIES_PER_REQUEST = 500
_LITERAL_MAX = 60  # of a one-byte snappy tag

Line = tuple[str, Iterable[tuple[str, str]], Sequence[tuple[int, float | None]]]


def write(url: str, lines: Iterable[Line]) -> int:
    """Send all lines (metric, labels, samples by Unix ms); return how many samples were sent."""
    every = list(lines)
    for first in range(0, len(every), SERIES_PER_REQUEST):
        body = b"".join(
            _field(1, _series(*each)) for each in every[first : first + SERIES_PER_REQUEST]
        )
        request = urllib.request.Request(
            f"{url}/api/v1/write",
            data=_snappy(body),
            headers={
                "Content-Encoding": "snappy",
                "Content-Type": "application/x-protobuf",
                "X-Prometheus-Remote-Write-Version": "0.1.0",
            },
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status in {200, 204}
    return sum(len(samples) for _, _, samples in every)


def _series(
    metric: str, labels: Iterable[tuple[str, str]], samples: Sequence[tuple[int, float | None]]
) -> bytes:
    named = sorted([("__name__", metric), *labels])
    parts = [_field(1, _field(1, name.encode()) + _field(2, text.encode())) for name, text in named]
    for stamp, value in samples:
        bits = struct.pack("<Q", STALE) if value is None else struct.pack("<d", value)
        parts.append(_field(2, b"\x09" + bits + b"\x10" + _varint(stamp)))
    return b"".join(parts)


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*encoded, number])


def _snappy(content: bytes) -> bytes:
    pieces = [_varint(len(content))]
    for first in range(0, len(content), _LITERAL_MAX):
        piece = content[first : first + _LITERAL_MAX]
        pieces += [bytes([(len(piece) - 1) << 2]), piece]
    return b"".join(pieces)
