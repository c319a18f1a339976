"""One record's text -> its format, stamp, severity and message. The message is what gets a template.

Formats: JSON, logfmt, klog, else plain text with a head of stamp, level, thread and logger as far as one is
recognised. Of a structured line without a message, the sorted ``key=value`` pairs are the message. Nothing
here fails: what cannot be read as it seems is read as plain text.

Only the first ``HEAD`` characters are searched for a head, so a line costs the same however long. It does not redact:
what it returns is for ``scrubbing``, not for keeping.
"""

import datetime as dt
import json
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

import msgspec

from opsagent.model.log import LogSeverity
from opsagent.signals.logs.stamps import DAY_FIRST, SYSLOG, instant, leading_stamp, number_stamp

HEAD = 160
_LEVEL_WITHIN = 64  # characters behind the stamp: a thread and a logger may stand before it


class Format(StrEnum):
    """How a line is built."""

    JSON = "json"
    LOGFMT = "logfmt"
    KLOG = "klog"
    PLAIN = "plain"


class Reading(NamedTuple):
    """What one line says. ``stamp`` is the program's own as it stands there, None if it printed none.

    A field's text is looked at when somebody asks for the instant: mostly the runtime's stamp goes before.
    ``is_by_number``: severity or message would not be the same with other digits in their places, those of a number
    that is named ``"level"`` aside.
    """

    format: Format
    severity: LogSeverity
    message: str
    stamp: re.Match[str] | str | float | None
    is_by_number: bool = False

    def at(self, near: dt.datetime) -> dt.datetime | None:
        """Return the instant that the stamp means; one without a year is of that of ``near``."""
        stamp = leading_stamp(self.stamp) if isinstance(self.stamp, str) else self.stamp
        match stamp:
            case None:
                return None
            case re.Match():
                return instant(stamp, near)
            case _:
                return number_stamp(stamp)


_NAMES = {
    LogSeverity.TRACE: "trace finest finer trc verbose",
    LogSeverity.DEBUG: "debug fine dbg debg d",
    LogSeverity.INFO: "info information informational inf notice note log system i statement detail hint",
    LogSeverity.WARN: "warn warning wrn w",
    LogSeverity.ERROR: "error err eror severe e",
    LogSeverity.FATAL: "fatal critical crit panic alert emerg emergency dpanic ftl f fault",
}
_SEVERITIES = {name: severity for severity, names in _NAMES.items() for name in names.split()}
# A word in capitals, or one in brackets; whether it names a level is looked up. One class of letters begins it, since
# such a pattern is looked for quickly; what stands before the letter is asked behind it.
_LEVEL = re.compile(
    r"[A-Z\[<(](?:(?<![\w.=].)(?<=[A-Z])[A-Z]{2}[A-Za-z]*(?=[\s:|/\],-]|$)|(?<![A-Z])\s?[A-Za-z]{3,}\s?[\])>])"
)
_BRACKETS = "[]<>()"
# What stands between level and message: a Celery process, punctuation, Spring's process, thread and logger.
_BEHIND_LEVEL = re.compile(
    r"(?:/[\w-]{1,64}\])?[\s\]):>|,-]*(?:\d{1,7} --- (?:\[[^\]]{0,64}\] ){1,2}\S{1,128} *: )?"
)
_SAYS = re.compile(
    r"(?i)(error|fatal|panic|warn(?:ing)?)\b|(traceback \(most|exception in |unhandled exception)|[\w.$]{1,128}(exception|error)(?::|$)"
)
_KLOG_LETTERS = frozenset("IWEFD")
_KLOG = re.compile(r"([IWEFD])(?=\d{4} \d\d:\d\d:\d\d)")
_KLOG_HEAD = re.compile(r"\s+\d+ [\w./-]{1,128}:\d+\] ")
_KLOG_QUOTED = re.compile(r"\"((?:[^\"\\]++|\\.)*+)\"")
_UPTIME = re.compile(r"\[ *\d+\.\d{6}\] ")
_SYSLOG_PROGRAM = re.compile(r" [\w.-]{1,64}(?: [\w./-]{1,48})?(?:\[\d{1,7}\])?: ")
_PAIR = re.compile(r"([A-Za-z_@][\w.@/-]{0,63})=(?:\"((?:[^\"\\]++|\\.)*+)\"|(\S*))")
_REDIS = re.compile(r"\d{1,7}:[A-Z] .{20,32}? (?P<mark>[.*#-]) ")
_REDIS_MARKS = {
    ".": LogSeverity.DEBUG,
    "-": LogSeverity.DEBUG,
    "*": LogSeverity.INFO,
    "#": LogSeverity.WARN,
}
_DIGIT = re.compile(r"\d")
_ANSI = re.compile(r"\x1b\[[0-9;]{0,16}[A-Za-z]")

_JSON = msgspec.json.Decoder()
_MESSAGE_KEYS = (
    "msg",
    "message",
    "@message",
    "@m",
    "event",
    "log",
    "short_message",
    "body",
    "textpayload",
)
_LEVEL_KEYS = (
    "level",
    "severity",
    "lvl",
    "loglevel",
    "log.level",
    "levelname",
    "@l",
    "@level",
    "severity_text",
)
_STAMP_KEYS = ("ts", "time", "timestamp", "@timestamp", "@t", "t", "datetime", "asctime", "date")
_NUMERIC_LEVELS = ((60, LogSeverity.FATAL), (50, LogSeverity.ERROR), (40, LogSeverity.WARN), (30, LogSeverity.INFO), (20, LogSeverity.DEBUG))  # fmt: skip


def read(text: str) -> Reading:
    """Read the first line of a record."""
    if "\x1b" in text:
        text = _ANSI.sub("", text)
    first = text[:1]
    if first == "{":
        return _json(text) or _plain(text)._replace(is_by_number=True)  # 10 is JSON, 01 is not
    if first in _KLOG_LETTERS and (letter := _KLOG.match(text)) is not None:
        return _klog(letter[1], text[1:])
    if ("msg=" in text or "level=" in text) and _PAIR.match(text):
        return _logfmt(text)
    return _plain(text)


def severity_of(name: str) -> LogSeverity:
    """Return the severity that a level's name stands for, in any case."""
    return _SEVERITIES.get(name.lower().strip(), LogSeverity.UNKNOWN)


def _json(text: str) -> Reading | None:
    try:
        parsed = _decoded(text)
    except (ValueError, RecursionError):
        return None
    assert isinstance(parsed, dict)  # nothing else begins with a brace
    fields: dict[str, object] = parsed
    names = "".join(fields)
    if names != names.lower():
        fields = {name.lower(): value for name, value in fields.items()}
    is_by_number = "\\u" in text or (
        isinstance(_first(fields, _LEVEL_KEYS), int)
        and ("level" not in parsed or len(fields) < len(parsed))
    )
    reading = _structured(Format.JSON, fields)
    return reading._replace(is_by_number=True) if is_by_number else reading


def _decoded(text: str) -> object:
    """Return what a JSON text means. ``json`` takes more texts, among them lone surrogates and NaN, and more time."""
    try:
        return _JSON.decode(text)
    except (ValueError, RecursionError):
        return json.loads(text)


def _logfmt(text: str) -> Reading:
    fields: dict[str, object] = {}
    for name, quoted, bare in _PAIR.findall(text):
        fields[name.lower()] = bare or quoted
    reading = _structured(Format.LOGFMT, fields)
    return reading._replace(message=_unescaped(reading.message)) if "\\" in text else reading


def _unescaped(text: str) -> str:
    """Return a quoted text with its quotation marks as they were; other escapes do no harm."""
    return text.replace('\\"', '"')


def _structured(form: Format, fields: Mapping[str, object]) -> Reading:
    message, level = _first(fields, _MESSAGE_KEYS), _first(fields, _LEVEL_KEYS)
    is_by_number = False
    if not isinstance(message, str):
        message = _pairs(fields)
        is_by_number = not all(map(_is_ordinary, fields.items()))
    severity, stamp = _structured_severity(level), _structured_stamp(_first(fields, _STAMP_KEYS))
    return Reading(form, severity, message, stamp, is_by_number)


def _is_ordinary(field: tuple[str, object]) -> bool:
    """Tell whether a pair looks the same, but for its digits, whatever they are: numbers in names tell their order."""
    name, value = field
    is_name = name.isascii() and name[-1:].isalpha() and not _DIGIT.search(name)
    return is_name and not isinstance(value, float)  # 1e5 is 100000.0


def _first(fields: Mapping[str, object], keys: tuple[str, ...]) -> object:
    for key in keys:
        if key in fields:
            return fields[key]
    return None


def _structured_severity(level: object) -> LogSeverity:
    if isinstance(level, str):
        return severity_of(level)
    if isinstance(level, int):
        return next(
            (each for least, each in _NUMERIC_LEVELS if level >= least), LogSeverity.UNKNOWN
        )
    return LogSeverity.UNKNOWN


def _structured_stamp(stamp: object) -> str | float | None:
    return stamp if isinstance(stamp, str | int | float) else None


def _pairs(fields: Mapping[str, object]) -> str:
    return " ".join(
        f"{key}={'{}' if isinstance(value, dict | list) else value}"
        for key, value in sorted(fields.items())
        if key not in _STAMP_KEYS and key not in _LEVEL_KEYS
    )


def _klog(letter: str, text: str) -> Reading:
    stamp = leading_stamp(text)
    end = stamp.end() if stamp else 0
    head = _KLOG_HEAD.match(text, end)
    message = text[head.end() if head else end :].lstrip()
    if quoted := _KLOG_QUOTED.match(message):  # the message; what follows are its values
        message = _unescaped(quoted[1]) + message[quoted.end() :]
    return Reading(Format.KLOG, _SEVERITIES[letter.lower()], message, stamp)


def _plain(text: str) -> Reading:
    head = text[:HEAD]
    stamp = leading_stamp(head)
    if stamp is None:
        uptime = _UPTIME.match(head)
        begins = uptime.end() if uptime else 0
    elif stamp.re is DAY_FIRST and (redis := _REDIS.match(head)):
        return Reading(Format.PLAIN, _REDIS_MARKS[redis["mark"]], text[redis.end() :], stamp)
    else:
        begins = stamp.end()
        if stamp.re is SYSLOG and (program := _SYSLOG_PROGRAM.match(head, begins)):
            begins = program.end()
    level, severity = _level(head, begins)
    if level is None:
        message = text[begins:].lstrip(" ]")
        return Reading(Format.PLAIN, _said_severity(message), message, stamp)
    behind = _BEHIND_LEVEL.match(text, level.end())
    message = text[behind.end() if behind else level.end() :]
    return Reading(Format.PLAIN, severity, message, stamp)


def _level(head: str, begins: int) -> tuple[re.Match[str] | None, LogSeverity]:
    """Return where the level stands, None if nowhere, and which one it is."""
    within = begins + _LEVEL_WITHIN
    found = _LEVEL.search(head, begins, within)
    while found is not None:
        severity = _SEVERITIES.get(found[0].strip(_BRACKETS).strip().lower())
        if severity is not None:
            return found, severity
        found = _LEVEL.search(head, found.end(), within)
    return None, LogSeverity.UNKNOWN


def _said_severity(message: str) -> LogSeverity:
    """Judge a line without a level by how it begins."""
    said = _SAYS.match(message[:HEAD])
    if said is None:
        return LogSeverity.UNKNOWN
    return severity_of(said[1]) if said[1] else LogSeverity.ERROR
