"""The live objects, joined: what is there now, what belongs to which Deployment, what changed lately.

Theory of operation. The inventory is folded from raw rows and owned by one caller, who mutates it through
``apply`` and ``restore`` alone. Three indexes make it cheap:

- ``_held``: kind -> entity -> newest object and the row it came from;
- ``_owned``: owner's uid -> the entities it controls, filled whether or not the owner is known yet,
  because kinds are listed one after another in any order;
- ``_about``: an object's uid -> the Events that regard it.

How all of them hang together is kept beside it (``topology``), by the same rows.

Every entry belongs to a live object and goes with it, so what is held is bounded by what the cluster
holds. One row costs a few dictionary operations; one workload costs its own objects.

It refuses to guess: a pod whose ReplicaSet is not known belongs to nothing yet.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from itertools import takewhile
from operator import attrgetter
from typing import TypeVar

from opsagent.model.entity import Entity, Kind
from opsagent.model.kube import (
    TYPES,
    Deployment,
    KubeEvent,
    KubeObject,
    ObjectMeta,
    Pod,
    ReplicaSet,
    entity_of,
)
from opsagent.model.quick import quick
from opsagent.model.signal import Change, ChangeType, RawRow, RowType
from opsagent.model.workload import Workload
from opsagent.signals.change import changes
from opsagent.signals.topology import Topology

EVENTS_MAX = 50  # of one workload
CHANGES_MAX = 50  # of one object
DIARY_MAX = (
    10  # edits of one field in an hour: who writes more keeps a diary, and the rest is no news
)
# Of metadata. Annotations that say something to us are fields of their own; managers only tell who made a difference.
UNHEEDED = frozenset({"resource_version", "annotations", "managers"})
DIARY_PERIOD = dt.timedelta(hours=1)
T = TypeVar("T", bound=KubeObject)


@dataclass(frozen=True, slots=True)
class _Held:
    item: KubeObject
    pointer: str


_held_of, _Workload = quick(_Held), quick(Workload)


class Inventory:
    """See the module's docstring. One owner; not safe to share between tasks."""

    def __init__(self) -> None:
        self._held: dict[Kind, dict[Entity, _Held]] = {kind: {} for kind in Kind}
        self._owned: dict[str, dict[Entity, None]] = {}
        self._about: dict[str, dict[Entity, None]] = {}
        self._by_uid: dict[str, Entity] = {}
        self._changes: dict[Entity, tuple[Change, ...]] = {}
        self.topology = Topology()  # for reading only
        self.diary_total = 0  # edits that were one too many in an hour, and are not told

    def apply(self, row: RawRow) -> tuple[Change, ...]:
        """Fold one row; return what somebody changed, template first.

        A row about an earlier life of an object (another uid) than the one held changes nothing
        when it says DELETED.
        """
        if row.item is None:
            self.topology.listed(row.kind)
            return ()
        entity = entity_of(row.item)
        held = self._held[row.kind].get(entity)
        if row.type is RowType.DELETED:
            if held is None or held.item.meta.uid != row.item.meta.uid:
                return ()
            self._remove(entity, held.item)
        else:
            self._put(row, entity, None if held is None else held.item)
        return self._note(row, entity, None if held is None else held.item)

    def renew(self, row: RawRow) -> bool:
        """Take in a new version of an object if it says what the one before said; return whether it does."""
        if row.type is not RowType.MODIFIED or row.item is None:
            return False
        held_of_kind, entity = self._held[row.kind], entity_of(row.item)
        held = held_of_kind.get(entity)
        if held is None or not _says_the_same(held.item, row.item):
            return False
        held_of_kind[entity] = _held_of(row.item, f"raw:{row.seq}")
        self.topology.renew(row.item)
        return True

    def restore(self, rows: Iterable[RawRow], known_changes: Iterable[Change]) -> None:
        """Take over live objects and their recent changes, oldest or newest first; nothing counts as changed."""
        for row in rows:
            if row.item is not None and row.type is not RowType.DELETED:
                entity = entity_of(row.item)
                held = self._held[row.kind].get(entity)
                self._put(row, entity, None if held is None else held.item)
        for change in known_changes:
            self._remember(change.entity, (change,))

    def concerned(self, row: RawRow) -> set[Entity]:
        """Return the Deployments that ``row`` is about, known or not.

        An object that goes away is found before it is applied, one that comes after.
        """
        deployment = None if row.item is None else self._deployment_of(row.item)
        return set() if deployment is None else {deployment}

    def workload_of(self, entity: Entity) -> Entity | None:
        """Return the Deployment that a live object belongs to; of a Deployment itself."""
        held = self._held[entity.kind].get(entity)
        return None if held is None else self._deployment_of(held.item)

    def workloads(self) -> tuple[Entity, ...]:
        """Return all Deployments, in order."""
        return tuple(sorted(self._held[Kind.DEPLOYMENT]))

    def known(self, kind: Kind) -> Mapping[Entity, KubeObject]:
        """Return the live objects of ``kind``, as redacted."""
        return {entity: held.item for entity, held in self._held[kind].items()}

    def changes(self, entity: Entity) -> tuple[Change, ...]:
        """Return what was changed in a live object of any kind, newest first, bounded."""
        return self._changes.get(entity, ())

    def workload(self, deployment: Entity) -> Workload | None:
        """Return a Deployment joined with all that belongs to it, None if it does not exist."""
        held = self._held[Kind.DEPLOYMENT].get(deployment)
        if held is None or not isinstance(held.item, Deployment):
            return None
        sets = self._children(held.item, ReplicaSet)
        sets.sort(key=lambda each: (-each[0].revision, each[0].meta.name))
        pods = [found for owner, _, _ in sets for found in self._children(owner, Pod)]
        pods.sort(key=lambda each: each[0].meta.name)
        joined: list[tuple[KubeObject, Entity, str]]
        joined = [(held.item, deployment, held.pointer), *sets, *pods]
        events = self._events(item for item, _, _ in joined)
        return _Workload(
            deployment=held.item,
            replica_sets=tuple([item for item, _, _ in sets]),
            pods=tuple([item for item, _, _ in pods]),
            events=tuple([item for item, _, _ in events]),
            changes=self._changes.get(deployment, ()),
            pointers={entity: pointer for _, entity, pointer in (*joined, *events)},
        )

    def _put(self, row: RawRow, entity: Entity, old: KubeObject | None) -> None:
        assert row.item is not None  # SYNCED carries none and is turned away before
        if old is not None and _links(old) != _links(row.item):
            self._unlink(entity, old)
        self._held[row.kind][entity] = _held_of(row.item, f"raw:{row.seq}")
        self._by_uid[row.item.meta.uid] = entity
        for index, uid in self._indexes(row.item):
            index.setdefault(uid, {})[entity] = None
        self.topology.update(row.item)

    def _remove(self, entity: Entity, old: KubeObject) -> None:
        del self._held[entity.kind][entity]
        self._unlink(entity, old)
        self.topology.remove(old)

    def _unlink(self, entity: Entity, old: KubeObject) -> None:
        self._by_uid.pop(old.meta.uid, None)
        for index, uid in self._indexes(old):
            index[uid].pop(entity)
            if not index[uid]:
                del index[uid]

    def _indexes(self, item: KubeObject) -> Iterator[tuple[dict[str, dict[Entity, None]], str]]:
        """Yield the indexes that ``item`` stands in, each with its key."""
        if item.meta.owner is not None:
            yield self._owned, item.meta.owner.uid
        if isinstance(item, KubeEvent):
            yield self._about, item.regarding_uid

    def _note(self, row: RawRow, entity: Entity, old: KubeObject | None) -> tuple[Change, ...]:
        """Return what was changed and remember it as long as the object lives."""
        if row.type is RowType.DELETED:
            self._changes.pop(entity, None)
            return changes(old, None, row.at, f"raw:{row.seq}")
        found = changes(old, row.item, row.at, f"raw:{row.seq}")
        if not found:
            return ()
        news = tuple(change for change in found if not self._is_diary(change))
        self.diary_total += len(found) - len(news)
        self._remember(entity, news)
        return news

    def _is_diary(self, change: Change) -> bool:
        """Return whether this field was edited so often lately that one more edit says nothing."""
        if change.type is not ChangeType.EDIT:
            return False
        since = change.at - DIARY_PERIOD
        lately = takewhile(lambda each: each.at > since, self._changes.get(change.entity, ()))
        return sum(each.path == change.path for each in lately) >= DIARY_MAX

    def _remember(self, entity: Entity, found: tuple[Change, ...]) -> None:
        if not found or entity not in self._held[entity.kind]:
            return
        known = self._changes.get(entity, ())
        told = {change.change_id for change in known}
        news = [change for change in found if change.change_id not in told]
        if known and any(change.at <= known[0].at for change in news):
            news, known = [*news, *known], ()
        self._changes[entity] = (*_newest_first(news), *known)[:CHANGES_MAX]

    def _deployment_of(self, item: KubeObject) -> Entity | None:
        """Walk up: an Event to what it regards, a Pod to its ReplicaSet, that to its Deployment.

        Each step goes to another kind, so forged owner references cannot send it round in circles.
        """
        owner = item.meta.owner
        match item:
            case Deployment():
                return entity_of(item)
            case ReplicaSet() if owner is not None and owner.kind == Kind.DEPLOYMENT:
                return Entity(Kind.DEPLOYMENT, item.meta.namespace, owner.name)
            case Pod() if owner is not None:
                return self._upwards(owner.uid, (Kind.REPLICA_SET,))
            case KubeEvent():
                return self._upwards(
                    item.regarding_uid, (Kind.POD, Kind.REPLICA_SET, Kind.DEPLOYMENT)
                )
            case _:
                return None

    def _upwards(self, uid: str, kinds: tuple[Kind, ...]) -> Entity | None:
        entity = self._by_uid.get(uid)
        return None if entity is None or entity.kind not in kinds else self.workload_of(entity)

    def _children(self, owner: KubeObject, type_: type[T]) -> list[tuple[T, Entity, str]]:
        """Return what ``owner`` controls of one type, with pointers; owners never reach into another namespace."""
        found: list[tuple[T, Entity, str]] = []
        for entity in self._owned.get(owner.meta.uid, ()):
            if entity.namespace == owner.meta.namespace:
                held = self._held[entity.kind][entity]
                if isinstance(held.item, type_):
                    found.append((held.item, entity, held.pointer))
        return found

    def _events(self, items: Iterable[KubeObject]) -> list[tuple[KubeEvent, Entity, str]]:
        found = [
            (held.item, entity, held.pointer)
            for item in items
            for entity in self._about.get(item.meta.uid, ())
            if isinstance((held := self._held[entity.kind][entity]).item, KubeEvent)
        ]
        found.sort(key=lambda each: each[0].meta.name)
        found.sort(key=lambda each: _last_at(each[0]), reverse=True)
        return found[:EVENTS_MAX]


def _newest_first(found: Iterable[Change]) -> list[Change]:
    ordered = sorted(found, key=lambda change: (change.path, change.change_id))
    ordered.sort(key=lambda change: change.at, reverse=True)
    return ordered


def _said(type_: type[KubeObject]) -> Callable[[KubeObject], object]:
    about = [f"meta.{each.name}" for each in fields(ObjectMeta) if each.name not in UNHEEDED]
    return attrgetter(*[each.name for each in fields(type_) if each.name != "meta"], *about)


_SAID = {type_: _said(type_) for type_ in TYPES.values()}


def _says_the_same(old: KubeObject, new: KubeObject) -> bool:
    """Return whether the two versions differ in nothing that anybody looks at. What they share is not compared."""
    said = _SAID[type(new)]
    return type(old) is type(new) and said(old) == said(new)


def _links(item: KubeObject) -> tuple[str, str, str]:
    """Return everything that decides where ``item`` stands in the indexes."""
    owner = "" if item.meta.owner is None else item.meta.owner.uid
    return item.meta.uid, owner, item.regarding_uid if isinstance(item, KubeEvent) else ""


def _last_at(event: KubeEvent) -> float:
    at = event.last_at or event.first_at
    return 0.0 if at is None else at.timestamp()
