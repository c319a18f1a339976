"""The audit log: every write and review that a client sent, with its outcome. Reads are not kept."""

import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One request. ``resource`` is written as in rights; ``user`` is empty if nobody known asked."""

    at: dt.datetime
    user: str
    verb: str
    resource: str
    namespace: str
    name: str
    is_dry_run: bool
    status: int
