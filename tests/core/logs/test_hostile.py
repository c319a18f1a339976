"""Whatever one line is made of, reading it costs a bounded time: no pattern runs over a word again and again."""

import datetime as dt
import time

import pytest

from opsagent.signals.logs.intake import LogIntake
from opsagent.signals.logs.mining import Miner
from opsagent.signals.logs.scrubbing import Scrubber
from tests.core.test_redaction import HOSTILE

NOW = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)
SECONDS_MAX = (
    0.5  # a line of 16 KiB: the worst was measured at 0.03 s, what is quadratic takes seconds
)
UNITS = [
    *HOSTILE,
    *"a.=:/@-_\"'`[{(<\\",
    *("a.", "a=", "a:", "/a", "a@", "a b", "a=b ", "a.service.", "[a ", "{a ", '"a', "'a", "<*>", "1a"),
    *("eyJ.", "eyJa.", "://a:b@", "http://a@b:", "token=abc ", "password: ", "Bearer a", "-----BEGIN "),
    *("Error: ", "aException: ", "failed to x: ", "Caused by: ", "a.b(", "\\\"", "k=\"v\\\" ", "\x1b[0m"),
    *("aB3+", "Aa1", "0:0:", "0.0.", '{"a":', "\u4e16", "\x00a"),
]  # fmt: skip


@pytest.mark.parametrize("unit", UNITS)
def test_a_line_of_one_thing_repeated_costs_a_bounded_time(unit: str) -> None:
    intake = LogIntake(scrubber := Scrubber(), Miner(scrubber))
    line = (unit * 16_384)[:16_384].replace("\n", " ")
    began = time.process_time()
    intake.feed(f"2026-01-05T00:00:00Z {line}\n".encode(errors="replace"), NOW)
    intake.close(NOW)
    assert time.process_time() - began < SECONDS_MAX


@pytest.mark.parametrize(
    "opening", ["[", "{", '"', "'", "(", "<", "a=", "-----BEGIN A-----", "://"]
)
@pytest.mark.parametrize("filling", [", ", "<", " a", "\\", "a.", "a:", ":b@ "])
def test_what_opens_and_never_closes_costs_a_time_that_grows_with_its_length(
    opening: str, filling: str
) -> None:
    def seconds(length: int) -> float:
        least = float("inf")
        for _ in range(2):
            intake = LogIntake(scrubber := Scrubber(), Miner(scrubber))
            line = opening + (filling * length)[:length]
            began = time.process_time()
            intake.feed(f"2026-01-05T00:00:00Z {line}\n".encode(), NOW)
            intake.close(NOW)
            least = min(least, time.process_time() - began)
        return least

    short, long = seconds(1_500), seconds(15_000)
    assert long < 0.02 or long < 30 * short  # ten times the length; the square would be a hundred
