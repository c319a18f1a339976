"""Whole API objects beside the decoded ones: every field as JSON, for those who record.

``KubeReader`` shows its ``tap`` the bytes before it gives out what they hold; this is a tap that keeps
the objects of the newest page or line until they are asked for. Not for the daemon: it needs a few
fields, and whole trees cost ten times the memory.
"""

from collections.abc import Iterable, Mapping
from typing import TypeAlias

import msgspec

from opsagent.model.canonical import JsonValue
from opsagent.model.entity import API_VERSIONS
from opsagent.model.kube import KubeObject, kind_of

Tree: TypeAlias = Mapping[str, JsonValue]
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_Version: TypeAlias = tuple[object, ...]  # namespace, name, uid, resource version


class WholeObjects:
    """The objects of what was last read. ``unreadable_total``: pages and lines that had none."""

    def __init__(self) -> None:
        self._trees: dict[_Version, Tree] = {}
        self.unreadable_total = 0

    def tap(self, content: bytes) -> None:
        """Take the objects out of a list page or a watch line, instead of those held until now."""
        try:
            tree = msgspec.json.decode(content)
        except _UNREADABLE:
            self.unreadable_total += 1
            tree = None
        self._trees = {_version(item): item for item in _objects(tree)}

    def whole(self, item: KubeObject) -> Tree:
        """Return everything the server said about ``item``; its identity alone if it said nothing now."""
        meta = item.meta
        identity = (meta.namespace, meta.name, meta.uid, meta.resource_version)
        names = ("namespace", "name", "uid", "resourceVersion")
        tree: Tree = {"metadata": dict(zip(names, identity, strict=True))}
        kind = kind_of(item)
        # The items of a list leave their kind to the list.
        return {
            "kind": kind.value,
            "apiVersion": API_VERSIONS[kind],
            **self._trees.get(identity, tree),
        }


def _objects(tree: JsonValue) -> Iterable[Tree]:
    match tree:
        case {"items": list() as items}:
            found = items
        case {"object": item}:
            found = [item]
        case _:
            found = []
    return (item for item in found if isinstance(item, Mapping))


def _version(item: Tree) -> _Version:
    meta = item.get("metadata")
    if not isinstance(meta, Mapping):
        return ()
    names = ("namespace", "name", "uid", "resourceVersion")
    return tuple(meta.get(name) or "" for name in names)
