"""The rules-only responder: from the top diagnosis to one typed proposal, or to the reason why there is none.

Theory of operation. A runbook is chosen by cause and confidence, then checked by typed steps against
what the cluster looks like now: the target exists in this very life of it (uid), a rollout was seen
recently, the object accepts a new template, there is a revision to go back to. The first step that
fails ends the search with words for a person. Every name and number in the words comes from decoded
fields; text from logs and events never gets here.

Pure. It refuses to guess: no runbook, no proposal.
"""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from opsagent.incidents.words import count
from opsagent.model.alert import Symptom
from opsagent.model.entity import Ref
from opsagent.model.incident import Diagnosis, Incident
from opsagent.model.kube import ReplicaSet, ref_of
from opsagent.model.plan import Proposal, RolloutUndo, VerifySpec
from opsagent.model.signal import ChangeType
from opsagent.model.workload import Workload
from opsagent.ports import Case
from opsagent.runbook import Runbook, match

# An undo has succeeded when the Deployment is well, not when it is merely ill in another way.
SYMPTOMS = tuple(Symptom)
# The field manager of every write of the executor: undoing an undo would only swing to and fro.
OWN_MANAGER = "opsagent-executor"


@dataclass(frozen=True, slots=True)
class Revision:
    """Where an undo goes to, and why there, as the end of a sentence."""

    number: int
    reason: str


def propose(
    incident: Incident,
    workload: Workload,
    runbooks: Iterable[Runbook],
    now: dt.datetime,
    verify_override: VerifySpec | None = None,
) -> Proposal | str:
    """Return the proposal for ``incident``, or why no plan is made.

    Args:
        incident: its first diagnosis decides.
        workload: the Deployment that the diagnosis names, as it is now.
        runbooks: all active ones.
        now: rollouts are dated against it.
        verify_override: takes the place of the runbook's own verification.
    """
    if not incident.diagnoses:
        return "No cause is known yet, so no runbook applies."
    top = incident.diagnoses[0]
    book = match(runbooks, top.cause, top.confidence)
    if book is None:
        return f"No runbook is for {top.cause.value} at confidence {top.confidence:.2f}."
    found = _undo(top, workload, book, now)
    if isinstance(found, str):
        return found
    action, reason = found
    return Proposal(
        incident_id=incident.incident_id,
        action=action,
        runbook=book.name,
        reason=reason,
        symptoms=SYMPTOMS,
        verify=verify_override or book.verify,
    )


def propose_revision(
    case: Case,
    revision: int,
    words: str,
    runbooks: Iterable[Runbook],
    verify_override: VerifySpec | None = None,
) -> Proposal | str:
    """Return the proposal to go back to a revision that somebody else chose, or why that is refused.

    What :func:`propose` asks of the target and of the revision is asked here as well. A runbook is not
    needed, nor is an age of the rollout: a person sees both. ``words`` say why, marked as whose they are.
    """
    incident, workload = case.incident, case.workload
    if not incident.diagnoses:
        return "No cause is known yet."
    top = incident.diagnoses[0]
    target = _target(top, workload)
    if isinstance(target, str):
        return target
    rollout = _rollout(workload)
    if rollout is not None and rollout[1] == OWN_MANAGER:
        return f"The last rollout of {target.entity} was opsagent's own; a person has to look."
    chosen = next((each for each in older_revisions(workload) if each.revision == revision), None)
    if chosen is None:
        return f"{target.entity} has no older revision {revision} with another template."
    book = match(runbooks, top.cause, top.confidence)
    ready = count(chosen.replicas_ready, "ready pod")
    return Proposal(
        incident_id=incident.incident_id,
        action=RolloutUndo(target, revision),
        runbook="" if book is None else book.name,
        reason=f"Go back to revision {revision}, which has {ready}. {words}",
        symptoms=SYMPTOMS,
        verify=verify_override or (VerifySpec() if book is None else book.verify),
    )


def _undo(
    top: Diagnosis, workload: Workload, book: Runbook, now: dt.datetime
) -> tuple[RolloutUndo, str] | str:
    """Return the action and why it should be done, or why there is none."""
    target = _target(top, workload)
    if isinstance(target, str):
        return target
    rolled_out_at = _recent_rollout(workload, book, now)
    if isinstance(rolled_out_at, str):
        return rolled_out_at
    revision = last_healthy(workload)
    if isinstance(revision, str):
        return revision
    return RolloutUndo(target, revision.number), _reason(top, rolled_out_at, revision)


def _target(top: Diagnosis, workload: Workload) -> Ref | str:
    """Return the Deployment bound to its present life, or why it cannot be the target of an undo."""
    deployment = workload.deployment
    ref = ref_of(deployment)
    if ref.entity != top.entity:
        return f"{top.entity} is not a Deployment whose template could be put back."
    if not ref.uid:
        return f"{top.entity} has no uid, so a plan could not be bound to it."
    if deployment.meta.deleted_at is not None:
        return f"{top.entity} is being deleted."
    if deployment.is_paused:
        return f"{top.entity} is paused: an undo would have no effect until somebody resumes it."
    return ref


def _recent_rollout(workload: Workload, book: Runbook, now: dt.datetime) -> dt.datetime | str:
    """Return when the present template was rolled out, or why that is nothing an undo answers."""
    name = ref_of(workload.deployment).entity
    rollout = _rollout(workload)
    if rollout is None:
        return f"No rollout of {name} was seen, so there is nothing to undo."
    at, manager = rollout
    if manager == OWN_MANAGER:
        return f"The last rollout of {name} was opsagent's own; it does not undo itself, a person has to look."
    age = now - at
    if age > book.change_within:
        return f"The last rollout of {name} was {_span(age)} ago; {book.name} undoes only what is younger than {_span(book.change_within)}."
    return at


def _rollout(workload: Workload) -> tuple[dt.datetime, str] | None:
    """Return when and by whom the template was last written: as watched, else as the newest ReplicaSet dates it."""
    for change in workload.changes:
        if change.type is ChangeType.ROLLOUT:
            return change.at, change.manager
    newest, *older = workload.replica_sets or (None,)
    if newest is None or newest.meta.created_at is None or not older:
        return None
    return newest.meta.created_at, ""


def last_healthy(workload: Workload) -> Revision | str:
    """Return the revision to go back to, or why there is none.

    It is the highest one below the present one whose ReplicaSet still has a ready pod, for that
    template is seen working now; else the one just before. A template equal to the present one is
    never an answer: going there changes nothing.
    """
    older = older_revisions(workload)
    if not older:
        return f"{ref_of(workload.deployment).entity} has no older revision to go back to."
    for item in older:
        if item.replicas_ready > 0:
            return Revision(item.revision, f"still has {count(item.replicas_ready, 'ready pod')}")
    return Revision(
        older[0].revision, "is the one before; no older revision has a ready pod to prove it"
    )


def older_revisions(workload: Workload) -> list[ReplicaSet]:
    """Return those that hold another template than the present revision, highest revision first."""
    sets = workload.replica_sets
    # The controller stamps the ReplicaSet first: in between, the Deployment's number lags behind.
    present = max(workload.deployment.revision, *(item.revision for item in sets), 0)
    digests = {item.template_digest for item in sets if item.revision == present} - {""}
    older = (
        item for item in sets if 0 < item.revision < present and item.template_digest not in digests
    )
    return sorted(older, key=lambda item: item.revision, reverse=True)


def _reason(top: Diagnosis, rolled_out_at: dt.datetime, revision: Revision) -> str:
    at = rolled_out_at.astimezone(dt.UTC).strftime("%H:%M:%S UTC")
    return (
        f"{top.entity.namespace}/{top.entity.name} was rolled out at {at} and fails since "
        f"({top.cause.value}, confidence {top.confidence:.2f}). "
        f"Go back to revision {revision.number}, which {revision.reason}."
    )


def _span(length: dt.timedelta) -> str:
    return f"{length.total_seconds() / 3600:.1f} h"
