"""A block gives back what went in, and nothing else."""

import datetime as dt
import math
import random
import zlib
from collections.abc import Callable

import cramjam
import numpy as np
import pytest
from hypothesis import given, strategies as st

from opsagent.model.log import LogSeverity
from opsagent.store.raw_block import Columns, Encoded, Row, clean, drafted, encoded, opened, ranked
from tests.corpus.generate import everything

T0 = dt.datetime(2026, 11, 24, tzinfo=dt.UTC)
NUMBERS = st.integers(0, 2**32 - 1)
TEXTS = st.text(st.characters(), max_size=30)  # lone surrogates are among them
INSTANTS = st.datetimes(timezones=st.just(dt.UTC)) | st.datetimes(
    dt.datetime(2026, 1, 1),  # noqa: DTZ001 - the strategy adds the zone
    dt.datetime(2027, 1, 1),  # noqa: DTZ001 - the same
    timezones=st.just(dt.timezone(dt.timedelta(hours=5, minutes=45))),
)
ROWS = st.builds(Row, INSTANTS, NUMBERS, TEXTS, st.sampled_from(LogSeverity), NUMBERS, TEXTS)

Way = Callable[[Columns], Encoded]
WAYS = [encoded, drafted]


def block_of(rows: list[Row], way: Way = encoded) -> Encoded:
    ats, origins, streams, severities, templates, texts = zip(*rows, strict=True)
    columns = Columns(ats, np.array(origins), streams, severities, ranked(templates), texts)
    return way(columns)


def some(count: int) -> list[Row]:
    rng = random.Random(count)
    return [
        Row(
            T0 + dt.timedelta(microseconds=rng.randrange(10**9)),
            rng.randrange(3),
            rng.choice(["stdout", "stderr"]),
            LogSeverity.INFO,
            rng.randrange(9),
            f"line {number} {rng.random()}",
        )
        for number in range(count)
    ]


@given(st.lists(ROWS, min_size=1, max_size=20), st.sampled_from(WAYS))
def test_what_goes_in_comes_out_in_its_order(rows: list[Row], way: Way) -> None:
    earliest, latest, body = block_of(rows, way)
    block = opened(body)
    assert len(block) == len(rows)
    assert block.size >= sum(len(clean(row.text).encode()) + 1 for row in rows)
    for place, row in enumerate(rows):
        assert block.row(place) == row._replace(stream=clean(row.stream), text=clean(row.text))
    epoch = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    microseconds = [(row.at - epoch) // dt.timedelta(microseconds=1) for row in rows]
    assert (earliest, latest) == (min(microseconds), max(microseconds))


@pytest.mark.parametrize("odd", [None, 0, 999, 1999])
def test_many_instants_come_back_to_the_microsecond(odd: int | None) -> None:
    rows = some(2000)
    if odd is not None:  # one that is not as the others: before 1970, far ahead, on the second
        rows[odd] = rows[odd]._replace(at=T0.replace(year=1950 + odd))
    block = opened(block_of(rows).body)
    assert [block.row(place).at for place in range(2000)] == [row.at for row in rows]


@given(st.text(st.characters()))
def test_a_clean_text_is_as_long_and_stays_as_it_is(text: str) -> None:
    assert len(clean(text)) == len(text)
    assert clean(text).encode().decode() == clean(text)


def test_the_same_entries_give_the_same_bytes() -> None:
    assert block_of(some(500)) == block_of(some(500))


def unique(count: int) -> list[Row]:
    """Return lines that differ in an id and in numbers alone, but for one each hundred."""
    rng = random.Random(count)
    return [
        row._replace(
            template=int(number % 100 == 0),
            text="plain"
            if number % 100 == 0
            else f"GET /cart/{rng.randrange(10**6)} took {rng.randrange(9000)} ms trace={rng.getrandbits(128):032x}",
        )
        for number, row in enumerate(some(count))
    ]


def test_unique_lines_take_little_more_than_what_is_unique_in_them() -> None:
    rows = unique(2000)
    unique_bytes = 16 + 9.7 * math.log2(10) / 8 + 2.5  # an id, digits, an instant
    size = len(block_of(rows).body)
    assert size < 1.18 * unique_bytes * len(rows)
    assert size < 0.9 * len(block_of(rows, drafted).body)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", [some, unique])
def test_every_entry_of_a_large_block_comes_back(
    kind: Callable[[int], list[Row]],
    way: Way,
) -> None:
    rows = kind(2000)
    block = opened(block_of(rows, way).body)
    assert [block.row(place) for place in range(2000)] == rows


def test_texts_of_one_template_side_by_side_make_a_smaller_block() -> None:
    lines = list(everything(0, 80))
    random.Random(0).shuffle(lines)
    numbers = {name: number for number, name in enumerate({line.template: None for line in lines})}
    mixed = [
        Row(line.at, 0, "stdout", LogSeverity.INFO, numbers[line.template], line.raw)
        for line in lines
    ]
    in_order_of_arrival = [row._replace(template=0) for row in mixed]
    assert len(block_of(mixed).body) < 0.97 * len(block_of(in_order_of_arrival).body)


@pytest.mark.parametrize("size", [0, 3, 4, 5, 100])
def test_a_part_of_a_block_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="checksum"):
        opened(block_of(some(100)).body[:size])


def test_a_block_of_a_format_of_before_is_refused() -> None:
    frame = bytes(cramjam.zstd.compress(b"one frame was all"))
    with pytest.raises(ValueError, match="another version"):
        opened(zlib.crc32(frame).to_bytes(4, "little") + frame)


def test_a_changed_byte_is_found_wherever_it_is() -> None:
    body = block_of(some(20)).body
    for place in range(len(body)):
        changed = bytearray(body)
        changed[place] ^= 1
        with pytest.raises(ValueError, match="checksum"):
            opened(bytes(changed))
