"""From the API's shapes (``kube_struct``) to the model's values: what all kinds share.

Pure. Absent and null become the API's documented defaults, instants become UTC. Text is taken as it
comes: it is untrusted and is redacted later, before it is stored. Each group of the API has a file of
its own beside this one.
"""

import datetime as dt
import sys
from collections.abc import Mapping, Sequence

import msgspec

from opsagent.clients import kube_struct as struct
from opsagent.clients.kube_known import Known
from opsagent.clients.kube_managers import owned
from opsagent.model import kube
from opsagent.model.quick import quick

PARTS_MAX = 4_096  # maps and owners that are known at a time: 2 MiB or so
PART_BYTES_MAX = 1_024  # annotations can be 256 KiB

_UTC = dt.UTC
_ObjectMeta = quick(kube.ObjectMeta)
_Condition = quick(kube.Condition)
_texts = msgspec.json.Decoder(struct.Texts | None)
_references = msgspec.json.Decoder(list[struct.OwnerReference] | None)
_managers = msgspec.json.Decoder(list[struct.ManagedField] | None)


def utc(at: dt.datetime | None) -> dt.datetime | None:
    """Return the same instant in UTC."""
    return at if at is None or at.tzinfo is _UTC else at.astimezone(_UTC)


def text(value: int | str | None) -> str:
    """Return a number or a name as text, empty if there is none."""
    return "" if value is None else str(value)


def meta(item: struct.Meta) -> kube.ObjectMeta:
    """Convert metadata with its managers."""
    entries = _managers.decode(item.managed_fields) or ()
    managers = [_manager(entry, owns) for entry, owns in zip(entries, owned(entries), strict=True)]
    return bare_meta(item, tuple(managers))


def bare_meta(item: struct.Meta, managers: tuple[kube.FieldManager, ...] = ()) -> kube.ObjectMeta:
    """Convert metadata without its managers: for kinds that only controllers write."""
    return _ObjectMeta(
        sys.intern(item.namespace or ""),  # few, in very many objects
        item.name,
        item.uid,
        item.resource_version,
        item.generation or 0,
        utc(item.creation_timestamp),
        item.deletion_timestamp and utc(item.deletion_timestamp),
        _maps[bytes(item.labels)],
        _maps[bytes(item.annotations)],
        _owners[bytes(item.owner_references)],
        managers,
    )


def _manager(entry: struct.ManagedField, owns: tuple[str, ...]) -> kube.FieldManager:
    return kube.FieldManager(
        entry.manager, entry.operation, utc(entry.time), entry.subresource or "", owns
    )


def _map(content: bytes) -> Mapping[str, str]:
    return _texts.decode(content) or {}


def _owner(content: bytes) -> kube.OwnerRef | None:
    for reference in _references.decode(content) or ():
        if reference.controller:
            return kube.OwnerRef(reference.kind, reference.name, reference.uid)
    return None


_maps = Known(_map, PARTS_MAX, PART_BYTES_MAX)
_owners = Known(_owner, PARTS_MAX, PART_BYTES_MAX)


def conditions(items: Sequence[struct.Condition] | None) -> tuple[kube.Condition, ...]:
    """Convert conditions, in the API's order."""
    if not items:
        return ()
    return tuple(
        [
            _Condition(
                entry.type,
                entry.status,
                entry.reason or "",
                entry.message or "",
                at if (at := entry.last_transition_time) is None or at.tzinfo is _UTC else utc(at),
            )
            for entry in items
        ]
    )


def requirements(items: Sequence[struct.Requirement] | None) -> tuple[kube.Requirement, ...]:
    """Convert expressions of a selector."""
    return tuple(
        kube.Requirement(entry.key, entry.operator, tuple(entry.values or ()))
        for entry in items or ()
    )


def selector(item: struct.LabelSelector | None) -> kube.LabelSelector | None:
    """Convert a selector; None stays None."""
    if item is None:
        return None
    return kube.LabelSelector(item.match_labels or {}, requirements(item.match_expressions))


def names(items: Sequence[struct.Named] | None) -> tuple[str, ...]:
    """Return the names of local references."""
    return tuple(entry.name or "" for entry in items or ())


def whole(number: int | None, default: int = 0) -> int:
    """Return ``number``, or the default if it is not said; 0 is said."""
    return default if number is None else number


def texts(values: Mapping[str, str] | None) -> Mapping[str, str]:
    """Return a map that may be absent."""
    return values or {}
