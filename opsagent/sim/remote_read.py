"""Remote read from the server's side: which samples are asked for, and the sampled answer to it.

As Prometheus writes it: fields in the order of their numbers, and none for what is zero.
Source: prometheus.io/docs, "Remote Read API"; prompb/remote.proto of Prometheus.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import cramjam

from opsagent.clients.prometheus_selections import Comparison, Matcher
from opsagent.clients.protobuf import field, fields
from opsagent.model.series import Labels

Line: TypeAlias = tuple[Labels, Sequence[tuple[int, float]]]
"""Labels with the metric's name among them, sorted; samples as Unix ms and value, oldest first."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One question: the series that fulfil all matchers, from ``start_ms`` to ``end_ms``, both included."""

    start_ms: int
    end_ms: int
    matchers: tuple[Matcher, ...]


def read_question(body: bytes) -> Asked:
    """Return the first question of a request.

    Raises:
        ValueError, IndexError: it is none that is understood.
    """
    try:
        message = bytes(cramjam.snappy.decompress_raw(body))
    except cramjam.DecompressionError as error:
        raise ValueError(str(error)) from error
    (query,) = (content for number, content in fields(message) if number == 1)
    found = list(fields(_bytes(query)))
    times = {number: content for number, content in found if isinstance(content, int)}
    wanted = tuple(_matcher(_bytes(content)) for number, content in found if number == 3)  # noqa: PLR2004 - the field's number
    return Asked(times.get(1, 0), times.get(2, 0), wanted)


def answer_to(lines: Iterable[Line]) -> bytes:
    """Return the answer that holds ``lines``, packed by snappy."""
    result = b"".join(field(1, _series(*line)) for line in lines)
    return bytes(cramjam.snappy.compress_raw(field(1, result)))


def _series(labels: Labels, samples: Sequence[tuple[int, float]]) -> bytes:
    named = (field(1, field(1, name.encode()) + field(2, text.encode())) for name, text in labels)
    told = (field(2, _sample(stamp, value)) for stamp, value in samples)
    return b"".join([*named, *told])


def _sample(stamp: int, value: float) -> bytes:
    written = field(1, value) if value != 0 else b""
    return written + field(2, stamp) if stamp else written


def _matcher(message: bytes) -> Matcher:
    found = dict(fields(message))
    comparison, name, value = found.get(1, 0), found.get(2, b""), found.get(3, b"")
    return Matcher(_bytes(name).decode(), Comparison(comparison), _bytes(value).decode())


def _bytes(content: object) -> bytes:
    if not isinstance(content, bytes):
        raise ValueError("a number where a message should be")  # noqa: TRY004 - of what was sent, not of a type here
    return content
