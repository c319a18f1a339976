"""Remote read in bulk: rows or byte by byte, what is read is the same, and what is no answer is refused cheaply."""

import math
import struct
from collections.abc import Sequence

import cramjam
import numpy as np
import pytest
from hypothesis import given, strategies as st

from opsagent.clients import prometheus_remote as remote
from opsagent.clients.prometheus_remote import (
    DECODED_BYTES_MAX,
    SERIES_MAX,
    SLOW_BYTES_MAX,
    RemoteReader,
    question,
)
from opsagent.clients.prometheus_selections import Comparison, Matcher, matchers
from opsagent.clients.protobuf import field, fields, read_varint, varint
from opsagent.model.series import STALE_BITS, Labels, Selection, SeriesBlock, is_stale
from opsagent.ports import Terminal
from opsagent.sim.remote_read import Line, answer_to, read_question

UP: Labels = (("__name__", "up"), ("job", "j"))
NOW = 1_767_571_260_000
STALE: float = struct.unpack("<d", struct.pack("<Q", STALE_BITS))[0]
# A value whose last two bytes, with the tag behind them, look like the head of a zero.
LOOKS_LIKE_ZERO: float = struct.unpack("<d", bytes([1, 2, 3, 4, 5, 6, 0x12, 0x07]))[0]
LOOKS_LIKE_FULL: float = struct.unpack("<d", bytes([0x12, 0x10, 9, 0x12, 0x10, 9, 0x12, 0x10]))[0]


def packed(message: bytes) -> bytes:
    return bytes(cramjam.snappy.compress_raw(message))


def series_of(*parts: bytes) -> bytes:
    """Return an answer with one series of these fields."""
    return packed(field(1, field(1, b"".join(parts))))


def read(*lines: Line) -> SeriesBlock:
    return RemoteReader().block(answer_to(lines))


def samples_of(block: SeriesBlock, index: int) -> list[tuple[int, bytes]]:
    stamps, values = block.of(index)
    return [
        (at, struct.pack("<d", value)) for at, value in zip(stamps.tolist(), values, strict=True)
    ]


def plain(samples: Sequence[tuple[int, float]]) -> list[tuple[int, bytes]]:
    """Return samples by their bits; protobuf leaves a zero out, whatever its sign."""
    return [(at, struct.pack("<d", value or 0.0)) for at, value in samples]


def of_rows(regions: Sequence[bytes]) -> remote.Samples | None:
    return remote._of_rows(regions, np.array([len(region) for region in regions]))


MODERN = st.integers(2**35, 2**42 - 1)
VALUES = st.one_of(
    st.floats(), st.sampled_from([0.0, -0.0, STALE, LOOKS_LIKE_ZERO, LOOKS_LIKE_FULL])
)
MODERN_SERIES = st.lists(st.tuples(MODERN, VALUES), min_size=1, max_size=9)
ANY_SERIES = st.lists(st.tuples(st.integers(0, remote.STAMP_MAX), VALUES), min_size=1, max_size=9)


@given(st.lists(st.one_of(MODERN_SERIES, ANY_SERIES), max_size=6))
def test_any_sample_of_any_time_is_read_to_the_last_bit(
    given_series: list[list[tuple[int, float]]],
) -> None:
    lines = [((*UP, ("n", str(n))), samples) for n, samples in enumerate(given_series)]
    block = read(*lines)
    assert block.labels == tuple(labels for labels, _ in lines)
    for index, samples in enumerate(given_series):
        assert samples_of(block, index) == plain(samples)


@given(st.lists(MODERN_SERIES, min_size=1, max_size=6))
def test_samples_of_these_decades_are_rows_and_read_as_field_by_field(
    given_series: list[list[tuple[int, float]]],
) -> None:
    regions = []
    for samples in given_series:
        ((_, result),) = fields(bytes(cramjam.snappy.decompress_raw(answer_to([((), samples)]))))
        ((_, region),) = fields(bytes(result))  # type: ignore[arg-type]
        regions.append(bytes(region))  # type: ignore[arg-type]
    quick = of_rows(regions)
    assert quick is not None
    slow = remote._joined([remote._of_fields(region) for region in regions])
    for mine, theirs in zip(quick, slow, strict=True):
        assert mine.tobytes() == theirs.astype(mine.dtype).tobytes()


def outcome(reader: RemoteReader, body: bytes) -> object:
    """Return everything that ``reader`` makes of an answer: its block, or its refusal."""
    try:
        block = reader.block(body)
    except Terminal as refusal:
        return str(refusal)
    return block.labels, [samples_of(block, index) for index in range(len(block.labels))]


NAMES = st.sampled_from(["a", "b", "c", "a-longer-one"])
LINES = st.lists(
    st.tuples(NAMES.map(lambda name: (*UP, ("n", name))), st.one_of(st.just([]), ANY_SERIES)),
    max_size=5,
)


@given(st.lists(st.tuples(LINES, st.integers(0, 200)), min_size=2, max_size=5))
def test_what_was_read_before_is_never_seen_in_what_is_read_now(
    answers: list[tuple[list[Line], int]],
) -> None:
    """Room and guesses are used again: also where the same series stand otherwise, or an answer is cut."""
    reader = RemoteReader()
    for lines, cut in answers:
        message = bytes(cramjam.snappy.decompress_raw(answer_to(lines)))
        for body in (packed(message), packed(message[: len(message) - cut])):
            assert outcome(reader, body) == outcome(RemoteReader(), body)


def test_labels_that_begin_as_those_of_last_time_are_not_taken_for_them() -> None:
    reader = RemoteReader()
    more = (*UP, ("zone", "z"))
    for labels in (UP, more, UP, more):
        assert reader.block(answer_to([(labels, [(NOW, 1.0)])])).labels == (labels,)


def test_room_is_kept_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "ROOM_BYTES_MAX", 1000)
    reader = RemoteReader()
    for count, kept in ((30, True), (100, False), (1, True)):
        block = reader.block(answer_to([(UP, [(NOW + n, 1.5) for n in range(count)])]))
        assert len(block.stamps) == count
        assert (len(reader._room) >= 18 * count) is kept
        assert len(reader._room) <= 1000


SIX = st.sampled_from(
    [b"\x80\x80\x80\x80\x80\x01", b"\xa0\xf3\xb9\xd1\xb8\x33", b"\x01\x80\x80\x80\x80\x80"]
)
ROWS = st.one_of(
    SIX.map(lambda six: b"\x12\x10\x09" + six),
    SIX.map(lambda six: b"\x02\x03\x10" + six),
    SIX.map(lambda six: b"\x12\x07\x10" + six),
    SIX.map(lambda six: b"\x12\x06\x10" + six),
)
PAIR = st.tuples(SIX, SIX).map(lambda two: b"\x12\x10\x09%b\x02\x03\x10%b" % two)


@given(st.lists(st.lists(st.one_of(ROWS, PAIR), max_size=4).map(b"".join), min_size=1, max_size=3))
def test_rows_never_accept_what_fields_would_read_otherwise(regions: list[bytes]) -> None:
    quick = of_rows(regions)
    if quick is not None:
        slow = remote._joined([remote._of_fields(region) for region in regions])
        assert [each.tolist() for each in quick] == [each.tolist() for each in slow]


@pytest.mark.parametrize(
    "regions",
    [
        [b"\x12\x10\x09\1\2\3\4\5\6"],
        [b"\x12\x10\x09\1\2\3\4\5\6", b"\7\x08\x10\xa0\xf3\xb9\xd1\xb8\x33"],
        [b"\x12\x10\x09\1\2\3\4\5\6" * 2 + b"\7\x08\x10\xa0\xf3\xb9\xd1\xb8\x33"],
        [b"\7\x08\x10\xa0\xf3\xb9\xd1\xb8\x33"],
        [b"\x12\x07\x10\xa0\xf3\xb9\xd1\xb8\xb3"],
        [b"\x12\x07\x10\xa0\xf3\xb9\x51\xb8\x33"],
        [b"\x12\x10\x09\1\2\3\4\5\6\7\x08\x11\xa0\xf3\xb9\xd1\xb8\x33"],
    ],
)
def test_rows_that_do_not_fit_each_other_are_none(regions: list[bytes]) -> None:
    assert of_rows(regions) is None


def test_one_odd_series_does_not_slow_its_neighbours_down() -> None:
    good = [((*UP, ("n", str(n))), [(NOW, 1.5), (NOW + 1, 0.0)]) for n in range(20)]
    odd: Line = (UP, [(5, 1.0), (NOW, 2.0)])
    block = read(*good[:7], odd, *good[7:])
    assert samples_of(block, 7) == plain(odd[1])
    assert all(samples_of(block, index) == plain(good[0][1]) for index in (0, 6, 8, 20))


def test_many_samples_are_read_in_groups() -> None:
    lines = [
        ((*UP, ("n", str(n))), [(NOW + 15_000 * k, n + k / 7) for k in range(3000)])
        for n in range(12)
    ]
    block = read(*lines)
    assert len(block.stamps) == 36_000
    assert all(samples_of(block, n) == plain(lines[n][1]) for n in (0, 5, 11))


def test_marks_and_numbers_that_are_none_come_as_they_are() -> None:
    block = read((UP, [(NOW, math.nan), (NOW + 1, STALE), (NOW + 2, -math.inf), (NOW + 3, 0.0)]))
    assert is_stale(block.values).tolist() == [False, True, False, False]
    assert np.isnan(block.values).tolist() == [True, True, False, False]


def test_a_series_without_samples_is_none() -> None:
    assert read((UP, []), ((("a", "b"),), [(NOW, 1.0)])).labels == ((("a", "b"),),)
    assert read().labels == ()
    assert RemoteReader().block(packed(b"")).labels == ()


def test_fields_of_later_versions_are_passed_over() -> None:
    sample = field(2, field(1, 1.5) + field(2, NOW) + field(9, b"?") + b"\x55\0\0\0\0")
    label = field(1, field(1, b"a") + field(2, b"b" * 300))
    block = RemoteReader().block(series_of(label, sample, field(3, b"exemplar"), field(4, b"\xff")))
    assert block.labels == ((("a", "b" * 300),),)
    assert samples_of(block, 0) == plain([(NOW, 1.5)])


GOOD = field(2, field(1, 1.5) + field(2, NOW))


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"<html>welcome</html>",
        b"\xff" * 20,
        packed(b"<html>welcome</html>"),
        packed(b"\x0a\xff"),
        packed(b"\x0a\x05\x0a\x09"),
        packed(b"\x0a" + b"\xff" * 11),
        packed(b"\x0a\x7f"),
        series_of(b"\x0a\x7f"),
        series_of(b"\x0a\xff\xff\x01"),
        series_of(GOOD, field(1, b"")),
        series_of(field(2, 7)),
        series_of(field(2, field(1, 7))),
        series_of(field(2, field(2, b"soon"))),
        series_of(field(2, field(1, 1.5) + field(2, 2**63))),
        series_of(field(2, field(1, 1.5) + field(2, remote.STAMP_MAX + 1))),
        series_of(GOOD, b"\x13"),
        series_of(GOOD[:-1]),
        series_of(field(1, field(1, b"\xff")), GOOD),
        series_of(field(1, field(1, 7)), GOOD),
        series_of(field(1, field(2, 7)), GOOD),
        series_of(field(1, b"\x12\x7f"), GOOD),
    ],
)
def test_what_is_no_answer_is_terminal(answer: bytes) -> None:
    with pytest.raises(Terminal):
        RemoteReader().block(answer)


@given(st.binary(max_size=200), st.booleans())
def test_no_bytes_lead_to_anything_but_a_block_or_terminal(junk: bytes, is_inside: bool) -> None:
    message = field(1, field(1, junk)) if is_inside else junk
    try:
        block = RemoteReader().block(packed(message))
    except Terminal:
        return
    assert len(block.labels) == len(block.starts) - 1


def test_a_length_that_snappy_only_announces_costs_no_memory() -> None:
    bomb = varint(DECODED_BYTES_MAX + 1) + b"\0\0"
    with pytest.raises(Terminal, match="unpacks to more than"):
        RemoteReader().block(bomb)


def test_more_series_than_the_bound_are_refused_also_if_they_are_empty() -> None:
    for each in (b"\x0a\x00", field(1, GOOD)):
        with pytest.raises(Terminal, match="more than 100000 series"):
            RemoteReader().block(packed(field(1, each * (SERIES_MAX + 1))))


def test_what_would_take_minutes_to_read_is_refused() -> None:
    tiny = b"\x12\x02\x10\x01"
    bomb = series_of(tiny * (SLOW_BYTES_MAX // len(tiny) + 1))
    assert len(bomb) < 2**21
    with pytest.raises(Terminal):
        RemoteReader().block(bomb)


def test_the_server_reads_the_question_that_was_asked() -> None:
    for selection in Selection:
        wanted = matchers(selection, ("shop", "cart"))
        asked = read_question(question(wanted, 0, NOW))
        assert (asked.start_ms, asked.end_ms, asked.matchers) == (0, NOW, wanted)


@pytest.mark.parametrize(
    "body", [b"", b"junk", packed(b""), packed(b"\x08\x07"), packed(field(1, 1))]
)
def test_a_question_that_is_none_is_told_apart(body: bytes) -> None:
    with pytest.raises((ValueError, IndexError)):
        read_question(body)


@given(st.integers(0, 2**64 - 1))
def test_numbers_of_variable_length(number: int) -> None:
    assert read_varint(b"\0" + varint(number) + b"\0", 1) == (number, len(varint(number)) + 1)


def test_fields_by_hand() -> None:
    message = field(1, 300) + field(2, 0.5) + field(3, b"x") + b"\x25\1\2\3\4"
    assert list(fields(message)) == [(1, 300), (2, 0.5), (3, b"x"), (4, b"\1\2\3\4")]
    assert Matcher("a", Comparison.MATCHES, "b|c").holds({"a": "c"})
