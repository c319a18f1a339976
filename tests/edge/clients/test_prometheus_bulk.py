"""Ranges in bulk: whatever a server sends is read as it stands there, quickly or slowly, or refused."""

import json
import math
import struct
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, strategies as st

from opsagent.clients import prometheus_bulk as bulk
from opsagent.clients.prometheus_bulk import SERIES_MAX, RangeReader
from opsagent.clients.prometheus_labels import LabelMemory
from opsagent.model.series import SeriesBlock
from opsagent.ports import Terminal, Transient

UP = {"__name__": "up", "job": "j"}


def body(*lines: tuple[dict[str, str], Any], kind: str = "matrix", **more: object) -> bytes:
    result = [{"metric": labels, "values": values} for labels, values in lines]
    data = {"resultType": kind, "result": result}
    whole = {"status": "success", "data": data, **more}
    return json.dumps(whole, separators=(",", ":")).encode()


def read(*lines: tuple[dict[str, str], Any], **more: object) -> SeriesBlock:
    return RangeReader().block(200, body(*lines, **more))


def bits(values: Any) -> list[bytes]:
    """Return numbers so that only the same ones are equal; every zero is one."""
    return [struct.pack("<d", value or 0.0) for value in values]


def spelled(value: float) -> str:
    """Return a number as Prometheus writes it: strconv's ``f``, for the very small and large ones ``e``."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if value == 0 or 1e-6 <= abs(value) < 1e21:
        return np.format_float_positional(value, trim="-")
    return repr(value)


STAMPS = st.integers(0, 4_102_444_800_000)
FINITE = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(st.tuples(STAMPS, st.floats())), st.lists(st.tuples(STAMPS, FINITE)))
def test_any_number_is_read_to_the_last_bit(
    one: list[tuple[int, float]], other: list[tuple[int, float]]
) -> None:
    lines = [
        (UP | {"n": str(n)}, [[at / 1000, spelled(value)] for at, value in samples])
        for n, samples in enumerate((one, other))
    ]
    block = read(*lines)
    for index, samples in enumerate((one, other)):
        stamps, values = block.of(index)
        assert stamps.tolist() == [at for at, _ in samples]
        assert bits(values) == bits(
            math.nan if math.isnan(value) else value for _, value in samples
        )


@given(st.text('0123456789.eE+-_ NaIinfx,"[]\\', max_size=12))
def test_a_text_is_the_number_that_it_spells_or_the_answer_is_none(text: str) -> None:
    try:
        wanted = float(text)
    except ValueError:
        with pytest.raises(Terminal):
            read((UP, [[1, text]]))
    else:
        assert bits(read((UP, [[1, text]])).values) == bits([wanted])


NUMBERS = st.one_of(st.integers(), FINITE, st.text("0123456789.eE+- ", max_size=4), st.none())
SAMPLE_LIKE = st.one_of(st.tuples(NUMBERS, NUMBERS), st.lists(NUMBERS, max_size=4), NUMBERS)
SERIES_LIKE = st.one_of(
    st.lists(SAMPLE_LIKE, max_size=3),
    st.recursive(NUMBERS, lambda inner: st.lists(inner, max_size=3), max_leaves=6),
)


@given(SERIES_LIKE, st.sampled_from([(",", ":"), (", ", ": ")]))
def test_what_is_read_quickly_would_be_read_slowly_too(
    values: Any, separators: tuple[str, str]
) -> None:
    raw = json.dumps(values, separators=separators).encode()

    def outcome(numbers: Any) -> object:
        try:
            return bits(numbers())
        except (ValueError, msgspec.DecodeError):
            return "refused"

    def slowly() -> list[float]:
        return [n for at, value in bulk._typed.decode(raw) for n in (at, float(value))]

    assert outcome(lambda: bulk._numbers(raw)) == outcome(slowly)


def test_labels_come_sorted_and_are_one_object_for_the_same_bytes() -> None:
    reader = RangeReader()
    whole = body(({"b": "2", "a": "\u00e4"}, [[1, "1"]]))
    first, second = (reader.block(200, whole) for _ in range(2))
    assert first.labels == ((("a", "\u00e4"), ("b", "2")),)
    assert second.labels[0] is first.labels[0]


def test_the_memory_for_labels_has_a_bound_and_forgetting_changes_nothing() -> None:
    asked: list[bytes] = []

    def of(raw: bytes) -> list[tuple[str, str]]:
        asked.append(raw)
        return [("z", raw.decode()), ("a", "1")]

    memory = LabelMemory(of, bytes_max=2)
    found = [memory.labels(raw) for raw in (b"x", b"y", b"x", b"z", b"x")]
    assert found[0] == found[2] == found[4] == (("a", "1"), ("z", "x"))
    assert asked == [b"x", b"y", b"z", b"x"]


def test_labels_without_end_are_refused() -> None:
    with pytest.raises(Terminal, match="labels of more than 16384 bytes"):
        read(({"a": "x" * 20_000}, [[1, "1"]]))


def test_warnings_make_it_partial_and_nothing_of_it_transient() -> None:
    assert read((UP, [[1, "1"]]), warnings=["a\nb"]).warnings == ("a b",)
    assert read((UP, [[1, "1"]]), isPartial=True).is_partial
    assert not read((UP, [[1, "1"]]), isPartial=False, warnings=[]).is_partial
    with pytest.raises(Transient, match="shows nothing: store-1"):
        read(warnings=["store-1"])
    assert read().labels == ()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"<html>welcome</html>",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"status":"success"}',
        body((UP, [[1, "1"]]), kind="vector"),
        body((UP, [[1, 1]])),
        body((UP, [["1", "1"]])),
        body((UP, [[1]])),
        body((UP, [[1, "1", "1"]])),
        body((UP, "many")),
        body((UP, [[1, "many"]])),
        body(({"a": 1}, [[1, "1"]])),  # type: ignore[dict-item]
        body((UP, [[1, "1"]]))[:-20],
        body((UP, [[1, "1"]])).replace(b'"j"', b'"\xff"'),
        b'{"status":"success","data":{"resultType":"matrix","result":[{"metric":{}}]}}',
    ],
)
def test_what_is_no_answer_is_terminal(answer: bytes) -> None:
    with pytest.raises(Terminal, match="no known form"):
        RangeReader().block(200, answer)


@pytest.mark.parametrize("at", ["1e300", "-1", "9e15", "1e999"])
def test_a_sample_at_no_time_is_terminal(at: str) -> None:
    whole = body((UP, [[7, "1"]])).replace(b"[7,", b"[%b," % at.encode())
    with pytest.raises(Terminal):
        RangeReader().block(200, whole)


@pytest.mark.parametrize(("status", "error"), [(400, Terminal), (401, Terminal), (503, Transient)])
def test_a_refusal_says_what_the_server_said(status: int, error: type[Exception]) -> None:
    words = json.dumps({"status": "error", "error": "no\nthanks"}).encode()
    with pytest.raises(error, match=f"{status} no thanks"):
        RangeReader().block(status, words)


def test_an_error_with_a_good_status_is_terminal() -> None:
    with pytest.raises(Terminal):
        RangeReader().block(200, b'{"status":"error","error":"x"}')


def test_too_many_series_are_refused_before_they_cost_memory() -> None:
    line = b'{"metric":{},"values":[]},'
    whole = body().replace(b"[]", b"[%b]" % (line * (SERIES_MAX + 1))[:-1])
    with pytest.raises(Terminal, match="more than 100000 series"):
        RangeReader().block(200, whole)
