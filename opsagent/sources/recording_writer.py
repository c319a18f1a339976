"""Writes a recording, one line per observed API object, each line handed to the system before the next.

A crash or a full disk costs the line that was being written and none before it.

Of a Secret nothing is written, of a ConfigMap only its keys and keyed hashes of its values. Every
other object is written as it was given: who records a cluster with real secrets in its environment
variables redacts the objects first.
"""

import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

import yaml

from opsagent.model.canonical import instant
from opsagent.model.entity import API_VERSIONS, Kind
from opsagent.model.signal import RowType
from opsagent.sources.recording import HEADER_FILE, OBJECTS_FILE, Header

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
        self._objects = (folder / OBJECTS_FILE).open("xb", buffering=0)
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
        self._objects.close()

    def write(self, at: dt.datetime, row_type: RowType, item: RawObject) -> None:
        """Append one object; a Secret is counted instead."""
        if item.get("kind") == "Secret":
            self.secrets_dropped_total += 1
            return
        if item.get("kind") == "ConfigMap":
            item = self._config_map(item)
        self._append(at, row_type, item)

    def synced(self, at: dt.datetime, kind: Kind) -> None:
        """Close the snapshot of ``kind``."""
        self._append(at, RowType.SYNCED, {"kind": kind.value, "apiVersion": API_VERSIONS[kind]})

    def end(self, at: dt.datetime) -> None:
        """Note in the header when the recording ended."""
        self._write_header(replace(self._header, end=at))

    def _append(self, at: dt.datetime, row_type: RowType, item: RawObject) -> None:
        line = {"ts": instant(at), "type": row_type.value, "object": item}
        text = json.dumps(line, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        rest = memoryview(f"{text}\n".encode("utf-8", "replace"))
        while rest:  # a disk that fills up takes a part, then refuses
            rest = rest[self._objects.write(rest) :]
        self.written_total += 1

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
        path = self._folder / HEADER_FILE
        draft = path.with_suffix(".new")
        draft.write_text(yaml.safe_dump(given, sort_keys=False, allow_unicode=True), "utf-8")
        draft.replace(path)
