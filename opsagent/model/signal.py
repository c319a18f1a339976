"""What came in and what it means: raw rows, changes, log records."""

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum

from opsagent.model.entity import Entity, Kind
from opsagent.model.kube import KubeObject


class RowType(StrEnum):
    """How a row came to be. ``SYNCED`` closes a full list of one kind and carries no object."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    SYNCED = "SYNCED"


@dataclass(frozen=True, slots=True)
class RawRow:
    """One redacted observation, the unit of storage and of replay.

    ``seq`` is gapless from 1 within one state folder, 0 before it is assigned. Pointers name a row
    as ``raw:<seq>``. ``item`` is None only for ``SYNCED``.
    """

    seq: int
    at: dt.datetime
    type: RowType
    kind: Kind
    item: KubeObject | None = None


class ChangeType(StrEnum):
    """What sort of change was seen."""

    ROLLOUT = "rollout"  # the pod template of a workload
    SCALE = "scale"  # its desired replicas
    EDIT = "edit"  # any other field that people write
    CREATED = "created"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Change:
    """One difference that somebody made. ``old`` and ``new`` are short redacted texts, empty if none.

    ``path`` is the field in Kubernetes notation (``spec.template.spec.containers[web].image``);
    ``manager`` the field manager of the write, empty if unknown; ``pointer`` the raw row.
    """

    change_id: str
    at: dt.datetime
    entity: Entity
    type: ChangeType
    path: str
    old: str
    new: str
    manager: str
    revision: int
    pointer: str


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One redacted line of a container's log."""

    at: dt.datetime
    entity: Entity
    container: str
    text: str
