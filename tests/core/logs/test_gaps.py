"""A gap is told as an entry: how many lines, and that nobody knows."""

import datetime as dt

from opsagent.model.log import LogSeverity
from opsagent.signals.logs.gaps import missing, skipped

AT = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)


def test_what_was_skipped_is_told_with_its_number() -> None:
    few, many = skipped(3, 99, AT), skipped(10**9, 10**11, AT)
    assert few.text.startswith("(3 lines, 99 bytes were not read")
    assert (few.dropped_lines, many.dropped_lines) == (3, 10**9)
    assert few.template_id == many.template_id
    assert (few.at, few.severity, few.is_new) == (AT, LogSeverity.WARN, False)


def test_what_is_missing_has_no_number() -> None:
    entry = missing(AT)
    assert entry.text.startswith("(lines may be missing here")
    assert entry.dropped_lines == 0
    assert entry.template_id != skipped(1, 1, AT).template_id
