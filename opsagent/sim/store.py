"""The objects and their history: what etcd and the watch cache are to an API server.

Theory. Every stored write raises one counter, the resource version, by one and appends one entry
to the history; a write that changes nothing does neither. Since versions are gapless, the entry
that follows a version is found by subtraction, and the state at any version that history still
covers is found by walking back. History is bounded: what has left it is Gone. Stored objects are
never changed in place.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from opsagent.sim.admission import prepare_create, prepare_update
from opsagent.sim.errors import already_exists, expired, not_found
from opsagent.sim.ownership import Write
from opsagent.sim.resources import NAMESPACES, Resource
from opsagent.sim.values import Obj, safe_name, seconds, stamp, uid_of

HISTORY_MAX = 2_000  # versions; about a quarter hour of a rollout that never ends

_Name = tuple[str, str]  # namespace, name


@dataclass(frozen=True, slots=True)
class Entry:
    """One write in the history. ``item`` of a DELETED entry is the last state, at the new version."""

    version: int
    type: str
    resource: Resource
    item: Obj
    before: Obj | None


class ObjectStore:
    """All objects of one cluster. ``seed`` makes uids and generated names."""

    def __init__(self, seed: str, history_max: int = HISTORY_MAX) -> None:
        self._seed = seed
        self._history_max = history_max
        self._items: dict[str, dict[_Name, Obj]] = defaultdict(dict)
        self._owned: dict[str, dict[str, set[_Name]]] = defaultdict(lambda: defaultdict(set))
        self._history: list[Entry] = []
        self._names_given = 0
        self._watchers: list[Callable[[Entry, dt.datetime], None]] = []
        self.version = 1

    def on_change(self, callback: Callable[[Entry, dt.datetime], None]) -> None:
        """Call ``callback`` after every stored write."""
        self._watchers.append(callback)

    def find(self, resource: Resource, namespace: str, name: str) -> Obj | None:
        """Return the object, None if there is none."""
        return self._items[resource.plural].get((namespace, name))

    def get(self, resource: Resource, namespace: str, name: str) -> Obj:
        """Return the object.

        Raises:
            StatusError: 404.
        """
        found = self.find(resource, namespace, name)
        if found is None:
            raise not_found(resource, name)
        return found

    def objects(self, resource: Resource, namespace: str = "") -> list[Obj]:
        """Return the objects, sorted by namespace and name; an empty ``namespace`` means all."""
        items = self._items[resource.plural]
        return [items[key] for key in sorted(items) if not namespace or key[0] == namespace]

    def owned_by(self, resource: Resource, uid: str) -> list[Obj]:
        """Return the objects whose controller has ``uid``, sorted by name."""
        items = self._items[resource.plural]
        return [items[key] for key in sorted(self._owned[resource.plural].get(uid, ()))]

    def fresh_name(self, prefix: str) -> str:
        """Return ``prefix`` and five safe characters, as generateName does."""
        self._names_given += 1
        return prefix + safe_name(5, self._seed, prefix, str(self._names_given))

    def create(self, resource: Resource, sent: Obj, write: Write) -> Obj:
        """Store a new object and return it.

        Raises:
            StatusError: 404 no such namespace, 409 it exists, 422.
        """
        meta = dict(sent.get("metadata", {}))
        if not meta.get("name") and meta.get("generateName"):
            meta["name"] = self.fresh_name(meta["generateName"])
        namespace = meta.get("namespace", "")
        if namespace and self.find(NAMESPACES, "", namespace) is None:
            raise not_found(NAMESPACES, namespace)
        if self.find(resource, namespace, meta.get("name", "")) is not None:
            raise already_exists(resource, meta["name"])
        uid = uid_of(
            self._seed, str(self.version), resource.plural, namespace, str(meta.get("name"))
        )
        item = prepare_create(resource, sent | {"metadata": meta}, uid, write)
        return item if write.is_dry_run else self._commit("ADDED", resource, item, None, write.at)

    def update(self, resource: Resource, sent: Obj, write: Write) -> Obj:
        """Store a new state of an object and return it; a write that changes nothing is none.

        Raises:
            StatusError: 404, 409, 422.
        """
        meta = sent["metadata"]
        old = self.get(resource, meta.get("namespace", ""), meta["name"])
        new = prepare_update(resource, old, sent, write)
        if new is old or write.is_dry_run:
            return new
        return self._commit("MODIFIED", resource, new, old, write.at)

    def mark_deleting(self, resource: Resource, item: Obj, grace: int, at: dt.datetime) -> Obj:
        """Set the deletion timestamp, ``grace`` seconds ahead; marked twice, it stays at the first."""
        if "deletionTimestamp" in item["metadata"]:
            return item
        marked = {
            "deletionTimestamp": stamp(at + seconds(grace)),
            "deletionGracePeriodSeconds": grace,
            "generation": item["metadata"].get("generation", 0) + 1,
        }
        new = item | {"metadata": item["metadata"] | marked}
        return self._commit("MODIFIED", resource, new, item, at)

    def remove(self, resource: Resource, item: Obj, at: dt.datetime) -> Obj:
        """Take an object out and return its last state."""
        new = item | {"metadata": dict(item["metadata"])}
        return self._commit("DELETED", resource, new, item, at)

    def _commit(
        self, type_: str, resource: Resource, new: Obj, old: Obj | None, at: dt.datetime
    ) -> Obj:
        """Give ``new`` the next version, store or remove it, write history, tell the watchers."""
        self.version += 1
        new["metadata"]["resourceVersion"] = str(self.version)
        meta = new["metadata"]
        key = (meta.get("namespace", ""), meta["name"])
        owned = self._owned[resource.plural]
        if old is not None and (owner := controller_of(old)):
            owned[owner].discard(key)
            if not owned[owner]:
                del owned[owner]
        if type_ == "DELETED":
            del self._items[resource.plural][key]
        else:
            self._items[resource.plural][key] = new
            if owner := controller_of(new):
                owned[owner].add(key)
        entry = Entry(self.version, type_, resource, new, old)
        self._history.append(entry)
        if len(self._history) > 2 * self._history_max:  # amortised: not one shift a write
            del self._history[: -self._history_max]
        for callback in self._watchers:
            callback(entry, at)
        return new

    def compact(self) -> None:
        """Forget all history: older versions are Gone from now on."""
        self._history.clear()

    def since(self, version: int) -> Iterator[Entry]:
        """Yield the history after ``version``, oldest first.

        Raises:
            StatusError: 410, history does not reach back so far.
        """
        oldest = self._history[0].version - 1 if self._history else self.version
        if version < oldest:
            raise expired(f"too old resource version: {version} ({oldest})")
        yield from self._history[version - oldest :]

    def list_at(self, resource: Resource, version: int) -> list[Obj]:
        """Return the objects as they were at ``version``, sorted by namespace and name.

        Raises:
            StatusError: 410, history does not reach back so far.
        """
        items = dict(self._items[resource.plural])
        for entry in reversed(list(self.since(version))):
            if entry.resource is not resource:
                continue
            key = (entry.item["metadata"].get("namespace", ""), entry.item["metadata"]["name"])
            items.pop(key, None)
            if entry.before is not None:
                items[key] = entry.before
        return [items[key] for key in sorted(items)]


def controller_of(item: Obj) -> str:
    """Return the uid of the controlling owner, empty if there is none."""
    for owner in item["metadata"].get("ownerReferences", ()):
        if owner.get("controller"):
            return str(owner["uid"])
    return ""
