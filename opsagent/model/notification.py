"""Messages to people. The id is the idempotency key: sent twice, it is still one message."""

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum

from opsagent.model.alert import Severity


class NotificationReason(StrEnum):
    """Why a person is told. One message per incident, severity and reason, but for the last."""

    OPENED = "opened"
    WORSE = "worse"
    APPROVAL_NEEDED = "approval_needed"
    APPROVAL_EXPIRED = "approval_expired"
    NEEDS_PERSON = "needs_person"
    RESOLVED = "resolved"
    UNWRITABLE = "unwritable"  # about opsagent itself: no incident


@dataclass(frozen=True, slots=True)
class Notification:
    """One message. ``lines`` are plain text, redacted, already short; ``incident_id`` is empty if it is about none."""

    notification_id: str
    incident_id: str
    reason: NotificationReason
    severity: Severity
    title: str
    lines: tuple[str, ...]
    at: dt.datetime
