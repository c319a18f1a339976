"""Questions to archives: typed fields that become a query, and nothing else does.

Theory of operation. Nobody outside hands in a query. Names in a search must be names that Kubernetes gives, and
every value goes through ``literal``, which writes a string of Go's: LogQL, LogsQL and TraceQL all take those, and
in its pure ASCII there is no character that could end it early.

A workload's pods are found by their names, since an archive knows pods that the cluster has forgotten.
"""

import datetime as dt
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from opsagent.model.archive import LogSearch
from opsagent.model.entity import Kind
from opsagent.ports import Terminal

LINES_MAX = 1000
SPAN_MAX = dt.timedelta(days=30)  # Source: Loki's own limit, max_query_length
WORDS_MAX = 8
WORD_CHARACTERS_MAX = 100
NAME_CHARACTERS_MAX = 253  # Source: DNS subdomain, RFC 1123, as Kubernetes names are
EPOCH = dt.datetime.fromtimestamp(0, dt.UTC)

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?")
_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TENANT = re.compile(r"([0-9]{1,10}):([0-9]{1,10})")

# Source: Kubernetes, apimachinery util/rand (the letters) and the controllers (what they join to a name).
_LETTER = "[bcdfghjklmnpqrstvwxz2456789]"
_END = f"-{_LETTER}{{5}}"
_POD_ENDS = {
    Kind.DEPLOYMENT: f"-{_LETTER}{{1,10}}{_END}",
    Kind.REPLICA_SET: _END,
    Kind.DAEMON_SET: _END,
    Kind.STATEFUL_SET: "-[0-9]{1,10}",
    Kind.JOB: f"(?:-[0-9]{{1,10}})?{_END}",
    Kind.CRON_JOB: f"-[0-9]{{1,12}}(?:-[0-9]{{1,10}})?{_END}",
}
_STEM_CHARACTERS_MAX = 46  # a longer name is cut before a pod's name is made of it


class LogArchiveKind(StrEnum):
    """Whose API an archive of logs speaks."""

    LOKI = "loki"
    VICTORIALOGS = "victorialogs"


@dataclass(frozen=True, slots=True)
class Address:
    """Where an archive is and how one is let in. ``tenant`` empty: the archive has one for all."""

    url: str
    tenant: str = ""
    token_file: Path | None = None
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True)
class LogFields:
    """Under which names the collector stores whose line it is."""

    namespace: str
    pod: str
    container: str


@dataclass(frozen=True, slots=True)
class Match:
    """A field that must be ``text``, or match all of it, if that ``is_pattern`` (RE2)."""

    field: str
    text: str
    is_pattern: bool = False


# Source: what the collectors name them: Grafana Alloy and promtail; docs.victoriametrics.com/victorialogs/vlagent.
USUAL_FIELDS = {
    LogArchiveKind.LOKI: LogFields("namespace", "pod", "container"),
    LogArchiveKind.VICTORIALOGS: LogFields(
        "kubernetes.pod_namespace", "kubernetes.pod_name", "kubernetes.container_name"
    ),
}


def check_labels(fields: LogFields) -> None:
    """Refuse names that no label of Loki has.

    Raises:
        Terminal: one is such a name.
    """
    for name in (fields.namespace, fields.pod, fields.container):
        if not _LABEL.fullmatch(name):
            raise Terminal(f"{name!r} is no name of a label in Loki")


def account_and_project(tenant: str) -> tuple[str, str]:
    """Return the two numbers of a tenant of VictoriaLogs.

    Raises:
        Terminal: it is none.
    """
    found = _TENANT.fullmatch(tenant)
    if found is None:
        raise Terminal("a tenant of VictoriaLogs is account:project, two numbers")
    return found[1], found[2]


def literal(text: str) -> str:
    """Return ``text`` as a string literal of LogQL, LogsQL and TraceQL.

    Raises:
        Terminal: half of a surrogate pair is in it, which is no text.
    """
    return f'"{"".join(map(_escaped, text))}"'


def _escaped(letter: str) -> str:
    code = ord(letter)
    if letter in '"\\':
        return f"\\{letter}"
    if 0x20 <= code < 0x7F:  # noqa: PLR2004 - ASCII
        return letter
    if 0xD800 <= code < 0xE000:  # noqa: PLR2004 - Unicode's surrogates
        raise Terminal("half of a surrogate pair is no text")
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"  # noqa: PLR2004 - four digits


def matches(search: LogSearch, fields: LogFields) -> tuple[Match, ...]:
    """Return whose lines are meant, once the search has been found to make sense.

    Raises:
        Terminal: it makes none.
    """
    _check_bounds(search)
    of = search.of
    if of.kind is Kind.NAMESPACE:
        found = [Match(fields.namespace, _name("namespace", of.name))]
    else:
        found = [Match(fields.namespace, _name("namespace", of.namespace)), _pods(search, fields)]
    if search.container:
        found.append(Match(fields.container, _name("container", search.container)))
    return tuple(found)


def _pods(search: LogSearch, fields: LogFields) -> Match:
    of = search.of
    name = _name("name", of.name)
    if of.kind is Kind.POD:
        return Match(fields.pod, name)
    end = _POD_ENDS.get(of.kind)
    if end is None:
        raise Terminal(f"a {of.kind.value} has no pods of its own")
    if len(name) > _STEM_CHARACTERS_MAX:
        name, end = name[:_STEM_CHARACTERS_MAX], "[a-z0-9.-]*"
    return Match(fields.pod, f"^{name.replace('.', '[.]')}{end}$", is_pattern=True)


def _check_bounds(search: LogSearch) -> None:
    check_span(search.start, search.end, SPAN_MAX)
    if not 1 <= search.lines_max <= LINES_MAX:
        raise Terminal(f"lines_max: give 1 to {LINES_MAX}, not {search.lines_max}")
    lengths = [len(word) for word in search.words]
    if len(lengths) > WORDS_MAX or not all(1 <= each <= WORD_CHARACTERS_MAX for each in lengths):
        raise Terminal(
            f"words: give up to {WORDS_MAX}, each of 1 to {WORD_CHARACTERS_MAX} characters"
        )


def check_span(start: dt.datetime, end: dt.datetime, longest: dt.timedelta) -> None:
    """Refuse a span that is empty or too long.

    Raises:
        Terminal: it is.
    """
    if not dt.timedelta(0) < end - start <= longest:
        raise Terminal(
            f"a span from {start} to {end}: give more than nothing, up to {longest.days} days"
        )


def _name(what: str, name: str) -> str:
    if len(name) > NAME_CHARACTERS_MAX or not _NAME.fullmatch(name):
        raise Terminal(f"{what}: not a Kubernetes name: {name[:NAME_CHARACTERS_MAX]!r}")
    return name


def nanoseconds(at: dt.datetime) -> str:
    """Return the instant as Unix nanoseconds, exact to the microsecond."""
    return str((at - EPOCH) // dt.timedelta(microseconds=1) * 1000)
