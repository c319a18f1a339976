"""Answers of archives, judged and bounded: what the clients of Loki, VictoriaLogs and Tempo share.

Theory of operation. An answer is somebody's text. Its status is judged first, its body is read up to a limit, its
rows are decoded one by one: a row in no known form is counted and costs only itself. What is given back is
redacted, cut, and marked if anything may be missing. All but the reading is done in a thread: a body as long
as it may be costs a third of a second.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlencode

import msgspec

from opsagent.clients.archive_query import EPOCH, NAME_CHARACTERS_MAX
from opsagent.clients.rest import BODY_BYTES_MAX, RestReader
from opsagent.model.archive import ArchivedLine, LogAnswer, LogSearch
from opsagent.model.printable import printable
from opsagent.ports import NotFound, Terminal, Transient
from opsagent.signals.redaction import redact_text

TEXT_BYTES_MAX = 256 * 2**10  # of all lines of an answer, as of a pod's log
WARNINGS_MAX = 10
WARNING_CHARACTERS_MAX = 300
CUT = f"the answer was longer than {BODY_BYTES_MAX} bytes"

_RETRIED = frozenset({408, 425, 429})
_SERVER_ERROR = range(500, 600)
_OK = 200
_NOT_FOUND = 404
_GOOD = frozenset({_OK, 206})  # Source: Tempo answers 206 when a part of its store is away
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

Form = TypeVar("Form")


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


def instant(unix_nanoseconds: int) -> dt.datetime:
    """Return the instant, to the microsecond.

    Raises:
        OverflowError: no calendar has it.
    """
    return EPOCH + dt.timedelta(microseconds=unix_nanoseconds // 1000)


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
