"""Incidents: the SRE life cycle, its causes and its timeline."""

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum

from opsagent.model.alert import Evidence, Severity
from opsagent.model.entity import Entity


class Cause(StrEnum):
    """What opsagent can name. A new cause needs a fault in the sim, a scenario and a runbook."""

    BAD_ROLLOUT = "bad_rollout"
    INCORRECT_IMAGE_REFERENCE = "incorrect_image_reference"
    OOM_KILLED = "oom_killed"
    APPLICATION_ERROR = "application_error"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One candidate: the entity to repair (not the first one that hurt), why, how sure (0 to 1)."""

    entity: Entity
    cause: Cause
    confidence: float
    reason: str
    evidence: tuple[Evidence, ...] = ()


class IncidentState(StrEnum):
    """Mitigated means: the harm stopped, not yet verified to stay away."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    MITIGATED = "mitigated"
    RESOLVED = "resolved"
    CLOSED = "closed"


class EntryKind(StrEnum):
    """What a timeline line tells."""

    DETECTED = "detected"
    OPENED = "incident_opened"
    JOINED = "alert_joined"
    CLEARED = "alert_cleared"
    CAUSE = "cause"
    INVESTIGATED = "investigated"
    PLAN = "plan"
    NO_PLAN = "no_plan"
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"
    REFUSED = "refused"
    EXECUTED = "executed"
    VERIFIED = "verified"
    VERIFICATION_FAILED = "verification_failed"
    ROLLED_BACK = "rolled_back"
    NEEDS_PERSON = "needs_person"
    RESOLVED = "resolved"
    REOPENED = "reopened"


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One line: when, who (``opsagent``, ``executor`` or a person's name), what, on what evidence."""

    at: dt.datetime
    actor: str
    kind: EntryKind
    text: str
    pointer: str = ""


@dataclass(frozen=True, slots=True)
class Incident:
    """Everything opsagent believes about one trouble. Timeline and diagnoses are oldest/best first."""

    incident_id: str
    entity: Entity
    severity: Severity
    state: IncidentState
    title: str
    opened_at: dt.datetime
    updated_at: dt.datetime
    resolved_at: dt.datetime | None
    firing: tuple[str, ...]
    cleared: tuple[str, ...]
    diagnoses: tuple[Diagnosis, ...]
    timeline: tuple[TimelineEntry, ...]
    plan_ids: tuple[str, ...] = ()
    waiting_for: str = ""
    group_key: str = ""  # of its alerts; empty: the entity
