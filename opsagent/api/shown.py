"""What the pages say about the daemon's state: from values to words. Pure; the templates only place them.

The first sentence answers "is something wrong?". What limits the answer stands right below it: a page that
says "nothing is wrong" without saying how well it sees would be worth nothing.
"""

import datetime as dt
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from opsagent.api.views import Tree
from opsagent.incidents.words import count, span
from opsagent.model.alert import Severity
from opsagent.model.canonical import JsonValue, plain
from opsagent.model.incident import EntryKind, Incident, IncidentState, TimelineEntry
from opsagent.model.printable import printable
from opsagent.model.signal import RawRow

LAG_SECONDS_MAX = 180.0  # bookmarks come each minute, so three were missed
OVER = frozenset({IncidentState.RESOLVED, IncidentState.CLOSED})

_PHASES = {
    EntryKind.DETECTED: "Notice",
    EntryKind.OPENED: "Notice",
    EntryKind.JOINED: "Notice",
    EntryKind.REOPENED: "Notice",
    EntryKind.CAUSE: "Explain",
    EntryKind.PLAN: "Decide",
    EntryKind.NO_PLAN: "Decide",
    EntryKind.APPROVED: "Decide",
    EntryKind.DENIED: "Decide",
    EntryKind.EXPIRED: "Decide",
    EntryKind.REFUSED: "Decide",
    EntryKind.EXECUTED: "Act",
    EntryKind.ROLLED_BACK: "Act",
}
_AFTERWARDS = "Check"  # cleared, verified, resolved, or a person has to look

_ESCAPED = {"&": 5, "<": 4, ">": 4, '"': 5, "'": 5}  # bytes that HTML spends on them
_POINTERS = (
    (re.compile(r"raw:([0-9]{1,18})"), "/rows/{}"),
    (re.compile(r"(pln_[0-9a-f]{16})"), "/approvals/{}"),
    (re.compile(r"(inc_[0-9A-Z]{26})"), "/incidents/{}"),
    (re.compile(r"(inv_[0-9a-f]{16})"), "/investigations/{}"),
)


@dataclass(frozen=True, slots=True)
class Source:
    """How well one kind of object is seen; ``trouble`` is empty if it is seen well."""

    kind: str
    objects: str
    lag: dt.timedelta | None
    trouble: str

    @property
    def heard(self) -> str:
        """How long ago the server last told anything."""
        return "never" if self.lag is None else f"{span(self.lag)} ago"


@dataclass(frozen=True, slots=True)
class Overview:
    """The daemon in words: is something wrong, and how well would it be seen.

    ``limits`` are what makes the sentence less than certain; ``facts`` are name and value.
    """

    sentence: str
    sight: str
    limits: tuple[str, ...]
    sources: tuple[Source, ...]
    facts: tuple[tuple[str, str], ...]


def overview(
    status: Tree, incidents: Sequence[Incident], approvals_waiting: int, overdue: Sequence[str]
) -> Overview:
    """Return what to say first.

    Args:
        status: as ``DeskView.status`` gives it.
        incidents: the open ones.
        approvals_waiting: plans that wait for a person.
        overdue: tasks whose heartbeat is overdue.
    """
    sources = tuple(_sources(status))
    limits = (
        *overdue,
        *_limits(status),
        *(f"{each.kind}: {each.trouble}" for each in sources if each.trouble),
    )
    return Overview(
        sentence=_sentence(incidents, approvals_waiting, has_limits=bool(limits)),
        sight=_sight(sources),
        limits=limits,
        sources=sources,
        facts=tuple(_facts(status)),
    )


def is_open(incident: Incident) -> bool:
    """Return whether somebody may still have to do something about it."""
    return incident.state not in OVER


def _sentence(incidents: Sequence[Incident], approvals_waiting: int, *, has_limits: bool) -> str:
    critical = sum(each.severity is Severity.CRITICAL for each in incidents)
    waiting = f" {_plans(approvals_waiting)} for a decision." if approvals_waiting else ""
    match len(incidents):
        case 0 if has_limits:
            return f"No incident is open, but what I see is limited.{waiting}"
        case 0:
            return f"Nothing is wrong.{waiting}"
        case 1:
            return f"1 incident is open{', and it is critical' if critical else ''}.{waiting}"
        case number:
            how_bad = f", {critical} of them critical" if critical else ""
            return f"{number} incidents are open{how_bad}.{waiting}"


def _sight(sources: Sequence[Source]) -> str:
    lags = [each.lag for each in sources if each.lag is not None]
    if not lags:
        return "Nothing is watched yet."
    kinds = count(len(sources), "kind")
    return (
        f"{kinds} of objects are watched; the last news of each is at most {span(max(lags))} old."
    )


def _plans(number: int) -> str:
    return "1 plan waits" if number == 1 else f"{number} plans wait"


def _limits(status: Tree) -> Iterator[str]:
    if not status.get("is_leader", True):
        yield "another replica leads: this one only stands by"
    unready = status.get("unready")
    yield from (str(each) for each in unready) if isinstance(unready, list | tuple) else ()
    for name, restarts in _mapping(status.get("restarts")).items():
        each = _mapping(restarts)
        yield f"{name} was started anew {each.get('restarts')} times; last: {each.get('last_error')}"


def _sources(status: Tree) -> Iterator[Source]:
    for kind, value in _mapping(status.get("sources")).items():
        source = _mapping(value)
        lag, error = source.get("lag_seconds"), source.get("last_error")
        seconds = float(lag) if isinstance(lag, int | float) else None
        trouble = ""
        if error:
            trouble = f"cannot be read: {error}"
        elif not source.get("is_synced", False):
            trouble = "not listed whole yet"
        elif seconds is None or seconds > LAG_SECONDS_MAX:
            trouble = "nothing was heard for too long"
        silence = None if seconds is None else dt.timedelta(seconds=seconds)
        yield Source(kind, str(source.get("objects", "")), silence, trouble)


def _facts(status: Tree) -> Iterator[tuple[str, str]]:
    for key, value in status.items():
        if isinstance(value, bool):
            yield key.replace("_", " "), "yes" if value else "no"
        elif isinstance(value, str | int | float):
            yield key.replace("_", " "), str(value)
        elif key in ("stored", "topology", "counters"):
            parts = (f"{name} {number}" for name, number in _mapping(value).items())
            yield key, ", ".join(parts)


def _mapping(value: JsonValue) -> Tree:
    return value if isinstance(value, Mapping) else {}


def phases(timeline: Sequence[TimelineEntry]) -> list[tuple[str, list[TimelineEntry]]]:
    """Return the entries in their order, neighbours of one phase together."""
    return [
        (phase, list(entries))
        for phase, entries in groupby(timeline, lambda each: _PHASES.get(each.kind, _AFTERWARDS))
    ]


def relative(at: dt.datetime, now: dt.datetime) -> str:
    """Return ``12 min ago``, ``in 12 min`` or ``now``."""
    if abs(now - at) < dt.timedelta(seconds=1):
        return "now"
    return f"{span(now - at)} ago" if at <= now else f"in {span(at - now)}"


def utc(at: dt.datetime) -> str:
    """Return ``2026-01-05 12:00:00 UTC``."""
    return at.astimezone(dt.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def href(pointer: str) -> str:
    """Return where a pointer is opened, '' if it is none that can be."""
    for pattern, path in _POINTERS:
        if match := pattern.fullmatch(pointer):
            return path.format(match[1])
    return ""


def shortened(text: str, bytes_max: int) -> str:
    """Return ``text`` made harmless, cut with an ellipsis where it would cost more than ``bytes_max`` in HTML."""
    whole, cost = str(harmless(text)), 0
    for index, letter in enumerate(whole):
        cost += _ESCAPED.get(letter) or len(letter.encode())
        if cost > bytes_max:
            return f"{whole[:index]}…"
    return whole


def row_text(row: RawRow) -> str:
    """Return a raw row as indented JSON; what cannot be printed is escaped as JSON does it, so nothing is lost."""
    text = json.dumps(plain(row), ensure_ascii=False, indent=2)
    return "".join(
        letter if letter.isprintable() or letter == "\n" else json.dumps(letter)[1:-1]
        for letter in text
    )


def harmless(value: object) -> object:
    """Return what a template may print: a text without anything that cannot be seen. For every expression."""
    return printable(value, kept="\n\t") if type(value) is str else value
