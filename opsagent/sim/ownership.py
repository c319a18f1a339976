"""managedFields: which manager wrote which field last, in the API server's own shape.

Theory. A write is compared with what was stored. Every leaf that it changed goes to the writer's
entry (manager, operation, subresource) and leaves all others; leaves that are no longer in the
object leave all entries. Lists of things with a key are granular (``k:{"name":"web"}``), other
lists are one leaf. An apply is different in one way: its entry is what it names, changed or not.
Source: FieldsV1 of structured-merge-diff, without the set types.
"""

import datetime as dt
import json
from dataclasses import dataclass
from typing import Any

from opsagent.sim.values import Obj, stamp

_KEYS = ("name", "type", "uid")  # what lists of the served kinds are keyed by
_ATOMIC = frozenset({"f:selector", "f:nodeSelector"})  # maps that are owned as a whole
_ITSELF: Obj = {".": {}}  # that an item is in its list at all
_SERVER_OWNED = frozenset(
    {"name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp",
     "managedFields", "deletionTimestamp", "deletionGracePeriodSeconds"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Write:
    """Who writes, when, to which part of an object, and whether only to see what would happen.

    ``applied`` holds the fields that a server-side apply names, None for every other write.
    """

    manager: str
    at: dt.datetime
    subresource: str = ""
    is_dry_run: bool = False
    applied: Obj | None = None

    @property
    def operation(self) -> str:
        """As managedFields call it."""
        return "Update" if self.applied is None else "Apply"

    def has_made(self, entry: Obj) -> bool:
        """Return whether ``entry`` of managedFields is the writer's own."""
        writer = (self.manager, self.operation, self.subresource)
        return (entry["manager"], entry["operation"], entry.get("subresource", "")) == writer


def list_key(items: list[Any]) -> str:
    """Return the field that tells ``items`` apart, empty if there is none: they are one leaf then."""
    if not items or not all(isinstance(item, dict) for item in items):
        return ""
    return next((key for key in _KEYS if all(key in item for item in items)), "")


def item_name(key: str, item: Obj) -> str:
    """Return what FieldsV1 calls an item of a list with ``key``."""
    return f"k:{json.dumps({key: item[key]}, separators=(',', ':'))}"


def is_atomic(name: str) -> bool:
    """Return whether a field, as FieldsV1 calls it, is a leaf whatever it holds."""
    return name in _ATOMIC


def _members(value: Any) -> dict[str, Any] | None:  # noqa: ANN401 - any JSON value
    """Return the granular members of ``value`` by their FieldsV1 name, None if it is a leaf."""
    if isinstance(value, dict):
        return {f"f:{key}": item for key, item in value.items()} or None
    if isinstance(value, list) and (key := list_key(value)):
        return {item_name(key, item): item for item in value}
    return None


def _all(name: str, value: Any) -> Obj:  # noqa: ANN401 - any JSON value
    """Return every field in ``value``, which is the member ``name`` of something."""
    members = (None if is_atomic(name) else _members(value)) or {}
    found = {inner: _all(inner, item) for inner, item in members.items()}
    return _ITSELF | found if name.startswith("k:") else found


def _changed(name: str, old: Any, new: Any) -> Obj | None:  # noqa: ANN401 - any JSON value
    """Return the fields of ``new`` that differ from ``old``; None if none, {} for a leaf."""
    if old == new:
        return None
    before, after = _members(old), _members(new)
    if before is None or after is None or is_atomic(name):
        return _all(name, new)
    found = {}
    for key, item in after.items():
        inner = _changed(key, before[key], item) if key in before else _all(key, item)
        if inner is not None:
            found[key] = inner
    return found or None


def union(one: Obj, other: Obj) -> Obj:
    """Return the fields that are in one of both."""
    found = dict(one)
    for name, inner in other.items():
        found[name] = union(found[name], inner) if name in found else inner
    return found


def without(fields: Obj, taken: Obj) -> Obj:
    """Return those of ``fields`` that are not in ``taken``."""
    found = {}
    for name, inner in fields.items():
        if name not in taken:
            found[name] = inner
        elif taken[name] and (rest := without(inner, taken[name])):
            found[name] = rest
    return found


def _within(fields: Obj, present: Obj) -> Obj:
    return {
        name: _within(inner, present[name]) for name, inner in fields.items() if name in present
    }


def _owned_part(item: Obj) -> Obj:
    """Return what managers can own: neither type nor what the server itself fills in."""
    part = {key: value for key, value in item.items() if key not in {"apiVersion", "kind"}}
    meta = part.get("metadata", {})
    part["metadata"] = {key: value for key, value in meta.items() if key not in _SERVER_OWNED}
    return part


def fields_of(item: Obj) -> Obj:
    """Return all fields of ``item`` that a manager can own."""
    return _all("", _owned_part(item))


def changed_fields(old: Obj, new: Obj) -> Obj:
    """Return the fields of ``new`` that ``old`` lacks or has otherwise."""
    return _changed("", _owned_part(old), _owned_part(new)) or {}


def _owns_all(entry: Obj, present: Obj) -> bool:
    # An object without labels has nothing to own in its metadata.
    return {"f:metadata": {}, **entry["fieldsV1"]} == present


def entry_of(item: Obj, write: Write) -> Obj | None:
    """Return the writer's own entry in ``item``, None if there is none."""
    return next(filter(write.has_made, item["metadata"].get("managedFields", ())), None)


def _new_entry(write: Write, api_version: str, fields: Obj) -> Obj:
    """Return an entry; that of a scale has no time, in life, too."""
    entry: Obj = {
        "manager": write.manager,
        "operation": write.operation,
        "apiVersion": api_version,
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }
    if write.subresource:
        entry["subresource"] = write.subresource
    return entry if write.subresource == "scale" else entry | {"time": stamp(write.at)}


def managed_fields(old: Obj | None, new: Obj, write: Write) -> list[Obj]:
    """Return the managedFields of ``new`` after ``write`` turned ``old`` into it."""
    entries = list(old["metadata"].get("managedFields", ())) if old else []
    present = fields_of(new)
    if len(entries) == 1 and write.has_made(entries[0]) and _owns_all(entries[0], present):
        return [entries[0] | {"time": stamp(write.at)}]  # a Lease's holder, all day
    taken = changed_fields(old or {}, new)
    mine: Obj = {}
    kept = []
    for entry in entries:
        if write.has_made(entry):
            mine = _within(entry["fieldsV1"], present)
        elif fields := _within(without(entry["fieldsV1"], taken), present):
            kept.append(entry | {"fieldsV1": fields})
    fields = union(mine, taken) if write.applied is None else write.applied
    entry = _new_entry(write, new["apiVersion"], fields)
    order = ("operation", "time", "manager")
    return sorted([*kept, entry], key=lambda item: [item.get(key, "") for key in order])
