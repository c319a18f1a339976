"""What the fold can be told: the closed set of its inputs."""

import asyncio
import datetime as dt
from dataclasses import dataclass, field
from typing import TypeAlias

from opsagent.model.alert import Evidence, ReportedAlert
from opsagent.model.entity import Kind
from opsagent.model.kube import KubeObject
from opsagent.model.plan import PlanRecord
from opsagent.model.signal import RowType


@dataclass(frozen=True, slots=True)
class Observed:
    """A reflector saw an object, or finished a full list (``SYNCED``, no item)."""

    at: dt.datetime
    type: RowType
    kind: Kind
    item: KubeObject | None


@dataclass(frozen=True, slots=True)
class Moved:
    """A plan has a new state."""

    record: PlanRecord


@dataclass(frozen=True, slots=True)
class Found:
    """A closer look at an incident's objects found something."""

    incident_id: str
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True, slots=True)
class Noted:
    """How the responder came to its answer, one line each; ``investigation_id`` names the transcript."""

    incident_id: str
    notes: tuple[str, ...]
    investigation_id: str


@dataclass(frozen=True, slots=True)
class Unplanned:
    """The responder has nothing to offer, and why."""

    incident_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Told:
    """Somebody else's alerting reports alerts; ``is_committed`` is set once what follows is durable."""

    alerts: tuple[ReportedAlert, ...]
    is_committed: asyncio.Event = field(default_factory=asyncio.Event, compare=False)


Input: TypeAlias = Observed | Moved | Found | Noted | Unplanned | Told
