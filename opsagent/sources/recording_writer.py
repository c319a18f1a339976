"""Writes a recording, one line per observed API object or told alerts, each line handed to the system before the next.

A crash or a full disk costs the line that was being written and none before it.

Of a Secret nothing is written, of a ConfigMap only its keys and keyed hashes of its values. Every
other object is written as it was given: who records a cluster with real secrets in its environment
variables redacts the objects first.
"""

import datetime as dt
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Self

import yaml

from opsagent.clients.alertmanager_wire import ALERTS_MAX, webhook
from opsagent.model.alert import ReportedAlert
from opsagent.model.canonical import instant
from opsagent.model.entity import API_VERSIONS, Entity, Kind
from opsagent.model.signal import RowType
from opsagent.sources.recording import (
    ALERTS_FILE,
    CALLS_FILE,
    HEADER_FILE,
    OBJECTS_FILE,
    Header,
)

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"  # repeats a ConfigMap's values
HASH_BYTES = 16
RawObject = Mapping[str, object]


class RecordingWriter:
    """Makes ``folder`` (which must not hold a recording yet) and appends to it until closed.

    ``key`` makes the hashes of ConfigMap values useless to a guesser; 16 random bytes or more.

    Raises:
        FileExistsError: there is a recording already.
        OSError: the disk refuses.
    """

    def __init__(self, folder: Path, header: Header, key: bytes) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._key = key
        self._files = ExitStack()
        self._objects = self._open(OBJECTS_FILE)
        self._alerts: FileIO | None = None
        self._write_header(header)
        self._header = header
        self.written_total = 0
        self.secrets_dropped_total = 0

    def __enter__(self) -> Self:
        """Return self; the recording is closed at the end of the block."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._files.close()

    def write(self, at: dt.datetime, row_type: RowType, item: RawObject) -> None:
        """Append one object; a Secret is counted instead."""
        if item.get("kind") == "Secret":
            self.secrets_dropped_total += 1
            return
        if item.get("kind") == "ConfigMap":
            item = self._config_map(item)
        self._append_object(at, row_type, item)

    def write_alerts(self, at: dt.datetime, alerts: Sequence[ReportedAlert]) -> None:
        """Append what an Alertmanager told; an empty list makes the file, for nothing was told yet."""
        self._alerts = self._alerts or self._open(ALERTS_FILE)
        for first in range(0, len(alerts), ALERTS_MAX):
            body = webhook(alerts[first : first + ALERTS_MAX])
            self._append(self._alerts, {"ts": instant(at), "webhook": body})

    def write_calls(self, calls: Iterable[tuple[Entity, Entity]]) -> None:
        """Write who calls whom, all that is known, in place of what was written before."""
        lines = (json.dumps([str(caller), str(callee)]) for caller, callee in sorted(calls))
        self._replace(CALLS_FILE, "[" + ",\n".join(lines) + "]\n")

    def synced(self, at: dt.datetime, kind: Kind) -> None:
        """Close the snapshot of ``kind``."""
        closing = {"kind": kind.value, "apiVersion": API_VERSIONS[kind]}
        self._append_object(at, RowType.SYNCED, closing)

    def end(self, at: dt.datetime, notes: str = "") -> None:
        """Note in the header when the recording ended, and what else has to be known of it."""
        self._write_header(replace(self._header, end=at, notes=notes or self._header.notes))

    def _open(self, name: str) -> FileIO:
        return self._files.enter_context((self._folder / name).open("xb", buffering=0))

    def _append_object(self, at: dt.datetime, row_type: RowType, item: RawObject) -> None:
        line = {"ts": instant(at), "type": row_type.value, "object": item}
        self._append(self._objects, line)
        self.written_total += 1

    def _append(self, file: FileIO, line: Mapping[str, object]) -> None:
        text = json.dumps(line, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        rest = memoryview(f"{text}\n".encode("utf-8", "replace"))
        while rest:  # a disk that fills up takes a part, then refuses
            rest = rest[file.write(rest) :]

    def _config_map(self, item: RawObject) -> RawObject:
        cleaned = dict(item)
        for part in ("data", "binaryData"):
            values = cleaned.get(part)
            if isinstance(values, Mapping):
                cleaned[part] = {name: self._hash(str(value)) for name, value in values.items()}
        metadata = cleaned.get("metadata")
        if isinstance(metadata, Mapping) and isinstance(metadata.get("annotations"), Mapping):
            kept = {
                name: text for name, text in metadata["annotations"].items() if name != LAST_APPLIED
            }
            cleaned["metadata"] = {**metadata, "annotations": kept}
        return cleaned

    def _hash(self, value: str) -> str:
        digest = hashlib.blake2b(value.encode(), key=self._key[:64], digest_size=HASH_BYTES)
        return f"hash:{digest.hexdigest()}"

    def _write_header(self, header: Header) -> None:
        content = {
            "name": header.name,
            "cluster": header.cluster,
            "start": header.start and instant(header.start),
            "end": header.end and instant(header.end),
            "namespaces": list(header.namespaces),
            "query": header.query,
            "notes": header.notes,
        }
        given = {name: value for name, value in content.items() if value}
        text = yaml.safe_dump(given, sort_keys=False, allow_unicode=True)
        self._replace(HEADER_FILE, text)

    def _replace(self, name: str, text: str) -> None:
        path = self._folder / name
        draft = path.with_suffix(".new")
        draft.write_text(text, "utf-8")
        draft.replace(path)
