"""Server-side apply: a manager says what it wants, and the server keeps who wants what. Pure.

Theory. An apply sets the fields that it names and leaves all others alone. Fields that another manager
owns and wants otherwise are conflicts: none is written unless the apply is forced, which takes them over.
Fields that the manager named last time, names no more, and shares with nobody, are removed; what has a
default falls back to it. Source: structured-merge-diff as kube-apiserver 1.37 uses it, for maps, lists
with one key, and leaves; no lists as sets, no conversion between versions.
"""

from collections.abc import Iterator, Mapping
from functools import reduce
from typing import Any

import yaml

from opsagent.sim.errors import apply_conflict, bad_request
from opsagent.sim.ownership import (
    Write,
    changed_fields,
    entry_of,
    fields_of,
    is_atomic,
    item_name,
    list_key,
    union,
    without,
)
from opsagent.sim.values import Obj, clone

APPLY_PATCH = "application/apply-patch+yaml"


def configuration(body: bytes) -> Obj:
    """Return what is applied: an object of a known type, in YAML or JSON.

    Raises:
        StatusError: 400, it is not one, or says itself who owns what.
    """
    try:
        found = yaml.safe_load(body)
    except yaml.YAMLError as error:
        raise bad_request(
            f"error decoding patch: error converting YAML to JSON: {error}"
        ) from error
    if not isinstance(found, dict) or not isinstance(found.get("metadata", {}), dict):
        raise bad_request("the body must be an object with metadata")
    if not found.get("apiVersion") or not found.get("kind"):
        raise bad_request(f"invalid object type: /, Kind={found.get('kind', '')}")
    if found.get("metadata", {}).get("managedFields"):
        raise bad_request("metadata.managedFields must be nil")
    return {key: value for key, value in found.items() if key != "status"}


def named_fields(sent: Obj) -> Obj:
    """Return the fields that ``sent`` names."""
    return {name: inner for name, inner in fields_of(sent).items() if inner or name != "f:metadata"}


def applied(old: Obj, sent: Obj, write: Write, *, is_forced: bool) -> Obj:
    """Return ``old`` as an apply of ``sent`` leaves it, defaults not yet filled in.

    Raises:
        StatusError: 409 with every field that another manager owns and wants otherwise.
    """
    assert write.applied is not None
    new: Obj = _merged(old, sent)
    others = [item for item in old["metadata"]["managedFields"] if not write.has_made(item)]
    if not is_forced and (conflicts := sorted(_conflicts(others, changed_fields(old, new)))):
        raise apply_conflict(conflicts)
    mine = entry_of(old, write)
    kept = reduce(union, (item["fieldsV1"] for item in others), write.applied)
    dropped = without(mine["fieldsV1"], kept) if mine else {}
    left: Obj = _pruned(new, dropped, kept)
    return left


def _merged(old: Any, sent: Any) -> Any:  # noqa: ANN401 - JSON values of any shape
    """Return ``old`` with what ``sent`` names: maps by name, lists by key, all else as a whole."""
    if isinstance(old, dict) and isinstance(sent, dict):
        found = {
            key: clone(value) if is_atomic(f"f:{key}") else _merged(old.get(key), value)
            for key, value in sent.items()
        }
        return old | found
    key = list_key(sent) if isinstance(sent, list) else ""
    if not key or not isinstance(old, list) or list_key(old) != key:
        return clone(sent)
    items = {item[key]: item for item in old}
    return list(
        (items | {item[key]: _merged(items.get(item[key]), item) for item in sent}).values()
    )


def _pruned(value: Any, dropped: Obj, kept: Obj) -> Any:  # noqa: ANN401 - a JSON value of any shape
    """Return ``value`` without the ``dropped`` fields; an item of a list stays if some of it is kept."""
    if isinstance(value, list):
        key = list_key(value)
        items = [(item_name(key, item), item) for item in value]
        return [
            _pruned(item, dropped.get(name, {}), kept.get(name, {}))
            for name, item in items
            if "." not in dropped.get(name, {}) or name in kept
        ]
    found = {}
    for key, item in value.items():
        name = f"f:{key}"
        if name not in dropped:
            found[key] = item
        elif dropped[name] and (rest := _pruned(item, dropped[name], kept.get(name, {}))):
            found[key] = rest
    return found


def _conflicts(others: list[Obj], changed: Obj) -> Iterator[tuple[str, str]]:
    """Yield path and owner of every changed field that somebody else owns."""
    for entry in others:
        owner = f'"{entry["manager"]}"'
        if "subresource" in entry:
            owner += f' with subresource "{entry["subresource"]}"'
        if entry["operation"] == "Update":
            owner += f" using {entry['apiVersion']}"
        for path in _shared(entry["fieldsV1"], changed):
            yield path, owner


def _shared(one: Mapping[str, Any], other: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Yield the path of every leaf of ``other`` that is also in ``one``."""
    for name, inner in other.items():
        if name not in one:
            continue
        here = path + _step(name)
        if inner:
            yield from _shared(one[name], inner, here)
        else:
            yield here


def _step(name: str) -> str:
    """Return a FieldsV1 name as paths show it: ``.image`` or ``[name="web"]``."""
    kind, _, word = name.partition(":")
    if kind == "f":
        return f".{word}"
    key, _, value = word[1:-1].partition(":")
    return f"[{key.strip(chr(34))}={value}]"
