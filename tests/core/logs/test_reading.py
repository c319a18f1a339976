"""What a line says of itself: its format, how bad it is, when it was printed, and the message."""

import datetime as dt

import pytest
from hypothesis import given, strategies as st

from opsagent.model.log import LogSeverity
from opsagent.signals.logs.reading import Format, read
from tests.corpus.dialects import DIALECTS
from tests.corpus.generate import lines

NEAR = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)
AT = dt.datetime(2026, 1, 5, 10, 11, 12, tzinfo=dt.UTC)
F, S = Format, LogSeverity

LINES = {
    "json": ('{"level":"warn","ts":"2026-01-05T10:11:12Z","msg":"slow disk","took":"1s"}', F.JSON, S.WARN, "slow disk"),
    "json, numbers": ('{"level":50,"time":1767607872000,"msg":"lost"}', F.JSON, S.ERROR, "lost"),
    "json, epoch": ('{"severity":"INFO","ts":1767607872.0,"message":"up"}', F.JSON, S.INFO, "up"),
    "json, no message": ('{"time":"2026-01-05T10:11:12Z","status":200,"path":"/x","ids":[1]}', F.JSON, S.UNKNOWN, "ids={} path=/x status=200"),
    "json, .NET": ('{"Timestamp":"2026-01-05T10:11:12Z","LogLevel":"Critical","Message":"gone"}', F.JSON, S.FATAL, "gone"),
    "logfmt": ('time="2026-01-05T10:11:12Z" level=error msg="no \\"cart\\" here" err=x', F.LOGFMT, S.ERROR, 'no "cart" here'),
    "logfmt, bare": ("ts=2026-01-05T10:11:12Z level=info msg=ready", F.LOGFMT, S.INFO, "ready"),
    "klog": ("E0105 10:11:12.000000       1 reflector.go:138] Failed to watch pods", F.KLOG, S.ERROR, "Failed to watch pods"),
    "klog, structured": ('I0105 10:11:12.000000 1 kubelet.go:1] "Pod is \\"x\\"" pod="a/b"', F.KLOG, S.INFO, 'Pod is "x" pod="a/b"'),
    "log4j": ("2026-01-05 10:11:12,000 WARN  [main] com.example.Cart - slow", F.PLAIN, S.WARN, "[main] com.example.Cart - slow"),
    "spring": ("2026-01-05T10:11:12.000Z  INFO 1 --- [           main] c.e.shop.Cart   : Started", F.PLAIN, S.INFO, "Started"),
    "bracketed": ("[2026-01-05 10:11:12,000] ERROR [Log x] broken", F.PLAIN, S.ERROR, "[Log x] broken"),
    "python": ("2026-01-05 10:11:12,000 - shop - CRITICAL - down", F.PLAIN, S.FATAL, "down"),
    "nginx": ("2026/01/05 10:11:12 [error] 29#29: *1 open() failed", F.PLAIN, S.ERROR, "29#29: *1 open() failed"),
    "access": ('10.0.0.1 - bob [05/Jan/2026:10:11:12 +0000] "GET / HTTP/1.1" 200 5', F.PLAIN, S.UNKNOWN, '"GET / HTTP/1.1" 200 5'),
    "postgres": ("2026-01-05 10:11:12.000 UTC [12] FATAL:  too many clients", F.PLAIN, S.FATAL, "too many clients"),
    "redis": ("1:M 05 Jan 2026 10:11:12.000 # Memory is low", F.PLAIN, S.WARN, "Memory is low"),
    "syslog": ("Jan  5 10:11:12 node-1 sshd[12]: Connection closed", F.PLAIN, S.UNKNOWN, "Connection closed"),
    "kernel": ("[   12.345678] eth0: link up", F.PLAIN, S.UNKNOWN, "eth0: link up"),
    "colours": ("\x1b[33mWARN\x1b[0m slow", F.PLAIN, S.WARN, "slow"),
    "says so": ("Error: no such file", F.PLAIN, S.ERROR, "Error: no such file"),
    "traceback": ("Traceback (most recent call last):", F.PLAIN, S.ERROR, "Traceback (most recent call last):"),
    "exception": ("java.io.IOException: disk", F.PLAIN, S.ERROR, "java.io.IOException: disk"),
    "a word like a level": ("the error rate is 0, info follows", F.PLAIN, S.UNKNOWN, "the error rate is 0, info follows"),
    "broken json": ('{"level":"warn", "msg', F.PLAIN, S.UNKNOWN, '{"level":"warn", "msg'),
    "nothing": ("", F.PLAIN, S.UNKNOWN, ""),
}  # fmt: skip


@pytest.mark.parametrize(("text", "form", "severity", "message"), LINES.values(), ids=LINES.keys())
def test_lines_are_read(text: str, form: Format, severity: LogSeverity, message: str) -> None:
    reading = read(text)
    assert (reading.format, reading.severity, reading.message) == (form, severity, message)
    if "10:11:12" in text or "1767607872" in text:
        assert reading.at(NEAR) == AT
    else:
        assert reading.at(NEAR) is None


@pytest.mark.parametrize(
    ("text", "near", "at"),
    [
        ("Dec 31 23:59:59 h p: x", dt.datetime(2026, 1, 1, tzinfo=dt.UTC), dt.datetime(2025, 12, 31, 23, 59, 59, tzinfo=dt.UTC)),
        ("Jan  1 00:00:01 h p: x", dt.datetime(2025, 12, 31, tzinfo=dt.UTC), dt.datetime(2026, 1, 1, 0, 0, 1, tzinfo=dt.UTC)),
        ("2026-01-05T12:11:12+02:00 x", NEAR, AT),
        ("2026-01-05 10:11:12.123456789 x", NEAR, AT.replace(microsecond=123456)),
        ("2026-02-31 10:11:12 x", NEAR, None),
        ("Foo  1 00:00:01 h p: x", NEAR, None),
    ],
)  # fmt: skip
def test_stamps_mean_instants(text: str, near: dt.datetime, at: dt.datetime | None) -> None:
    assert read(text).at(near) == at


@pytest.mark.parametrize(
    "stamp", [1767607872, 1767607872000, 1767607872000000, 1767607872000000000]
)
def test_a_unix_time_shows_its_unit_by_its_size(stamp: int) -> None:
    assert read(f'{{"ts":{stamp}}}').at(NEAR) == AT


@pytest.mark.parametrize("stamp", ["5", "-1", "1e300", "true", "null", "[]"])
def test_other_numbers_are_no_stamps(stamp: str) -> None:
    assert read(f'{{"ts":{stamp}}}').at(NEAR) is None


@given(st.text() | st.text("{[:\"'=, 0123456789TZ.\\levmsg"))
def test_nothing_is_an_error(text: str) -> None:
    read(text).at(NEAR)


def test_deep_nesting_is_no_error() -> None:
    assert read('{"a":' * 8000).format is Format.PLAIN


STAMPLESS = {"coredns", "cilium", "hdfs", "kernel", "envoy_access"}
LEVELLESS = {"nginx_access", "envoy_access", "haproxy", "kernel", "systemd", "sshd", "mysql"}


@pytest.mark.parametrize("dialect", DIALECTS, ids=[each.name for each in DIALECTS])
def test_the_corpus_is_read_as_it_was_written(dialect) -> None:
    levels = {"D": S.DEBUG, "I": S.INFO, "W": S.WARN, "E": S.ERROR, "F": S.FATAL}
    for line in lines(dialect, count=100):
        reading = read(line.raw)
        if dialect.name not in LEVELLESS and (dialect.name, line.level) != ("redis", "E"):
            assert reading.severity is levels[line.level], line.raw
        at = reading.at(line.at)
        assert (at is None) == (dialect.name in STAMPLESS), line.raw
        assert at is None or abs(at - line.at) < dt.timedelta(seconds=1)
