"""Read the API server's audit log: the proof of what was written to the cluster, and by whom.

The policy (manifests/audit-policy.yaml) logs every write of everyone, also refused ones. An entry is
written before the server ends its answer, but read it as a fact only after the next answer has come.
A delete may carry its dry run in the body, which the log does not show: it counts as a write here.
"""

import datetime as dt
import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

# The groups of TokenReview, SubjectAccessReview and their like: created, but nothing is stored.
REVIEW_GROUPS = ("authentication.k8s.io", "authorization.k8s.io")


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One request that asked for a write. ``at`` is when it was received; ``status`` is the answer's."""

    at: dt.datetime
    username: str
    verb: str
    group: str
    resource: str
    subresource: str
    namespace: str
    name: str
    status: int
    is_dry_run: bool


def service_account(namespace: str, name: str) -> str:
    """Return the username of a service account."""
    return f"system:serviceaccount:{namespace}:{name}"


def entries(log: Path) -> tuple[AuditEntry, ...]:
    """Return all entries, oldest first. A line that is still being written is left for later."""
    lines = log.read_bytes().splitlines(keepends=True)
    return tuple(_entry(line) for line in lines if line.endswith(b"\n"))


def writes(log: Path, usernames: Collection[str]) -> tuple[AuditEntry, ...]:
    """Return what the users asked to have written: no dry runs, no reviews. Oldest first."""
    return tuple(
        entry
        for entry in entries(log)
        if entry.username in usernames and not entry.is_dry_run and entry.group not in REVIEW_GROUPS
    )


def _entry(line: bytes) -> AuditEntry:
    event = json.loads(line)
    # A request that was refused before it was routed has no object, a create has no name.
    about = event.get("objectRef", {})
    query = parse_qs(urlsplit(event["requestURI"]).query)
    return AuditEntry(
        at=dt.datetime.fromisoformat(event["requestReceivedTimestamp"]),
        username=event["user"].get("username", ""),
        verb=event["verb"],
        group=about.get("apiGroup", ""),
        resource=about.get("resource", ""),
        subresource=about.get("subresource", ""),
        namespace=about.get("namespace", ""),
        name=about.get("name", ""),
        status=event.get("responseStatus", {}).get("code", 0),
        is_dry_run=query.get("dryRun") == ["All"],
    )
