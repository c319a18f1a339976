"""A stack trace is one record, whoever printed it; nothing else is joined, and nothing grows without bound."""

import pytest
from hypothesis import given, strategies as st

from opsagent.signals.logs.framing import Line
from opsagent.signals.logs.joining import CHARACTERS_MAX, LINES_MAX, Joiner, Record


def records(*texts: str) -> list[Record]:
    joiner = Joiner()
    found = joiner.feed(Line(None, "", text) for text in texts)
    return [*found, *joiner.flush()]


JAVA = """
2026-01-05 00:00:00,000 ERROR [main] c.e.Cart - Could not load
java.lang.IllegalStateException: no stock
\tat com.example.Cart.load(Cart.java:12)
\tat com.example.Cart.main(Cart.java:3)
\tSuppressed: java.io.IOException: closing
Caused by: java.net.ConnectException: Connection refused
\tat java.net.Socket.connect(Socket.java:600)
\t... 12 more
"""
PYTHON = """
Traceback (most recent call last):
  File "/app/db.py", line 12, in get
    return self.rows[key]
           ~~~~~~~~~^^^^^
KeyError: 'cart'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/app/main.py", line 3, in <module>
    main()
shop.errors.LookupError: no such cart
"""
GO = """
panic: runtime error: invalid memory address or nil pointer dereference
[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x4a1b2c]

goroutine 1 [running]:
main.(*Cart).Load(0x0, {0xc000012345, 0x4})
\t/app/cart.go:12 +0x1d
main.main()
\t/app/main.go:3 +0x25
created by main.start in goroutine 7
exit status 2
"""
NODE = """
TypeError: Cannot read properties of undefined (reading 'price')
    at Cart.total (/app/cart.js:12:19)
    at processTicksAndRejections (node:internal/process/task_queues:95:5)
"""
DOTNET = """
Unhandled exception. System.InvalidOperationException: No stock
 ---> System.Net.Http.HttpRequestException: Connection refused
   at Shop.Cart.Load() in /app/Cart.cs:line 12
   --- End of inner exception stack trace ---
   at Shop.Program.Main() in /app/Program.cs:line 3
"""
KEY = """
loaded -----BEGIN RSA PRIVATE KEY-----
Proc-Type: 4,ENCRYPTED

MIIEpAIBAAKCAQEA7bq0
c2VjcmV0
-----END RSA PRIVATE KEY-----
"""
TRACES = {"java": JAVA, "python": PYTHON, "go": GO, "node": NODE, "dotnet": DOTNET, "key": KEY}


@pytest.mark.parametrize("trace", TRACES.values(), ids=TRACES.keys())
@pytest.mark.parametrize(
    "behind", ["2026-01-05 00:00:01 INFO next", "next line", "I0105 00:00:01.000000 1 a.go:1] x", '{"msg": "x"}', "Jan  5 00:00:01 x"]
)  # fmt: skip
def test_a_trace_is_one_record_and_the_next_line_another(trace: str, behind: str) -> None:
    lines = tuple(trace.strip("\n").split("\n"))
    found = records("before", *lines, behind)
    assert [each.lines for each in found] == [("before",), lines, (behind,)] or (
        # what is printed right behind another line without a stamp may belong to it
        found[0].lines == ("before", *lines) and found[1].lines == (behind,)
    )


def test_plain_lines_are_not_joined() -> None:
    assert len(records("one", "two", "", "2026-01-05 three", "    indented")) == 4


def test_a_key_that_breaks_off_does_not_swallow_the_log() -> None:
    found = records("-----BEGIN PRIVATE KEY-----", "MIIE", "hello there", "again")
    assert [len(each.lines) for each in found] == [2, 1, 1]


def test_streams_are_joined_apart() -> None:
    joiner = Joiner()
    assert joiner.feed([Line(None, "stderr", "TypeError: x")]) == []
    assert joiner.feed([Line(None, "stdout", "served")]) == []
    assert joiner.feed([Line(None, "stderr", "    at cart.js:1")]) == []
    assert joiner.flush() == (
        Record(None, "stderr", ("TypeError: x", "    at cart.js:1")),
        Record(None, "stdout", ("served",)),
    )
    assert joiner.flush() == ()


def test_an_endless_trace_is_bounded_and_keeps_its_causes() -> None:
    frames = [f"\tat Cart.load(Cart.java:{i})" for i in range(5000)]
    (record,) = records("boom", *frames, "Caused by: java.io.IOException: disk", *frames)
    assert len(record.lines) == LINES_MAX + 1
    assert record.lines[-1] == "Caused by: java.io.IOException: disk"
    assert record.dropped == 10_000 + 2 - len(record.lines)
    (record,) = records("boom", *["Caused by: x"] * 1000)
    assert len(record.lines) == 2 * LINES_MAX


def test_long_lines_in_a_trace_are_bounded_too() -> None:
    (record,) = records("boom", *["\t" + "x" * 16_000] * 50)
    assert sum(map(len, record.lines)) <= CHARACTERS_MAX
    assert record.dropped > 40


@given(st.lists(st.sampled_from([*"".join(TRACES.values()).split("\n"), "plain", "{}", "\t"])))
def test_no_line_is_lost_or_changed(texts: list[str]) -> None:
    found = records(*texts)
    assert [line for each in found for line in each.lines] == texts[
        : sum(len(e.lines) for e in found)
    ]
    assert sum(len(each.lines) + each.dropped for each in found) == len(texts)
