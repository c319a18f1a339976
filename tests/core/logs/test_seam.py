"""However often a log's connection breaks, and wherever: each line once, in order; what is missing is known to be."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings, strategies as st

from opsagent.signals.logs import seam as seams
from opsagent.signals.logs.seam import HEAD_BYTES, Seam

AT = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)
SECOND = 1_000_000_000  # ns


def stamped(nanoseconds: int, text: bytes) -> bytes:
    """Return a line as the API server shows it, so long after ``AT``."""
    at = AT + dt.timedelta(seconds=nanoseconds // SECOND)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{nanoseconds % SECOND:09}Z ".encode() + text + b"\n"


@dataclass
class Log:
    """A container's log: its lines with their stamps, of which the newest file begins at ``first``."""

    lines: list[tuple[int, bytes]] = field(default_factory=list)
    first: int = 0

    def shown(self, since: dt.datetime | None) -> bytes:
        """Return what a connection gives."""
        oldest = 0 if since is None else int((since - AT).total_seconds()) * SECOND
        return b"".join(stamped(*each) for each in self.lines[self.first :] if each[0] >= oldest)

    def whole(self) -> bytes:
        return b"".join(stamped(*each) for each in self.lines)


def cut(raw: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(raw), size):
        yield raw[start : start + size]


def read(seam: Seam, raw: bytes, size: int = 10_000, *, may_tear: bool = True) -> bytes:
    """Return what one connection brings that is new."""
    parts = [seam.resume(may_tear=may_tear)]
    return b"".join([*parts, *(seam.feed(chunk) for chunk in cut(raw, size))])


# Nothing at all between two lines, a nanosecond, less than a second, more than the overlap.
steps = st.sampled_from([0, 0, 1, SECOND // 3, SECOND, 4 * SECOND])
texts = st.sampled_from(
    [b"", b"a", b"b", b"stamp 2026-01-05T00:00:00Z x", b"\xff\x00", b"y" * HEAD_BYTES]
)
lines = st.lists(st.tuples(steps, texts), max_size=30)


def log_of(drawn: list[tuple[int, bytes]]) -> Log:
    at, log = 0, Log()
    for step, text in drawn:
        at += step
        log.lines.append((at, text))
    return log


breaks = st.lists(
    st.tuples(st.integers(0, 30), st.integers(0, 2500), st.sampled_from([1, 7, 60, 20_000])),
    max_size=6,
)


@settings(max_examples=300)
@given(lines, breaks)
def test_each_line_comes_once_wherever_connections_break(
    drawn: list[tuple[int, bytes]], broken: list[tuple[int, int, int]]
) -> None:
    whole = log_of(drawn)
    log, seam, got = Log(), Seam(), b""
    for more, length, size in broken:
        log.lines = whole.lines[: max(more, len(log.lines))]
        got += read(seam, log.shown(seam.since)[:length], size)
    got += read(seam, whole.shown(seam.since))
    assert in_short(got) == in_short(whole.whole())
    assert not seam.is_torn


steps_back_too = st.sampled_from(
    [0, 0, 1, SECOND // 3, SECOND, 4 * SECOND, -1, -SECOND, -20 * SECOND]
)
oddities = st.sampled_from(
    [b"", b"no stamp\n", b"\n", b"2026-02-31T00:00:00Z x\n", b"2026-01-05T01:00:00+01:00 x\n"]
)


@settings(max_examples=300)
@given(st.lists(st.tuples(steps_back_too, texts, oddities), max_size=30), st.integers(0, 2500))
def test_lines_are_taken_together_as_one_by_one(
    drawn: list[tuple[int, bytes, bytes]], length: int
) -> None:
    at, raw = 30 * SECOND, b""
    for step, text, oddity in drawn:
        at = max(0, at + step)
        raw += stamped(at, text) + oddity
    together, one_by_one = Seam(), Seam()
    for chunk in (raw[:length], raw, raw + stamped(at, b"more")):
        size = len(chunk) + 1
        assert in_short(read(together, chunk, size)) == in_short(read(one_by_one, chunk, 1))
        assert together.since == one_by_one.since
        assert together.counters == one_by_one.counters
        assert together.is_torn == one_by_one.is_torn


def in_short(raw: bytes) -> list[bytes]:
    """Return the lines as far as anybody keeps them: a long one may end anywhere behind its head."""
    return [line[:HEAD_BYTES] for line in raw.split(b"\n")]


@settings(max_examples=300)
@given(lines, st.integers(0, 30), st.integers(0, 2500), st.integers(0, 30))
def test_of_a_rotated_log_each_line_that_is_left_comes_once(
    drawn: list[tuple[int, bytes]], known: int, length: int, first: int
) -> None:
    whole, seam = log_of(drawn), Seam()
    before = Log(whole.lines[:known]).shown(None)[:length]
    got = read(seam, before)
    taken = before.count(b"\n")
    whole.first = min(first, len(whole.lines))
    expected = before[: before.rfind(b"\n") + 1]
    rest = b"".join(stamped(*each) for each in whole.lines[max(taken, whole.first) :])
    more = read(seam, whole.shown(seam.since))
    is_torn = seam.is_torn
    if is_torn:
        assert more in (b"", b"\n")  # what ends a long line
        assert whole.first >= taken
        more += read(seam, whole.shown(seam.since), may_tear=False)
    # Lines that are the same to the nanosecond on both sides of what was rotated away are one to everybody.
    if len({*whole.lines}) == len(whole.lines):
        assert in_short(got + more) == in_short(expected + rest)
        assert not is_torn or not seam.is_joined


def test_equal_lines_of_one_nanosecond_are_counted() -> None:
    log, seam = Log([(5, b"same")] * 3), Seam()
    assert read(seam, log.shown(seam.since)).count(b"same") == 3
    log.lines += [(5, b"same")] * 2
    assert read(seam, log.shown(seam.since)).count(b"same") == 2
    assert (seam.counters.seams, seam.counters.repeated_lines) == (1, 3)
    assert read(seam, log.shown(seam.since)) == b""
    assert (seam.counters.seams, seam.counters.repeated_lines) == (2, 8)


def test_it_asks_for_a_second_before_the_newest_line_and_never_for_what_nobody_wanted() -> None:
    seam = Seam()
    assert seam.since is None
    read(seam, stamped(9 * SECOND + 5, b"a"))
    assert seam.since == AT + dt.timedelta(seconds=8)
    seam = Seam(AT + dt.timedelta(seconds=9))
    read(seam, stamped(9 * SECOND + 5, b"a"))
    assert seam.since == AT + dt.timedelta(seconds=9)


def test_a_line_that_was_written_behind_a_younger_one_is_not_lost() -> None:
    """Both streams of a container are stamped before they are written."""
    log, seam = Log([(SECOND, b"out"), (2 * SECOND, b"err, stamped late, written first")]), Seam()
    read(seam, log.shown(seam.since))
    log.lines += [(2 * SECOND - 1, b"out, stamped before"), (2 * SECOND + 1, b"next")]
    new = read(seam, log.shown(seam.since))
    assert [line.split(b" ", 1)[1] for line in new.splitlines()] == [
        b"out, stamped before",
        b"next",
    ]


def test_another_file_is_told_before_anything_of_it_is_taken() -> None:
    seam = Seam()
    read(seam, stamped(SECOND, b"known"))
    assert read(seam, stamped(3 * SECOND, b"of another file")) == b""
    assert seam.is_torn
    assert seam.feed(stamped(4 * SECOND, b"more of it")) == b""
    previous = stamped(SECOND, b"known") + stamped(2 * SECOND, b"last words")
    assert read(seam, previous, may_tear=False) == stamped(2 * SECOND, b"last words")
    assert seam.is_joined
    assert not seam.has_skipped_ahead
    seam.begin_file()
    assert read(seam, b"") == b""
    assert read(seam, stamped(3 * SECOND, b"of another file")) != b""


def test_what_is_known_of_a_life_before_does_not_hide_that_the_last_line_is_gone() -> None:
    seam = Seam()
    old = stamped(SECOND, b"old life")
    read(seam, old)
    seam.begin_file()
    read(seam, stamped(SECOND + 1, b"new life"))
    assert read(seam, stamped(SECOND + 3, b"rotated")) == b""
    assert seam.is_torn
    assert read(seam, old, may_tear=False) == b""
    assert not seam.is_joined


def test_what_came_first_on_the_way_back_is_remembered_when_that_breaks() -> None:
    seam = Seam()
    read(seam, stamped(SECOND, b"known"))
    ahead = stamped(SECOND + 2, b"behind what was rotated away")
    assert read(seam, ahead, may_tear=False) == ahead
    assert read(seam, ahead, may_tear=False) == b""
    assert seam.is_joined
    assert seam.has_skipped_ahead
    seam.begin_file()
    assert not seam.has_skipped_ahead


def test_of_the_file_before_nothing_comes_twice_while_it_may_be_shown_again() -> None:
    seam = Seam()
    previous = stamped(SECOND, b"old life") + stamped(SECOND + 1, b"last words")
    read(seam, previous)
    born = stamped(SECOND + 2, b"born again")
    seam.begin_file()
    assert read(seam, born) == born
    assert read(seam, previous, may_tear=False) == b""
    assert read(seam, born) == b""


def test_a_log_of_which_nothing_is_known_is_never_torn() -> None:
    seam = Seam(AT)
    assert seam.is_joined
    assert read(seam, stamped(SECOND, b"first")) == stamped(SECOND, b"first")
    assert read(seam, b"") == b""
    assert not seam.is_joined


def test_a_long_line_goes_on_as_it_comes_and_ends_where_it_breaks() -> None:
    line, seam = stamped(SECOND, b"z" * 3 * HEAD_BYTES), Seam()
    got = read(seam, line[: 2 * HEAD_BYTES], 5000)
    assert line.startswith(got)
    assert len(got) == 2 * HEAD_BYTES
    log = line + stamped(2 * SECOND, b"next")
    assert read(seam, log, 7000) == b"\n" + stamped(2 * SECOND, b"next")
    assert seam.counters.repeated_lines == 1


def test_a_line_of_100_megabytes_is_never_held() -> None:
    seam = Seam()
    seam.feed(stamped(SECOND, b"")[:-1])
    for _ in range(100):
        seam.feed(b"z" * 1_000_000)
        assert len(seam._held) <= HEAD_BYTES
    assert seam.feed(b"\n" + stamped(SECOND, b"next")).endswith(b" next\n")


def test_what_has_no_stamp_is_the_servers_word() -> None:
    seam = Seam()
    words = [
        b"unable to retrieve container logs for containerd://0ead3b",
        b"2026-13-05T00:00:00Z no such month",
        b"2026-01-05T00:00:00.5 no zone",
        b"\xff" * 40,
        b"",
    ]
    assert read(seam, b"\n".join([*words, b""])) == b""
    assert seam.counters.unstamped_lines == 4
    assert seam.since is None


@pytest.mark.parametrize("zone", ["+01:00", "-09:30", "Z"])
def test_stamps_may_be_of_any_zone(zone: str) -> None:
    seam = Seam()
    read(seam, f"2026-01-05T01:00:07.123456789{zone} a\n2026-01-05T01:00:07.2{zone}\n".encode())
    assert seam.counters.unstamped_lines == 0
    at = dt.datetime.fromisoformat(f"2026-01-05T01:00:06{zone}")
    assert seam.since == at


def test_the_end_of_the_log_gives_the_line_without_its_end() -> None:
    seam = Seam()
    read(seam, stamped(SECOND, b"last")[:-1])
    assert seam.close() == stamped(SECOND, b"last")[:-1]
    assert seam.close() == b""
    read(seam, stamped(SECOND, b"z" * 2 * HEAD_BYTES)[:-1])
    assert seam.close() == b""


def test_a_clock_that_is_put_back_is_followed_back() -> None:
    seam = Seam()
    read(seam, stamped(3600 * SECOND, b"an hour ahead") + stamped(SECOND, b"now"))
    assert seam.since == AT
    log = stamped(SECOND, b"now") + stamped(2 * SECOND, b"next")
    assert read(seam, log) == stamped(2 * SECOND, b"next")
    seam = Seam()
    seam.skip(stamped(3600 * SECOND, b"an hour ahead, and skipped"))
    assert seam.feed(stamped(SECOND, b"now")) == stamped(SECOND, b"now")
    assert read(seam, log) == stamped(2 * SECOND, b"next")


def test_more_lines_than_it_can_know_are_told_by_their_stamps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(seams, "KEYS_MAX", 10)
    log, seam = Log([(SECOND + at, b"x") for at in range(25)]), Seam()
    assert read(seam, log.shown(seam.since)[:-5]).count(b"\n") == 24
    log.lines += [(SECOND + 25, b"new")]
    new = stamped(SECOND + 24, b"x") + stamped(SECOND + 25, b"new")
    assert read(seam, log.shown(seam.since)) == new
    log, seam = Log([(2 * SECOND, b"x"), *((SECOND + at, b"x") for at in range(25))]), Seam()
    read(seam, log.shown(seam.since))
    assert len(seam._before) <= 10


class TestSkipping:
    """What is left out for its number is counted, and dealt with for good."""

    def test_lines_are_counted_and_never_come_later(self) -> None:
        log, seam = Log([(SECOND + at, b"line %d" % at) for at in range(10)]), Seam()
        raw = log.shown(None)
        half = len(stamped(SECOND, b"line 0")) * 5
        assert read(seam, raw[:half]).count(b"\n") == 5
        assert seam.skip(raw[half:-1]) == b""
        assert seam.counters.skipped_lines == 5  # the last has begun
        assert read(seam, log.shown(seam.since)) == b""
        log.lines.append((SECOND + 20, b"new"))
        assert read(seam, log.shown(seam.since)) == stamped(SECOND + 20, b"new")

    @settings(max_examples=200)
    @given(lines, st.lists(st.tuples(st.integers(1, 200), st.booleans()), max_size=40))
    def test_every_line_is_taken_or_counted(
        self, drawn: list[tuple[int, bytes]], pieces: list[tuple[int, bool]]
    ) -> None:
        log, seam, got = log_of(drawn), Seam(), b""
        raw = rest = log.shown(None)
        for size, is_skipped in pieces:
            piece, rest = rest[:size], rest[size:]
            got += seam.skip(piece) if is_skipped else seam.feed(piece)
        got += seam.feed(rest)
        assert got.count(b"\n") + seam.counters.skipped_lines == raw.count(b"\n")
        assert set(in_short(got)) <= set(in_short(raw)) | {b""}

    @settings(max_examples=200)
    @given(lines, st.integers(0, 3000), st.integers(0, 3000), st.integers(0, 3000))
    def test_also_over_a_break(
        self, drawn: list[tuple[int, bytes]], taken: int, skipped: int, more: int
    ) -> None:
        log, seam = log_of(drawn), Seam()
        raw = log.shown(None)
        got = read(seam, raw[:taken])
        got += seam.skip(raw[taken : taken + skipped])
        got += seam.feed(raw[taken + skipped : taken + skipped + more])
        counted = seam.counters.skipped_lines
        got += read(seam, log.shown(seam.since))
        if len({at for at, _ in log.lines}) == len(log.lines):
            assert len(got.splitlines()) + counted == raw.count(b"\n")

    def test_a_line_that_was_written_behind_a_younger_one_is_not_lost(self) -> None:
        seam = Seam()
        skipped = stamped(2 * SECOND, b"skipped")
        seam.skip(skipped)
        new = stamped(3 * SECOND, b"new") + stamped(2 * SECOND - 1, b"stamped before, written now")
        assert read(seam, skipped + new) == new

    def test_a_long_line_that_is_on_its_way_is_ended(self) -> None:
        seam = Seam()
        long_line = stamped(SECOND, b"z" * 3 * HEAD_BYTES)
        assert read(seam, long_line[: 2 * HEAD_BYTES]) != b""
        assert seam.skip(long_line[2 * HEAD_BYTES : -5]) == b"\n"
        assert seam.skip(long_line[-5:-2]) == b""
        assert seam.feed(long_line[-2:] + stamped(SECOND, b"next")) == stamped(SECOND, b"next")
        assert seam.counters.skipped_lines == 0

    def test_a_line_that_began_and_was_not_skipped_goes_on(self) -> None:
        seam = Seam()
        line = stamped(SECOND, b"kept")
        assert seam.skip(line[:20]) == b""
        assert seam.feed(line[20:]) == line
        assert seam.skip(stamped(2 * SECOND, b"gone") + line[:20]) == b""
        assert seam.feed(line[20:]) == line
        assert seam.counters.skipped_lines == 1


def test_it_tells_how_late_a_chunk_is() -> None:
    seam, began = Seam(), AT.timestamp()
    raw = stamped(SECOND, b"a") + stamped(2 * SECOND + SECOND // 2, b"b" * 40)
    assert seam.latest(raw) == began + 2.5
    assert seam.latest(stamped(SECOND, b"a" * 40)) == began + 1
    assert seam.latest(b"no stamp at all, as long as it may be, and longer") is None
    seam.feed(stamped(SECOND, b"a line that says when: ")[:-1])
    assert seam.latest(stamped(9 * SECOND, b"and goes on for a while")) is None
