"""Answers that are laid out as one before are read as if there had been none before, whatever byte is another."""

import struct
from collections.abc import Sequence

import cramjam
import numpy as np
import pytest
from hypothesis import given, strategies as st

from opsagent.clients import prometheus_layouts
from opsagent.clients.prometheus_layouts import (
    GROUP_BYTES,
    LayoutMemory,
    Message,
    Regions,
)
from opsagent.clients.prometheus_remote import RemoteReader
from opsagent.model.series import STALE_BITS, Labels
from opsagent.ports import Terminal
from opsagent.sim.remote_read import Line, answer_to

NOW = 1_767_571_260_000
STALE: float = struct.unpack("<d", struct.pack("<Q", STALE_BITS))[0]
VALUES = st.one_of(st.floats(), st.sampled_from([0.0, STALE, 1.5]))
SERIES = st.lists(st.tuples(st.integers(2**35, 2**42 - 1), VALUES), max_size=5)
ANSWERS = st.lists(st.lists(SERIES, max_size=5), min_size=2, max_size=5)
PLANTED = (0x01, 0x02, 0x07, 0x08, 0x18, 0x80, 0xFF)  # a sample's head becomes a label by 0x18


def named(number: int) -> Labels:
    return (("__name__", "up"), ("n", str(number)))


def lines_of(samples: Sequence[Sequence[tuple[int, float]]]) -> list[Line]:
    return [(named(number), each) for number, each in enumerate(samples)]


def plain(lines: Sequence[Line]) -> bytes:
    return bytes(cramjam.snappy.decompress_raw(answer_to(lines)))


def outcome(reader: RemoteReader, message: bytes) -> object:
    """Return everything that ``reader`` makes of an answer: its block to the last bit, or its refusal."""
    try:
        block = reader.block(bytes(cramjam.snappy.compress_raw(message)))
    except Terminal as refusal:
        return str(refusal)
    numbers = (block.starts, block.stamps, block.values)
    return block.labels, [(each.dtype, each.tobytes()) for each in numbers]


def test_only_samples_may_differ_and_then_no_series_is_read_again() -> None:
    reader = RemoteReader()
    told = []
    for at, value in ((NOW, 1.5), (NOW + 15_000, -2.5), (NOW + 30_000, STALE)):
        block = reader.block(answer_to(lines_of([[(at, value), (at + 1, 0.0)], [], [(at, value)]])))
        assert block.stamps.tolist() == [at, at + 1, at]
        assert block.values.tobytes() == np.array([value, 0.0, value]).tobytes()
        told.append(block.labels)
    assert told[0] == (named(0), named(2))
    assert told[0] is told[1] is told[2]


@given(ANSWERS)
def test_what_was_laid_out_before_never_shows(
    answers: list[list[list[tuple[int, float]]]],
) -> None:
    reader = RemoteReader()
    for each in (*answers, *answers):
        message = plain(lines_of(each))
        assert outcome(reader, message) == outcome(RemoteReader(), message)


@given(st.lists(SERIES, min_size=1, max_size=4), st.data())
def test_other_values_at_other_times_in_the_same_layout(
    series: list[list[tuple[int, float]]], data: st.DataObject
) -> None:
    stamps, values = st.integers(2**35, 2**42 - 1), st.floats().filter(bool)
    again = [
        [(data.draw(stamps), data.draw(values) if value else 0.0) for _, value in samples]
        for samples in series
    ]
    reader = RemoteReader()
    outcome(reader, plain(lines_of(series)))
    message = plain(lines_of(again))
    assert outcome(reader, message) == outcome(RemoteReader(), message)


def test_one_other_byte_anywhere() -> None:
    """Of tags, lengths, labels, values and stamps: each byte in turn becomes some others."""
    message = plain(lines_of([[(NOW, 1.5), (NOW + 1, 0.0)], [(NOW, STALE)], [], [(NOW, 0.0)]]))
    reader = RemoteReader()
    for place, byte in enumerate(message):
        for planted in PLANTED:
            other = message[:place] + bytes([byte ^ planted]) + message[place + 1 :]
            for each in (message, other):
                assert outcome(reader, each) == outcome(RemoteReader(), each)


def test_an_answer_that_is_cut_or_longer_by_a_byte_anywhere() -> None:
    message = plain(lines_of([[(NOW, 1.5)], [(NOW, 0.0), (NOW + 1, 2.5)]]))
    reader = RemoteReader()
    for place in range(len(message) + 1):
        for other in (
            message[:place],
            message[:place] + message[place + 1 :],
            *(message[:place] + byte + message[place:] for byte in (b"\x0a", b"\x12", b"\0")),
        ):
            for each in (message, other):
                assert outcome(reader, each) == outcome(RemoteReader(), each)


@given(st.binary(max_size=100), st.binary(max_size=100))
def test_any_bytes_behind_any_bytes(first: bytes, second: bytes) -> None:
    reader = RemoteReader()
    for each in (first, second, first):
        assert outcome(reader, each) == outcome(RemoteReader(), each)


def test_several_layouts_are_known_at_a_time() -> None:
    reader = RemoteReader()
    forms = [[[(NOW + n, 1.5) for n in range(count)]] * 3 for count in (10, 11, 12)]
    first = [reader.block(answer_to(lines_of(form))).labels for form in forms]
    again = [reader.block(answer_to(lines_of(form))).labels for form in forms]
    assert all(mine is known for mine, known in zip(again, first, strict=True))


def message_of(size: int) -> tuple[Message, Regions]:
    return Message(bytearray(size), size), Regions([2], [size])


def kept(memory: LayoutMemory, sizes: Sequence[int]) -> list[int]:
    return [size for size in sizes if memory.find(message_of(size)[0]) is not None]


def test_only_so_many_are_kept_and_those_that_came_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prometheus_layouts, "FRAMES_MAX", 3)
    memory = LayoutMemory()
    for size in (10, 20, 30, 40):
        message, regions = message_of(size)
        memory.learn((named(0),), regions, message)
        memory.find(message_of(20)[0])
    assert kept(memory, (10, 20, 30, 40)) == [20, 30, 40]
    memory.clear()
    assert kept(memory, (10, 20, 30, 40)) == []


@pytest.mark.parametrize(("bytes_max", "left"), [(50, []), (150, [40]), (250, [30, 40])])
def test_only_so_many_bytes_are_kept(bytes_max: int, left: list[int]) -> None:
    memory = LayoutMemory(bytes_max)
    for size in (10, 20, 30, 40):
        message, regions = message_of(size)
        memory.learn((named(0),), regions, message)
    assert kept(memory, (10, 20, 30, 40)) == left


def test_labels_that_are_forgotten_are_not_held_by_a_layout() -> None:
    reader = RemoteReader()
    reader._memory._bytes_max = 100
    one = answer_to(lines_of([[(NOW, 1.5)]]))
    before = reader.block(one).labels
    assert reader.block(one).labels is before
    reader.block(answer_to([((("n", "x" * 90),), [(NOW, 1.5)])]))
    after = reader.block(one).labels
    assert after == before
    assert after is not before


def test_groups_are_as_large_as_is_read_at_once() -> None:
    sizes = [GROUP_BYTES // 4 - 1] * 9 + [3 * GROUP_BYTES] + [1] * 9
    stops = np.cumsum(sizes).tolist()
    regions = Regions([0, *stops[:-1]], stops)
    layout = LayoutMemory().learn((), regions, Message(bytearray(stops[-1]), stops[-1]))
    assert np.concatenate([group.sizes for group in layout.groups]).tolist() == sizes
    assert [len(group.sizes) for group in layout.groups] == [4, 4, 1, 10]
    for group in layout.groups:
        assert group.parts.size == group.sizes.sum()
