"""managedFields: which manager wrote which field last, in the API server's own shape.

Theory. A write is compared with what was stored. Every leaf that it changed goes to the writer's
entry (manager, operation, subresource) and leaves all others; leaves that are no longer in the
object leave all entries. Lists of things with a key are granular (``k:{"name":"web"}``), other
lists are one leaf. Source: FieldsV1 of structured-merge-diff, without the set types.
"""

import datetime as dt
import json
from dataclasses import dataclass
from typing import Any

from opsagent.sim.values import Obj, stamp

_KEYS = ("name", "type", "uid")  # what lists of the served kinds are keyed by
_SERVER_OWNED = frozenset(
    {"name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp",
     "managedFields", "deletionTimestamp", "deletionGracePeriodSeconds"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Write:
    """Who writes, when, to which part of an object, and whether only to see what would happen."""

    manager: str
    at: dt.datetime
    subresource: str = ""
    is_dry_run: bool = False


def _compact(key: Obj) -> str:
    return json.dumps(key, separators=(",", ":"))


def _members(value: Any) -> dict[str, Any] | None:  # noqa: ANN401 - any JSON value
    """Return the granular members of ``value`` by their FieldsV1 name, None if it is a leaf."""
    if isinstance(value, dict):
        return {f"f:{key}": item for key, item in value.items()} or None
    if not isinstance(value, list) or not value or not all(isinstance(i, dict) for i in value):
        return None
    for key in _KEYS:
        if all(key in item for item in value):
            return {f"k:{_compact({key: item[key]})}": item for item in value}
    return None


def _all(value: Any) -> Obj:  # noqa: ANN401 - any JSON value
    members = _members(value)
    return {name: _all(item) for name, item in members.items()} if members else {}


def _changed(old: Any, new: Any) -> Obj | None:  # noqa: ANN401 - any JSON value
    """Return the fields of ``new`` that differ from ``old``; None if none, {} for a leaf."""
    if old == new:
        return None
    before, after = _members(old), _members(new)
    if before is None or after is None:
        return _all(new)
    found = {}
    for name, item in after.items():
        inner = _changed(before[name], item) if name in before else _all(item)
        if inner is not None:
            found[name] = inner
    return found or None


def _union(one: Obj, other: Obj) -> Obj:
    found = dict(one)
    for name, inner in other.items():
        found[name] = _union(found[name], inner) if name in found else inner
    return found


def _without(fields: Obj, taken: Obj) -> Obj:
    found = {}
    for name, inner in fields.items():
        if name not in taken:
            found[name] = inner
        elif taken[name] and (rest := _without(inner, taken[name])):
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


def _owns_all(entry: Obj, present: Obj, write: Write) -> bool:
    writer = (entry["manager"], entry.get("subresource", ""))
    is_writer = writer == (write.manager, write.subresource)
    bare = {
        "f:metadata": {},
        **entry["fieldsV1"],
    }  # an object without labels has nothing there to own
    return is_writer and bare == present


def managed_fields(old: Obj | None, new: Obj, write: Write) -> list[Obj]:
    """Return the managedFields of ``new`` after ``write`` turned ``old`` into it."""
    after = _owned_part(new)
    entries = list(old["metadata"].get("managedFields", ())) if old else []
    present = _all(after)
    if len(entries) == 1 and _owns_all(entries[0], present, write):
        return [entries[0] | {"time": stamp(write.at)}]  # a Lease's holder, all day
    taken = _changed(_owned_part(old) if old else {"metadata": {}}, after)
    mine: Obj | None = None
    kept = []
    for entry in entries:
        if (entry["manager"], entry.get("subresource", "")) == (write.manager, write.subresource):
            mine = _within(entry["fieldsV1"], present)
        elif fields := _within(_without(entry["fieldsV1"], taken or {}), present):
            kept.append(entry | {"fieldsV1": fields})
    entry = {
        "manager": write.manager,
        "operation": "Update",
        "apiVersion": new["apiVersion"],
        "time": stamp(write.at),
        "fieldsType": "FieldsV1",
        "fieldsV1": _union(mine or {}, taken or {}),
    }
    if write.subresource:
        entry["subresource"] = write.subresource
    return sorted([*kept, entry], key=lambda item: (item["time"], item["manager"]))
