"""However the bytes were cut up on the way, the lines are the same; what is too long or no text is counted."""

import datetime as dt
import tracemalloc

import pytest
from hypothesis import given, strategies as st

from opsagent.signals.logs.framing import LINE_BYTES_MAX, Framed, Framer, Line

AT = dt.datetime(2026, 1, 5, 0, 0, 1, 500_000, tzinfo=dt.UTC)
STAMP = "2026-01-05T00:00:01.5Z"


def framed(*chunks: bytes) -> tuple[list[Line], Framed]:
    framer = Framer()
    lines = [line for chunk in chunks for line in framer.feed(chunk)]
    return [*lines, *framer.close()], framer.framed


def texts(*chunks: bytes) -> list[str]:
    return [line.text for line in framed(*chunks)[0]]


def test_a_bare_line_has_no_stamp() -> None:
    assert framed(b"hello\n")[0] == [Line(None, "", "hello")]


def test_the_api_servers_stamp_is_taken_off() -> None:
    assert framed(f"{STAMP} hello\r\n".encode())[0] == [Line(AT, "", "hello")]


def test_the_runtimes_stamp_and_stream_are_taken_off() -> None:
    raw = f"{STAMP} stderr F hello\n2026-01-05T01:00:01.500000000+01:00 stdout F there\n"
    assert framed(raw.encode())[0] == [Line(AT, "stderr", "hello"), Line(AT, "stdout", "there")]


def test_a_programs_own_stamp_is_left_where_the_api_server_put_none() -> None:
    raw = f"{STAMP}  INFO hello\n{STAMP} stdout F there\n"
    assert [line.text for line in Framer(has_stamps=False).feed(raw.encode())] == [
        f"{STAMP}  INFO hello",
        "there",
    ]


def test_parts_of_a_line_are_joined_by_stream() -> None:
    raw = f"{STAMP} stdout P he\n{STAMP} stderr F no\n{STAMP} stdout P ll\n{STAMP} stdout F o\n"
    assert framed(raw.encode())[0] == [Line(AT, "stderr", "no"), Line(AT, "stdout", "hello")]


def test_parts_without_their_last_come_at_the_end() -> None:
    assert texts(f"{STAMP} stdout P half".encode()) == ["half"]


def test_an_impossible_stamp_is_no_error() -> None:
    assert framed(b"2026-02-31T00:00:01Z hello\n")[0] == [Line(None, "", "hello")]


def test_a_line_at_the_end_without_its_end_is_not_lost() -> None:
    assert texts(b"one\ntwo") == ["one", "two"]


@given(st.binary(max_size=200), st.data())
def test_chunks_make_no_difference(raw: bytes, data: st.DataObject) -> None:
    raw = raw.replace(b"x", b"\n")
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=6)))
    chunks = [raw[i:j] for i, j in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    assert framed(*chunks) == framed(raw)


def test_a_long_line_is_cut_with_the_word_that_the_cut_went_through() -> None:
    raw = b"word " * 4000 + b"\nnext\n"
    lines, counted = framed(raw)
    assert lines[0].text.endswith("word …")
    assert len(lines[0].text) <= LINE_BYTES_MAX + 2
    assert (counted.lines, counted.cut_lines, counted.cut_bytes) == (2, 1, 20_000 - LINE_BYTES_MAX)
    assert lines[1].text == "next"


def test_of_a_long_line_without_blanks_the_end_goes_too() -> None:
    (line,), _ = framed(b"a" * LINE_BYTES_MAX + b"secret")
    assert line.text == "a" * (LINE_BYTES_MAX - 512) + " …"


def test_parts_are_cut_as_lines_are() -> None:
    part = f"{STAMP} stdout P {'word ' * 3000}\n".encode()
    lines, counted = framed(part, part, part, f"{STAMP} stdout F end\n".encode())
    assert len(lines) == 1
    assert len(lines[0].text) <= LINE_BYTES_MAX + 4
    assert counted.cut_lines == 2
    assert counted.cut_bytes > 25_000


def test_a_part_of_full_length_is_not_cut_for_its_stamp() -> None:
    part = f"{STAMP} stdout P {'a' * LINE_BYTES_MAX}\n".encode()
    assert framed(part)[1].cut_lines == 0
    lines, counted = framed(part, f"{STAMP} stdout F b\n".encode())
    assert (len(lines), counted.cut_bytes) == (1, 1)


def test_a_line_of_100_megabytes_costs_no_memory_and_the_next_is_whole() -> None:
    framer = Framer()
    chunk = b"y" * 1_000_000
    tracemalloc.start()
    for _ in range(100):
        assert list(framer.feed(chunk)) == []
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [line.text[:4] for line in framer.feed(b"\nnext\n")] == ["yyyy", "next"]
    assert framer.framed.cut_bytes == 100_000_000 - LINE_BYTES_MAX
    assert framer.framed.bytes == 100_000_006
    assert peak < 4_000_000


@pytest.mark.parametrize("raw", [b"\x00\x01\x02\x03abc", b"\xff\xfe\xfd\xfc\xfb", bytes(range(256)).replace(b"\n", b"")])  # fmt: skip
def test_what_is_no_text_is_named_by_its_size(raw: bytes) -> None:
    lines, counted = framed(raw + b"\n")
    assert [line.text for line in lines] == [f"(binary, {len(raw)} bytes)"]
    assert (counted.binary_lines, counted.binary_bytes) == (1, len(raw))


def test_colours_tabs_and_other_tongues_are_text() -> None:
    raw = "\x1b[32mINFO\x1b[0m\tgrüße, 世界"
    assert texts(raw.encode()) == [raw]
