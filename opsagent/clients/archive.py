"""What the clients of archives share: the making of queries, the bounds, the judging of answers.

Theory of operation. Nobody outside hands in a query. A search is typed fields; names in it must be names
that Kubernetes gives, and every value goes through ``literal``, which writes a string of Go's: LogQL,
LogsQL and TraceQL all take those, and in its pure ASCII there is no character that could end it early.

An answer is somebody's text. Its status is judged first, its body is read up to a limit, its rows are
decoded one by one: a row in no known form is counted and costs only itself. What is given back is
redacted, cut, and marked if anything may be missing.

A workload's pods are found by their names, since an archive knows pods that the cluster has forgotten.
"""

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlencode

import msgspec

from opsagent.clients.rest import BODY_BYTES_MAX, RestReader
from opsagent.model.archive import ArchivedLine, LogAnswer, LogSearch
from opsagent.model.entity import Kind
from opsagent.model.printable import printable
from opsagent.ports import NotFound, Terminal, Transient
from opsagent.signals.redaction import redact_text

LINES_MAX = 1000
TEXT_BYTES_MAX = 256 * 2**10  # of all lines of an answer, as of a pod's log
SPAN_MAX = dt.timedelta(days=30)  # Source: Loki's own limit, max_query_length
WORDS_MAX = 8
WORD_CHARACTERS_MAX = 100
NAME_CHARACTERS_MAX = 253  # Source: DNS subdomain, RFC 1123, as Kubernetes names are
WARNINGS_MAX = 10
WARNING_CHARACTERS_MAX = 300
EPOCH = dt.datetime.fromtimestamp(0, dt.UTC)
CUT = f"the answer was longer than {BODY_BYTES_MAX} bytes"

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?")
_RETRIED = frozenset({408, 425, 429})
_SERVER_ERROR = range(500, 600)
_OK = 200
_NOT_FOUND = 404
_GOOD = frozenset({_OK, 206})  # Source: Tempo answers 206 when a part of its store is away
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

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

Form = TypeVar("Form")


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


@dataclass(frozen=True, slots=True)
class Reply:
    """A good answer. ``is_cut``: there was more of it than is read. ``warnings``: why something may be missing."""

    body: bytes
    is_cut: bool
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """A line as it came."""

    at: dt.datetime
    pod: str
    container: str
    text: str


# Questions


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


def instant(unix_nanoseconds: int) -> dt.datetime:
    """Return the instant, to the microsecond.

    Raises:
        OverflowError: no calendar has it.
    """
    return EPOCH + dt.timedelta(microseconds=unix_nanoseconds // 1000)


# Answers


async def ask(
    rest: RestReader, path: str, parameters: Mapping[str, str], missing: str = ""
) -> Reply:
    """Return the answer to one question.

    Raises:
        Transient: no whole answer in time; 408, 425, 429 and 5xx.
        NotFound: 404, if that would mean that ``missing`` is.
        Terminal: every other refusal, a redirect among them; the token's file cannot be read.
    """
    query = f"?{urlencode(parameters)}" if parameters else ""
    status, body, is_cut = await rest.read(path + query)
    if status == _NOT_FOUND and missing:
        raise NotFound(f"{rest.section}: no {missing}")
    if status in _GOOD:
        warnings = () if status == _OK else ("the server calls the answer partial",)
        return Reply(body, is_cut, (*warnings, CUT) if is_cut else warnings)
    kind = Transient if status in _RETRIED or status in _SERVER_ERROR else Terminal
    head = body[: 4 * WARNING_CHARACTERS_MAX].decode(errors="replace")
    raise kind(f"{rest.section}: {status} {words(head)}".rstrip())


def whole(rest: RestReader, reply: Reply, form: type[Form]) -> Form:
    """Return what a body of one JSON value holds; numbers may be written as texts.

    Raises:
        Terminal: the body was cut, or it is not that.
    """
    if reply.is_cut:
        raise Terminal(f"{rest.section}: {CUT}: ask for less")
    try:
        return msgspec.json.decode(reply.body, type=form, strict=False)
    except _UNREADABLE as error:
        raise unknown_form(rest) from error


def row(raw: bytes | msgspec.Raw, form: type[Form]) -> Form | None:
    """Return what one row holds, None if it is in no known form."""
    try:
        return msgspec.json.decode(raw, type=form, strict=False)
    except _UNREADABLE:
        return None


def unknown_form(rest: RestReader) -> Terminal:
    """Return what to raise for an answer that is none."""
    return Terminal(f"{rest.section}: an answer in no known form: check {rest.section} in the file")


def words(text: str) -> str:
    """Return a server's own words, redacted, readable and cut."""
    head = printable(text[: 4 * WARNING_CHARACTERS_MAX], kept="\r\n\t")
    return redact_text(" ".join(head.split()))[:WARNING_CHARACTERS_MAX]


def log_answer(
    rest: RestReader, rows: Sequence[Row | None], search: LogSearch, warnings: Sequence[str] = ()
) -> LogAnswer:
    """Return the newest of ``rows`` (newest first, None for one that could not be read), redacted, oldest first.

    Raises:
        Terminal: not one of them could be read.
    """
    found = [each for each in rows if each is not None]
    if rows and not found:
        raise unknown_form(rest)
    said = [words(each) for each in warnings[:WARNINGS_MAX]]
    if missing := len(rows) - len(found):
        said.append(f"{missing} lines could not be read")
    newest = sorted(found, key=lambda each: each.at, reverse=True)  # stable: the server's order
    lines, size = [], 0
    for each in newest[: search.lines_max]:
        line = ArchivedLine(
            each.at, _label(each.pod), _label(each.container), redact_text(each.text)
        )
        size += len(line.text.encode(errors="replace"))
        if size > TEXT_BYTES_MAX:
            break
        lines.append(line)
    if len(lines) < len(found):
        said.append(f"there are more lines: these are the newest {len(lines)}")
    return LogAnswer(tuple(reversed(lines)), tuple(said))


def _label(text: str) -> str:
    return redact_text(text)[:NAME_CHARACTERS_MAX]
