"""From bytes to entries: nothing secret comes out, everything is counted, a failure is one template."""

import datetime as dt
import random
import re
from collections.abc import Iterable
from itertools import chain, pairwise, repeat
from operator import attrgetter

import pytest
from hypothesis import given, settings, strategies as st

from opsagent.model.log import LogEntry, LogSeverity
from opsagent.signals.logs.framing import Framed
from opsagent.signals.logs.intake import LogIntake
from opsagent.signals.logs.mining import Miner
from opsagent.signals.logs.scrubbing import Scrubber
from opsagent.signals.secrets import scrub
from tests.core.logs.test_joining import TRACES
from tests.core.test_secrets import texts
from tests.corpus.canaries import FORMS, drawn, planted
from tests.corpus.dialects import DIALECTS
from tests.corpus.generate import everything, lines

NOW = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)
CANARIES = 200  # of each form


def taken(raw: str, miner: Miner | None = None) -> list[LogEntry]:
    scrubber = Scrubber()
    intake = LogIntake(scrubber, miner or Miner(scrubber))
    return [*intake.feed(raw.encode(), NOW), *intake.close(NOW)]


def test_an_entry_says_when_how_bad_and_what() -> None:
    (entry,) = taken('2026-01-05T00:00:01Z {"level":"error","msg":"took 5 ms","ts":1}')
    assert entry.at == NOW + dt.timedelta(seconds=1)
    assert entry.severity is LogSeverity.ERROR
    assert entry.template == "took <*> ms"
    assert entry.template_id.startswith("tpl_")
    assert entry.text == '{"level":"error","msg":"took 5 ms","ts":1}'
    assert entry.is_new


def test_without_a_stamp_the_programs_own_counts_then_the_arrival() -> None:
    entries = taken("2026-01-04 00:00:00 INFO x\nno stamp\n")
    assert [entry.at for entry in entries] == [NOW - dt.timedelta(days=1), NOW]


def test_a_record_stays_open_until_the_next_line_or_silence() -> None:
    intake = LogIntake(scrubber := Scrubber(), Miner(scrubber))
    assert intake.feed(b"boom\n", NOW) == []
    assert intake.feed(b"\tat cart.js:1\n", NOW) == []
    (entry,) = intake.flush(NOW)
    assert entry.text == "boom\n\tat cart.js:1"
    assert intake.framed.lines == 2


def test_a_failure_is_one_template_however_deep_it_happened() -> None:
    scrubber = Scrubber()
    miner = Miner(scrubber)
    trace = "E failed\njava.lang.RuntimeException: x\n{}Caused by: java.io.IOException: disk {}\n"
    short = taken(trace.format("\tat A.b(A.java:1)\n", 1), miner)
    long = taken(trace.format("\tat A.b(A.java:1)\n" * 30, 2), miner)
    assert short[0].template == "E failed java.io.IOException <*>"
    assert long[0].template_id == short[0].template_id
    assert (short[0].is_new, long[0].is_new) == (True, False)


def everything_kept(entries: list[LogEntry], miner: Miner) -> str:
    samples = [text for each in miner.templates() for text in (each.sample, each.text)]
    return "\n".join([*samples, *(f"{each.text}\n{each.template}" for each in entries)])


@pytest.mark.parametrize("form", FORMS)
def test_no_planted_secret_comes_out(form: str) -> None:
    rng = random.Random(form)
    canaries = [planted(rng, form) for _ in range(CANARIES)]
    around = list(lines(rng.choice(DIALECTS), seed=7, count=CANARIES))
    raw = "".join(
        f"{line.content} {each.text}\n" for line, each in zip(around, canaries, strict=True)
    )
    scrubber = Scrubber()
    miner = Miner(scrubber)
    kept = everything_kept(taken(raw, miner), miner)
    assert not [each.text for each in canaries for secret in each.secrets if secret in kept]


def test_nor_in_any_dialect() -> None:
    planted_lines = [line for dialect in DIALECTS for line in lines(dialect, 11, 100, secrets=1)]
    scrubber = Scrubber()
    miner = Miner(scrubber)
    kept = everything_kept(taken("".join(f"{line.raw}\n" for line in planted_lines), miner), miner)
    assert not [line.raw for line in planted_lines for secret in line.secrets if secret in kept]


def test_a_key_over_many_lines_leaves_nothing_behind() -> None:
    rng = random.Random(1)
    body = [drawn(rng, 64) for _ in range(25)]
    pem = "\n".join(["-----BEGIN RSA PRIVATE KEY-----", *body, "-----END RSA PRIVATE KEY-----"])
    (before, key, after) = taken(f"before\n{pem}\nafter\n")
    assert (before.text, key.text, after.text) == ("before", "[redacted]", "after")
    torn = taken("\n".join(body[3:]))  # the log was rotated inside the key
    assert not [line for line in body for entry in torn if line in entry.text]


def test_a_secret_at_the_cut_leaves_nothing_behind() -> None:
    for start in range(16_384 - 60, 16_384, 7):
        raw = "x" * (start - 1) + " token=planted7f3aplanted7f3aplanted7f3aplanted7f3aplanted7f3a\n"
        assert "planted" not in taken(raw)[0].text


def test_clean_lines_stay_as_they_are() -> None:
    clean = list(everything(seed=5, count=100))
    masked = [line.raw for line in clean if scrub(line.raw) != line.raw]
    assert len(masked) <= 0.01 * len(clean)
    entries = taken("".join(f"2026-01-05T00:00:00Z {line.raw}\n" for line in clean))
    changed = {entry.text for entry in entries} - {line.raw for line in clean}
    assert len(changed) <= 0.01 * len(clean)


@given(st.text(max_size=200) | st.sampled_from(sorted(TRACES.values())), st.integers(1, 50))
def test_entries_are_what_scrubbing_the_record_gives_however_it_was_cut_up(
    raw: str, size: int
) -> None:
    encoded = raw.encode(errors="replace")
    intake = LogIntake(scrubber := Scrubber(), Miner(scrubber))
    entries = [
        entry
        for start in range(0, len(encoded), size)
        for entry in intake.feed(encoded[start : start + size], NOW)
    ]
    assert [*entries, *intake.close(NOW)] == taken(encoded.decode())


HEADS = [
    "",
    "2026-01-05 00:00:00 INFO ",
    "I0105 00:00:00.000000 1 a.go:1] ",
    "WARN: ",
    '{"msg":"x"} ',
    "a=1 level=info msg=",
]


@given(st.sampled_from(HEADS), texts)
def test_the_text_of_a_line_is_what_scrubbing_it_gives(head: str, text: str) -> None:
    line = f"{head}{text}".replace("\n", " ")
    entries = taken(f"2026-01-05T00:00:00Z {line}\n")
    if "\ufffd" not in line and line.isprintable():
        assert [entry.text for entry in entries] == [scrub(line)]


TRACE_LINES = "".join(TRACES.values()).split("\n")
# What lines may hold behind their stamps. Digits are drawn anew each time: lines come again with others.
TOLD = [
    *TRACES.values(),
    "-----BEGIN PRIVATE KEY-----\nMIIE\nplain\nstill 1",
    "panic: x\nmain.main()\nplain",
    "plain",
    "",
    "2026-01-05 00:00:00 INFO took 5 ms id=0af7651916cd43dd8448eb211c80319c n=1",
    'level=info msg="a 1" id="0af7651916cd43dd8448eb211c80319c"',
    '{"level":30,"msg":"n 1","id": "0af7651916cd43dd8448eb211c80319c","n":10}',
    '{"level" : 30,"Level":1,"msg":"x"}',
    '{"n":10,"msg":"at\\u0041"}',
    '\x1b[32m{"n":10}',
    "I0105 00:00:00.000000 1 a.go:1] token=abc1",
    "a\tb 1\tc\r",
    "grüße 1 \N{REPLACEMENT CHARACTER} 世界 \u2028",
    "\x00\x01\x02\x03",
    "\udcff\udcfe 1",
    "stdout F out 1",
    "stderr P half 1",
    "stderr F rest 1",
    "stdout 1",
    f"long {'word ' * 120}1",
    f"very long {'word ' * 4000}1",
    "-----BEGIN RSA PRIVATE KEY----- MIIE -----END RSA PRIVATE KEY-----",
    "f(id=0af7651916cd43dd)",
]
STAMPS = [
    "2026-01-05T00:00:01.123456789Z ",
    "2026-01-05T00:00:00.123456789Z ",  # older than the one before
    "2026-01-05T00:00:01.5Z ",
    "2026-01-05T01:00:01.123456789+01:00 ",
    "2026-02-31T00:00:01.123456789Z ",
    "2026-01-05T00:00:01Z",
    "",
]
told = st.sampled_from(TOLD) | st.sampled_from(TRACE_LINES)
blocks = st.lists(st.tuples(told, st.randoms(use_true_random=False)), max_size=15)
odd_stamps = st.lists(st.sampled_from(STAMPS))  # for the first lines


def log_of(blocks: list[tuple[str, random.Random]], odd: list[str]) -> str:
    lines = [
        "".join(rng.choice("0123456789") if each.isdecimal() else each for each in line)
        for block, rng in blocks
        for line in block.split("\n")
    ]
    return "".join(
        f"{stamp}{line}\n"
        for stamp, line in zip(chain(odd, repeat(STAMPS[0])), lines, strict=False)
    )


as_said = attrgetter("at", "stream", "severity", "template", "text", "is_new", "dropped_lines")


def said(chunks: Iterable[bytes], scrubber: Scrubber) -> tuple[list[tuple[object, ...]], Framed]:
    intake = LogIntake(scrubber, Miner(scrubber))
    entries = [entry for chunk in chunks for entry in intake.feed(chunk, NOW)]
    return [*map(as_said, [*entries, *intake.close(NOW)])], intake.framed


WARM = Scrubber()  # it has seen lines of all examples before


@settings(max_examples=500)
@given(
    blocks, odd_stamps | st.just([]), st.lists(st.integers(0, 400), max_size=6), st.integers(0, 2)
)
def test_lines_of_a_chunk_are_said_as_if_each_came_alone_for_the_first_time(
    blocks: list[tuple[str, random.Random]], odd: list[str], cuts: list[int], cut_off: int
) -> None:
    log = log_of(blocks, odd).encode(errors="surrogateescape")
    raw = log[: len(log) - cut_off // 2]
    places = sorted({0, *(cut % (len(raw) + 1) for cut in cuts), len(raw)})
    chunks = [raw[begin:end] for begin, end in pairwise(places)]
    assert_all_said_alike(raw, chunks)


@pytest.mark.parametrize("told", [*TOLD, *TRACE_LINES])
def test_any_line_is_said_as_if_it_came_alone_between_known_ones(told: str) -> None:
    plain, rng = "2026-01-05 00:00:00 INFO plain 1", random.Random(1)
    log = log_of([(each, rng) for each in (plain, plain, told, plain, told, told, "plain")], [])
    assert_all_said_alike(log.encode(errors="surrogateescape"), [])


def test_a_line_that_began_before_goes_on_whatever_it_looks_like() -> None:
    whole = f"{STAMPS[0]}begun {STAMPS[0]}more\n".encode()
    assert_all_said_alike(whole, [whole[:37], whole[37:]])


def assert_all_said_alike(raw: bytes, chunks: list[bytes]) -> None:
    alone = said(re.findall(rb"[^\n]+|\n", raw), Scrubber())
    for scrubber in (WARM, Scrubber()):
        for _ in range(2):
            assert said(chunks or [raw], scrubber) == alone
            assert said([raw], scrubber) == alone
