"""Prometheus' HTTP API in values of ours: the parameters of a question, the reading of an answer.

Whatever carries the bytes (a session of requests, the simulated one in process) reads them here, so all
agree on what is an answer, what may be retried and what is partial. The server's words travel in
exceptions and warnings; they are untrusted, so they are cut and freed of control characters.
Source: prometheus.io/docs, "HTTP API"; ``isPartial`` is VictoriaMetrics' word for the same.
"""

import datetime as dt
from collections.abc import Iterable

import msgspec

from opsagent.clients.prometheus_templates import expression
from opsagent.model.metrics import MetricAnswer, MetricArguments, MetricTemplate, Point, Series
from opsagent.ports import Terminal, Transient

QUERY = "/api/v1/query"
QUERY_RANGE = "/api/v1/query_range"
POINTS_MAX = 11_000  # Source: Prometheus' own limit of points a series
WARNINGS_MAX = 10
WORDS_CHARACTERS_MAX = 300
UNKNOWN_FORM = "metrics: an answer in no known form: check metrics.url"
EPOCH = dt.datetime.fromtimestamp(0, dt.UTC)

_RETRIED = frozenset({408, 425, 429})
_SERVER_ERROR = range(500, 600)
_OK = 200


class Result(msgspec.Struct):
    """One series of a vector (``value``) or of a matrix (``values``); numbers come as text."""

    metric: dict[str, str]
    value: tuple[float, str] | None = None
    values: list[tuple[float, str]] = []


class _Envelope(msgspec.Struct, rename="camel"):
    status: str = ""
    error: str = ""
    error_type: str = ""
    warnings: list[str] = []
    is_partial: bool = False


class _Data(msgspec.Struct):
    result: list[Result]


class _Body(msgspec.Struct):
    data: _Data


def instant_parameters(
    template: MetricTemplate, arguments: MetricArguments, at: dt.datetime
) -> dict[str, str]:
    """Return what to ask ``QUERY``.

    Raises:
        Terminal: the template does not take these arguments.
    """
    return {"query": expression(template, arguments), "time": f"{at.timestamp():.3f}"}


def range_parameters(
    template: MetricTemplate,
    arguments: MetricArguments,
    *,
    start: dt.datetime,
    end: dt.datetime,
    step: dt.timedelta,
) -> dict[str, str]:
    """Return what to ask ``QUERY_RANGE``; all times to the second.

    Raises:
        Terminal: the template does not take these arguments, or the range makes no sense.
    """
    text = expression(template, arguments)
    return {"query": text, **grid(start, end, step)}


def grid(start: dt.datetime, end: dt.datetime, step: dt.timedelta) -> dict[str, str]:
    """Return when to evaluate a range; all times to the second.

    Raises:
        Terminal: the range makes no sense.
    """
    first, last, width = int(start.timestamp()), int(end.timestamp()), int(step.total_seconds())
    if width < 1 or last < first or (last - first) // width >= POINTS_MAX:
        raise Terminal(
            f"a range of {last - first} s by {width} s: give 1 to {POINTS_MAX} points, a second or more apart"
        )
    return {"start": str(first), "end": str(last), "step": str(width)}


def answer_of(status: int, body: bytes) -> MetricAnswer:
    """Return the answer that the bytes hold.

    Raises:
        Transient, Terminal: see :func:`warnings_of`.
    """
    warnings = warnings_of(status, body)
    try:
        results = msgspec.json.decode(body, type=_Body).data.result
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Terminal(UNKNOWN_FORM) from error
    return answer_from(results, warnings)


def answer_from(results: Iterable[Result], warnings: tuple[str, ...]) -> MetricAnswer:
    """Return the answer made of ``results``.

    Raises:
        Transient: there is nothing, and the server warned: what it does not show may be there.
        Terminal: a series without numbers.
    """
    series = tuple(sorted(map(_series, results), key=lambda each: sorted(each.labels.items())))
    if warnings and not series:
        raise Transient(f"metrics: a partial answer that shows nothing: {warnings[0]}")
    return MetricAnswer(series, warnings)


def warnings_of(status: int, body: bytes) -> tuple[str, ...]:
    """Return why a good answer is partial; nothing if it is whole.

    Raises:
        Transient: 408, 425, 429 and 5xx, 503 (the query timed out) among them.
        Terminal: every other refusal: 400 (not understood), 401, 403, 422 (cannot be evaluated), a
            redirect, and what is no answer of Prometheus.
    """
    try:
        envelope = msgspec.json.decode(body, type=_Envelope)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        envelope = _Envelope()
    if status != _OK:
        kind = Transient if status in _RETRIED or status in _SERVER_ERROR else Terminal
        raise kind(f"metrics: {status} {_words(envelope.error or _head(body))}".rstrip())
    if envelope.status != "success":
        raise Terminal(UNKNOWN_FORM)
    words = tuple(_words(each) for each in envelope.warnings[:WARNINGS_MAX])
    return words or (("the server calls it partial",) if envelope.is_partial else ())


def _series(result: Result) -> Series:
    pairs = result.values if result.value is None else [result.value]
    try:
        points = tuple(Point(_instant(at), float(text)) for at, text in pairs)
    except (ValueError, OverflowError):
        points = ()
    if not points:
        raise Terminal("metrics: a series without numbers")
    return Series(result.metric, points)


def _instant(seconds: float) -> dt.datetime:
    return EPOCH + dt.timedelta(milliseconds=round(seconds * 1000))


def _words(text: str) -> str:
    readable = "".join(mark if mark.isprintable() else " " for mark in text)
    return readable[:WORDS_CHARACTERS_MAX]


def _head(body: bytes) -> str:
    return body[: 4 * WORDS_CHARACTERS_MAX].decode(errors="replace")
