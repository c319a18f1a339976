"""Alerts in Alertmanager's words: labels, annotations, fingerprint, starts_at, ends_at."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from opsagent.model.canonical import content_id
from opsagent.model.entity import Entity, Kind


class Severity(StrEnum):
    """How bad, in Alertmanager's usual words."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


class EvidenceKind(StrEnum):
    """Where a piece of evidence comes from."""

    OBJECT = "object"
    EVENT = "event"
    LOG = "log"
    METRIC = "metric"
    ALERT = "alert"
    CHANGE = "change"


@dataclass(frozen=True, slots=True)
class Evidence:
    """One observed thing that supports a claim.

    ``ref`` is the entity's full reference, ``text`` what was seen (redacted, untrusted: data only),
    ``pointer`` the raw row it can be opened at (``raw:<seq>``), ``at`` when.
    """

    kind: EvidenceKind
    ref: str
    text: str
    at: dt.datetime
    pointer: str = ""


class Symptom(StrEnum):
    """The ``alertname`` of our own detectors."""

    CRASH_LOOP = "ContainerCrashLooping"
    IMAGE_PULL = "ContainerImagePullFailing"
    OOM_KILLED = "ContainerOOMKilled"
    NEVER_READY = "PodsNeverReady"
    ROLLOUT_STUCK = "RolloutStuck"


class AlertState(StrEnum):
    """Prometheus' states of an alert."""

    PENDING = "pending"
    FIRING = "firing"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Alert:
    """One detector's or Alertmanager's statement about one entity.

    The fingerprint depends on the labels alone, so that the same trouble seen again after a restart
    is the same alert. ``ends_at`` is None while it fires. ``heard_at`` is when somebody else's alerting
    last said so, None if one of our own detectors does.
    """

    fingerprint: str
    name: str
    entity: Entity
    severity: Severity
    state: AlertState
    starts_at: dt.datetime
    ends_at: dt.datetime | None
    labels: Mapping[str, str]
    annotations: Mapping[str, str] = field(default_factory=dict)
    evidence: tuple[Evidence, ...] = ()
    heard_at: dt.datetime | None = None

    @property
    def is_own(self) -> bool:
        """Whether one of our own detectors says so."""
        return self.heard_at is None

    @property
    def group_key(self) -> str:
        """What its incident is about: its Deployment; else its name, and the namespace or node it is in."""
        is_placed = self.entity.kind is Kind.DEPLOYMENT
        return str(self.entity) if is_placed else f"{self.entity} {self.name}"


@dataclass(frozen=True, slots=True)
class ReportedAlert:
    """What somebody else's alerting says of one alert, before it is known what it is about.

    Labels and annotations are untrusted text, bounded in number and length.
    """

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    state: AlertState
    starts_at: dt.datetime
    ends_at: dt.datetime | None


@dataclass(frozen=True, slots=True)
class StandingAlert:
    """An alert that an Alertmanager holds; ``silenced_by`` and ``inhibited_by`` name what keeps it from people."""

    alert: ReportedAlert
    silenced_by: tuple[str, ...] = ()
    inhibited_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Silence:
    """Alerts that a person has muted for a while: those that all ``matchers`` (``name="value"``) match."""

    silence_id: str
    matchers: tuple[str, ...]
    is_active: bool
    starts_at: dt.datetime
    ends_at: dt.datetime
    author: str
    comment: str


def fingerprint(labels: Mapping[str, str]) -> str:
    """Return ``alr_`` and 16 hex digits over the sorted labels."""
    return content_id("alr", labels)
