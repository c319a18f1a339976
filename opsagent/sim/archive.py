"""What the simulated archives have in common: a shelf of lines, and strings as Go writes them in a query.

Sans-IO. It is as wide as the product's own questions are, and reads them by itself: what a client quotes
wrongly is refused here, or finds something else, as it would elsewhere. Source: go.dev/ref/spec, "String literals".
"""

import datetime as dt
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from opsagent.ports import KubeAnswer

EPOCH = dt.datetime.fromtimestamp(0, dt.UTC)
STRING = r'"(?:[^"\\\n]|\\.)*"'
_ESCAPE = re.compile(
    r'\\(?:(?P<one>[abfnrtv\\"])|x(?P<x>[0-9a-fA-F]{2})|u(?P<u>[0-9a-fA-F]{4})|U(?P<U>[0-9a-fA-F]{8})|(?P<bad>.))'
)
_ONES = dict(zip('abfnrtv\\"', '\a\b\f\n\r\t\v\\"', strict=True))


class ArchiveFace(Protocol):
    """An archive without its socket. Header names are lower-case."""

    def handle(
        self, path: str, parameters: Mapping[str, str], headers: Mapping[str, str]
    ) -> KubeAnswer:
        """Answer one GET."""
        ...


@dataclass(frozen=True, slots=True)
class ShelvedLine:
    """One line with the fields that a collector gave it; ``at`` in Unix nanoseconds."""

    at: int
    text: str
    fields: Mapping[str, str]
    tenant: str


class LogShelf:
    """Lines in the order in which they came."""

    def __init__(self) -> None:
        self._lines: list[ShelvedLine] = []

    def put(self, at: dt.datetime, text: str, fields: Mapping[str, str], tenant: str = "") -> None:
        """Take one line in."""
        self._lines.append(ShelvedLine(unix_nanoseconds(at), text, fields, tenant))

    def newest(
        self, parameters: Mapping[str, str], tenant: str, fits: Callable[[ShelvedLine], bool]
    ) -> list[ShelvedLine]:
        """Return at most ``limit`` lines from ``start`` on and before ``end``, the newest first.

        Raises:
            ValueError: one of the three is no number.
        """
        start, end, limit = (int(parameters[name]) for name in ("start", "end", "limit"))
        found = [
            each
            for each in self._lines
            if each.tenant == tenant and start <= each.at < end and fits(each)
        ]
        found.sort(key=lambda each: each.at)
        return found[::-1][:limit]


def unix_nanoseconds(at: dt.datetime) -> int:
    """Return the instant in Unix nanoseconds."""
    return (at - EPOCH) // dt.timedelta(microseconds=1) * 1000


def unquoted(token: str) -> str:
    """Return what a string of Go's in double quotes means.

    Raises:
        ValueError: it has an escape that Go does not know.
    """
    return _ESCAPE.sub(_meant, token[1:-1])


def strings(text: str) -> list[str]:
    """Return what the strings in a part of a query mean.

    Raises:
        ValueError: see :func:`unquoted`.
    """
    return [unquoted(found) for found in re.findall(STRING, text)]


def _meant(found: re.Match[str]) -> str:
    if found["one"]:
        return _ONES[found["one"]]
    if found["bad"]:
        raise ValueError("unknown escape sequence")
    code = int(found["x"] or found["u"] or found["U"], 16)
    if 0xD800 <= code < 0xE000 or code > 0x10FFFF:  # noqa: PLR2004 - Unicode's surrogates and end
        raise ValueError("escape is invalid Unicode code point")
    return chr(code)
