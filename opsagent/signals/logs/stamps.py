"""The time stamp at the head of a line, in the forms that programs print.

A stamp without a zone is taken for UTC, as containers run in it; one without a year for that of ``near``, or the
year beside it if that is closer. A head that is no stamp gives None, never an error.
"""

import datetime as dt
import re

_MONTH_NAMES = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec"
MONTHS = {name: number for number, name in enumerate(_MONTH_NAMES.split(), 1)}
_HALF_A_YEAR = dt.timedelta(days=183)

_CLOCK = r"(?P<clock>\d\d:\d\d:\d\d)(?:[.,](?P<fraction>\d{1,9}))?"
_ZONE = r" ?(?P<zone>Z|UTC|GMT|[+-]\d\d:?\d\d)?"
_ISO = re.compile(rf"\[?(?P<date>\d{{4}}[-/]\d\d[-/]\d\d)[T ]{_CLOCK}{_ZONE}")
_KLOG = re.compile(rf"(?P<month_number>\d\d)(?P<day>\d\d) {_CLOCK}(?P<zone>)")  # behind its letter
SYSLOG = re.compile(
    rf"(?:<\d{{1,3}}>)?(?P<month>[A-Z][a-z]{{2}}) (?P<day>[ \d]\d) {_CLOCK}(?P<zone>)"
)
DAY_FIRST = re.compile(  # of Redis, and of an access log behind client and user
    r"(?:\d{1,7}:[A-Z] |\S{1,64} \S{1,64} \S{1,64} \[)?"
    rf"(?P<day>\d\d)[ /](?P<month>[A-Z][a-z]{{2}})[ /](?P<year>\d{{4}})[: ]{_CLOCK}{_ZONE}"
)


def leading_stamp(text: str) -> re.Match[str] | None:
    """Return the stamp that ``text`` begins with, for ``instant``; None if there is none."""
    if text[:1] in "<ABCDEFGHIJKLMNOPQRSTUVWXYZ":
        return SYSLOG.match(text)
    return _ISO.match(text) or _KLOG.match(text) or DAY_FIRST.match(text)


def instant(stamp: re.Match[str], near: dt.datetime) -> dt.datetime | None:
    """Return the instant that a stamp means, None if there is no such day."""
    try:
        return _instant(stamp.groupdict(""), near)
    except ValueError:
        return None


def _instant(parts: dict[str, str], near: dt.datetime) -> dt.datetime:
    date = parts.get("date", "").replace("/", "-") or _date(parts, near)
    zone = parts["zone"] if parts["zone"][:1] in ("+", "-") else "+00:00"
    fraction = (parts["fraction"] or "0")[:6].ljust(6, "0")
    return dt.datetime.fromisoformat(f"{date}T{parts['clock']}.{fraction}{zone}")


def _date(parts: dict[str, str], near: dt.datetime) -> str:
    month = int(parts.get("month_number") or MONTHS.get(parts.get("month", ""), 0))
    day = int(parts["day"])
    if parts.get("year"):
        return f"{parts['year']}-{month:02d}-{day:02d}"
    guess = dt.date(near.year, month, min(day, 28))  # a day that every year has, to measure by
    apart = guess - near.date()
    year = near.year - (apart > _HALF_A_YEAR) + (apart < -_HALF_A_YEAR)
    return f"{year}-{month:02d}-{day:02d}"


def number_stamp(value: float) -> dt.datetime | None:
    """Return the instant of a Unix time in s, ms, us or ns, told apart by size; None if it is none of them."""
    for unit in (1, 1e3, 1e6, 1e9):
        if 1e8 <= value / unit < 1e10:  # 1973 to 2286  # noqa: PLR2004 - the comment says which years
            return dt.datetime.fromtimestamp(value / unit, dt.UTC)
    return None
