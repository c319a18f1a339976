"""Recordings: a folder of telemetry that can be played back, written by us or by a stranger.

A recording is ``recording.yaml`` (what it is), ``kube.jsonl`` (one observed API object per line),
``alerts.jsonl`` (one webhook body of an Alertmanager per line) and ``topology.json`` (who calls whom). It may be truncated by a crash and it may be
hostile: lines are bounded in size, depth and number, a bad line is counted and skipped under its number, and
nothing in it is ever followed, unpacked or executed. What is no plain file is not opened: a link leads
elsewhere, a device has no end, and a pipe is waited for. The other files of the format are not read here and are named by
:meth:`Recording.left_out`. Redaction is the consumer's.
"""

import datetime as dt
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec
import yaml

from opsagent.clients.alertmanager_wire import reported
from opsagent.clients.kube_struct import Instant
from opsagent.clients.kube_wire import Malformed, decode_object
from opsagent.model.alert import ReportedAlert
from opsagent.model.entity import API_VERSIONS, Kind
from opsagent.model.kube import KubeObject
from opsagent.model.signal import RowType
from opsagent.ports import Terminal

HEADER_FILE = "recording.yaml"
OBJECTS_FILE = "kube.jsonl"
ALERTS_FILE = "alerts.jsonl"
CALLS_FILE = "topology.json"
LEFT_OUT = ("logs", "metrics.om", "metrics.om.zst")
HEADER_BYTES_MAX = 64 * 1024  # the deepest of that size is refused after a second
LINE_BYTES_MAX = 8 * 1024 * 1024
LINES_MAX = 20_000_000  # two weeks of a busy cluster
CALLS_BYTES_MAX = 16 * 1024 * 1024
BAD_LINES_KEPT_MAX = 100
REASON_CHARACTERS_MAX = 300  # some reasons repeat what they complain of
_PACKED = {".zst": "zstd", ".gz": "gzip", ".xz": "xz", ".bz2": "bzip2"}
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_EMPTY = msgspec.Raw(b"{}")


class Observation(NamedTuple):
    """One line of objects. ``item`` is None only for ``SYNCED``."""

    at: dt.datetime
    type: RowType
    kind: Kind
    item: KubeObject | None


class Notice(NamedTuple):
    """One line of alerts: what an Alertmanager told at one instant."""

    at: dt.datetime
    alerts: tuple[ReportedAlert, ...]


@dataclass(frozen=True, slots=True)
class Header:
    """``recording.yaml``; other keys are left to those who know them.

    ``start`` and ``end`` are None if not given; ``query`` is what a person reported.
    """

    name: str
    cluster: str = ""
    start: Instant | None = None
    end: Instant | None = None
    namespaces: tuple[str, ...] = ()
    query: str = ""
    notes: str = ""


@dataclass(slots=True)
class ReadReport:
    """What was skipped of one file and why. ``bad_lines`` holds the first hundred as (number from 1, reason)."""

    lines_total: int = 0
    bad_lines_total: int = 0
    bad_lines: list[tuple[int, str]] = field(default_factory=list)
    other_kinds: Counter[str] = field(default_factory=Counter)
    is_cut: bool = False

    def note_bad(self, reason: str) -> None:
        """Count the present line as bad."""
        self.bad_lines_total += 1
        if len(self.bad_lines) < BAD_LINES_KEPT_MAX:
            self.bad_lines.append((self.lines_total, reason[:REASON_CHARACTERS_MAX]))


class _Plain(yaml.SafeLoader):
    """YAML without aliases: each of them may stand for ten others, and so on, and merging writes all of them out."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it refers to itself by an alias: write it out")
        return super().compose_node(parent, index)


class _Line(msgspec.Struct):
    ts: Instant
    type: RowType
    object: msgspec.Raw = _EMPTY


class _Told(msgspec.Struct):
    ts: Instant
    webhook: msgspec.Raw


class _TypeMeta(msgspec.Struct, rename="camel"):
    kind: str = ""
    api_version: str = ""


_line = msgspec.json.Decoder(_Line)
_told = msgspec.json.Decoder(_Told)
_type_meta = msgspec.json.Decoder(_TypeMeta)
_calls = msgspec.json.Decoder(list[msgspec.Raw])
_call = msgspec.json.Decoder(tuple[str, str])


class Recording:
    """Read access to one folder; of each file at most ``lines_max`` lines.

    ``report`` is about the objects, ``alerts_report`` about the alerts, ``calls_report`` about the calls, which it counts
    as lines; they fill up while these are read.

    Raises:
        Terminal: the folder holds no readable ``recording.yaml``; the message names the path.
    """

    def __init__(self, folder: Path, *, lines_max: int = LINES_MAX) -> None:
        self._folder = folder
        self._lines_max = lines_max
        self.header = _read_header(folder / HEADER_FILE)
        self.report = ReadReport()
        self.alerts_report = ReadReport()
        self.calls_report = ReadReport()

    @property
    def has_objects(self) -> bool:
        """Whether there is a file of objects."""
        return _is_plain_file(self._folder / OBJECTS_FILE)

    def left_out(self) -> Sequence[str]:
        """Return the files of the format that are there and not read."""
        return [name for name in LEFT_OUT if (self._folder / name).exists()]

    def observations(self) -> Iterator[Observation]:
        """Yield the observations of the kinds that opsagent reads, in file order.

        Raises:
            Terminal: the file cannot be read, or is compressed.
        """
        for content in self._lines(OBJECTS_FILE, self.report):
            yield from self._decode(content)

    def notices(self) -> Iterator[Notice]:
        """Yield what an Alertmanager told, in file order.

        Raises:
            Terminal: the file cannot be read, or is compressed.
        """
        for content in self._lines(ALERTS_FILE, self.alerts_report):
            try:
                line = _told.decode(content)
                yield Notice(line.ts.astimezone(dt.UTC), reported(bytes(line.webhook)))
            except (*_UNREADABLE, OverflowError, Terminal) as error:
                self.alerts_report.note_bad(str(error))

    def calls(self) -> Iterator[tuple[str, str]]:
        """Yield who calls whom, as they are named: full references, ``namespace/name`` or names of services.

        Raises:
            Terminal: the file cannot be read, or is compressed.
        """
        report = self.calls_report
        for content in self._calls_told():
            report.lines_total += 1
            try:
                yield _call.decode(content)
            except _UNREADABLE as error:
                report.note_bad(str(error))

    def _calls_told(self) -> Sequence[msgspec.Raw]:
        path = self._folder / CALLS_FILE
        try:
            if not _is_plain_file(path):
                _refuse_packed(path)
                return ()
            return _calls.decode(_small(path, CALLS_BYTES_MAX))
        except OSError as error:
            raise Terminal(f"{path} cannot be read: {error.strerror}") from error
        except (ValueError, *_UNREADABLE) as error:
            self.calls_report.lines_total += 1  # the whole is one that cannot be read
            self.calls_report.note_bad(str(error))
            return ()

    def _lines(self, name: str, report: ReadReport) -> Iterator[bytes]:
        path = self._folder / name
        try:
            if not _is_plain_file(path):
                _refuse_packed(path)
                return
            with path.open("rb") as file:
                yield from self._bounded(file, report)
        except OSError as error:
            raise Terminal(f"{path} cannot be read: {error.strerror}") from error

    def _bounded(self, file: BinaryIO, report: ReadReport) -> Iterator[bytes]:
        """Yield the non-blank lines of bounded size; what is longer is counted as bad."""
        while content := file.readline(LINE_BYTES_MAX + 1):
            if report.lines_total == self._lines_max:
                report.is_cut = True
                return
            report.lines_total += 1
            if len(content) > LINE_BYTES_MAX:
                report.note_bad(f"longer than {LINE_BYTES_MAX} bytes")
                while content and not content.endswith(b"\n"):
                    content = file.readline(LINE_BYTES_MAX)
            elif not content.isspace():
                yield content

    def _decode(self, content: bytes) -> Iterator[Observation]:
        try:
            line = _line.decode(content)
            what = _type_meta.decode(line.object)
            kinds = _kinds_of(what, line.type)
            item = decode_object(kinds[0], line.object) if kinds and _has_item(line) else None
            at = line.ts.astimezone(dt.UTC)
        except (*_UNREADABLE, OverflowError, Malformed) as error:
            self.report.note_bad(str(error))
            return
        if not kinds:
            self.report.other_kinds[f"{what.api_version}/{what.kind}"[:120]] += 1
        for kind in kinds:
            yield Observation(at, line.type, kind, item)


def _has_item(line: _Line) -> bool:
    return line.type is not RowType.SYNCED


def _kinds_of(what: _TypeMeta, row_type: RowType) -> tuple[Kind, ...]:
    """Return the kind of an object, empty if we do not read it; an empty ``SYNCED`` closes all kinds."""
    if row_type is RowType.SYNCED and not what.kind:
        return tuple(Kind)
    if not what.kind:
        raise Malformed("the object has no kind")
    return tuple(
        kind
        for kind in Kind
        if kind.value == what.kind and what.api_version in (API_VERSIONS[kind], "")
    )


def _is_plain_file(path: Path) -> bool:
    """Return whether there is a file of that name, and not something that only looks like one.

    Raises:
        Terminal: there is something else.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(mode):
        raise Terminal(f"{path} cannot be read: it is no plain file")
    return True


def _refuse_packed(path: Path) -> None:
    """Raise Terminal if the file is there in another form: what is not unpacked must not pass for absent."""
    for ending, tool in _PACKED.items():
        packed = path.with_name(path.name + ending)
        if packed.exists():
            raise Terminal(f"{packed} is compressed: unpack it with `{tool} -d` first")


def _small(path: Path, bytes_max: int) -> bytes:
    _is_plain_file(path)
    with path.open("rb") as file:
        text = file.read(bytes_max + 1)
    if len(text) > bytes_max:
        raise ValueError(f"longer than {bytes_max} bytes")
    return text


def _read_header(path: Path) -> Header:
    try:
        content = yaml.load(_small(path, HEADER_BYTES_MAX), _Plain)  # noqa: S506 - it is a SafeLoader
        if isinstance(content, dict):  # `query:` without a value is null: as good as absent
            content = {key: value for key, value in content.items() if value is not None}
        return msgspec.convert(content, Header)
    except OSError as error:
        raise Terminal(f"{path} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, ValueError, *_UNREADABLE) as error:
        reason = str(error)[:REASON_CHARACTERS_MAX]
        raise Terminal(f"{path} is no recording's header: {reason}") from error
