"""Which proposal the rules make of a diagnosed incident, and in which words they make none."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, strategies as st

from opsagent.model.alert import Severity, Symptom
from opsagent.model.entity import Entity, Kind, Ref
from opsagent.model.incident import Cause, Diagnosis, Incident, IncidentState
from opsagent.model.kube import ReplicaSet
from opsagent.model.plan import ActionType, Proposal, RolloutUndo, VerifySpec
from opsagent.model.signal import ChangeType
from opsagent.model.workload import Workload
from opsagent.ports import Advice
from opsagent.responder.investigator import RulesInvestigator
from opsagent.responder.rules import last_healthy, propose
from opsagent.runbook import RevisionChoice, Runbook, RunbookAction
from tests.fakes.objects import (
    T0,
    WEB,
    after,
    crash_looping,
    deployment,
    meta,
    replica_set,
    rolling,
    rollout_change,
    workload,
)

BOOK = Runbook(
    name="bad-rollout",
    description="",
    causes=frozenset({Cause.BAD_ROLLOUT, Cause.INCORRECT_IMAGE_REFERENCE}),
    confidence_min=0.6,
    change_within=dt.timedelta(hours=1),
    action=RunbookAction(ActionType.ROLLOUT_UNDO, RevisionChoice.LAST_HEALTHY),
    verify=VerifySpec(120, 3),
)
NOW = after(60)


def incident(*diagnoses: Diagnosis) -> Incident:
    return Incident(
        incident_id="inc_1",
        entity=WEB,
        severity=Severity.CRITICAL,
        state=IncidentState.OPEN,
        title="shop/web crashes",
        opened_at=after(30),
        updated_at=after(30),
        resolved_at=None,
        firing=("alr_1",),
        cleared=(),
        diagnoses=diagnoses,
        timeline=(),
    )


def diagnosis(
    cause: Cause = Cause.BAD_ROLLOUT, confidence: float = 0.9, entity: Entity = WEB
) -> Diagnosis:
    return Diagnosis(entity, cause, confidence, "it followed a rollout")


BROKEN = rolling([crash_looping(after(20))])


def ask(
    world: Workload = BROKEN,
    top: Diagnosis | None = None,
    *,
    books: Sequence[Runbook] = (BOOK,),
    now: dt.datetime = NOW,
    verify: VerifySpec | None = None,
) -> Proposal | str:
    return propose(incident(top or diagnosis()), world, books, now, verify)


def undone_to(world: Workload) -> int:
    proposal = ask(world)
    assert isinstance(proposal, Proposal), proposal
    return proposal.action.to_revision


def test_a_bad_rollout_goes_back_to_the_revision_that_still_serves() -> None:
    assert ask() == Proposal(
        incident_id="inc_1",
        action=RolloutUndo(Ref(WEB, "uid-web"), 1),
        runbook="bad-rollout",
        reason=(
            "shop/web was rolled out at 00:00:00 UTC and fails since (bad_rollout, confidence 0.90). "
            "Go back to revision 1, which still has 3 ready pods."
        ),
        symptoms=tuple(Symptom),
        verify=VerifySpec(120, 3),
    )


def test_the_configured_verification_takes_the_runbooks_place() -> None:
    proposal = ask(verify=VerifySpec(20, 4))
    assert isinstance(proposal, Proposal)
    assert proposal.verify == VerifySpec(20, 4)


async def test_the_investigator_asks_the_same_rules() -> None:
    class OneBook:
        def runbooks(self) -> tuple[Runbook, ...]:
            return (BOOK,)

    found = await RulesInvestigator(OneBook(), VerifySpec(20, 3)).investigate(
        incident(diagnosis()), BROKEN, NOW
    )
    assert found == Advice(ask(verify=VerifySpec(20, 3)))


def changed(**fields: Any) -> Workload:
    return replace(BROKEN, changes=(replace(rollout_change(), **fields),))


def several(
    *ready: int, present: int, digests: Sequence[str] = "", is_dated: bool = True
) -> Workload:
    """Return web at revision ``present`` with one ReplicaSet per entry: revision 1, 2, ... and its ready pods."""
    owner = deployment(revision=present)
    sets = [
        replica_set(
            owner, number, replicas_ready=pods, template_digest=(digests or "abcdefgh")[number - 1]
        )
        for number, pods in enumerate(ready, 1)
    ]
    if is_dated:
        return workload(owner, sets, changes=[rollout_change()])
    undated = [replace(each, meta=replace(each.meta, created_at=None)) for each in sets]
    return workload(owner, undated)


NODE = Entity(Kind.NODE, "", "n1")
NO_PLAN = {
    "confidence below the runbook's": (
        BROKEN, diagnosis(confidence=0.59), "No runbook is for bad_rollout at confidence 0.59.",
    ),
    "a cause without a runbook": (
        BROKEN, diagnosis(Cause.APPLICATION_ERROR), "No runbook is for application_error",
    ),
    "another entity": (BROKEN, diagnosis(entity=NODE), "v1/Node/n1 is not a Deployment"),
    "no uid": (
        rolling([], meta=meta("web", uid="")), diagnosis(), "has no uid",
    ),
    "going away": (
        rolling([], meta=meta("web", deleted_at=T0)), diagnosis(), "is being deleted",
    ),
    "paused": (rolling([], is_paused=True), diagnosis(), "is paused"),
    "no change seen": (
        replace(BROKEN, changes=(), replica_sets=BROKEN.replica_sets[:1]), diagnosis(),
        "No rollout of apps/v1/Deployment/shop/web was seen",
    ),
    "only scaled": (
        replace(changed(type=ChangeType.SCALE), replica_sets=()), diagnosis(), "No rollout of",
    ),
    "an undated newest set": (
        several(3, 0, present=2, is_dated=False), diagnosis(), "No rollout of",
    ),
    "an old set put back": (
        replace(several(3, 0, present=2), changes=()), diagnosis(), "was 24.0 h ago",
    ),
    "too long ago": (
        changed(at=NOW - dt.timedelta(hours=1, seconds=1)), diagnosis(),
        "was 1.0 h ago; bad-rollout undoes only what is younger than 1.0 h",
    ),
    "our own undo": (
        changed(manager="opsagent-executor"), diagnosis(), "does not undo itself",
    ),
    "nothing older": (
        replace(BROKEN, replica_sets=BROKEN.replica_sets[:1]), diagnosis(), "has no older revision",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("world", "top", "words"), NO_PLAN.values(), ids=NO_PLAN)
def test_what_does_not_fit_gives_the_reason_and_no_plan(
    world: Workload, top: Diagnosis, words: str
) -> None:
    answer = ask(world, top)
    assert isinstance(answer, str)
    assert words in answer


def test_a_rollout_that_nobody_watched_is_dated_by_its_replica_set() -> None:
    proposal = ask(replace(BROKEN, changes=()))
    assert isinstance(proposal, Proposal)
    assert "was rolled out at 00:00:01 UTC" in proposal.reason


def test_without_a_diagnosis_there_is_no_plan() -> None:
    answer = propose(incident(), BROKEN, (BOOK,), NOW)
    assert answer == "No cause is known yet, so no runbook applies."


def test_without_runbooks_there_is_no_plan() -> None:
    assert isinstance(ask(books=()), str)


def test_the_last_moment_of_the_window_still_counts() -> None:
    assert isinstance(ask(changed(at=NOW - BOOK.change_within)), Proposal)


def test_only_the_newest_rollout_is_dated() -> None:
    old = rollout_change(at=after(-90_000))
    scaled = replace(rollout_change(), type=ChangeType.SCALE)
    world = replace(BROKEN, changes=(scaled, rollout_change(), old))
    assert isinstance(ask(world), Proposal)


@pytest.mark.parametrize(
    ("world", "revision"),
    [
        (several(0, 2, 0, 0, present=4), 2),  # a bad rollout on top of a bad one
        (several(3, 1, 0, present=3), 2),  # both serve: the newer one
        (several(0, 0, 0, present=3), 2),  # nobody serves: the one before
        (several(2, 0, 1, present=3), 1),  # the present one never counts, though a pod of it is ready
        (several(3, 0, present=1), 1),  # the controller has stamped the ReplicaSet, not yet the Deployment
        (several(1, 3, 0, present=3, digests="axx"), 1),  # the same template again changes nothing
    ],
)  # fmt: skip
def test_the_last_healthy_revision(world: Workload, revision: int) -> None:
    assert undone_to(world) == revision


def test_a_revision_that_nobody_saw_healthy_is_named_as_such() -> None:
    answer = ask(several(0, 0, present=2))
    assert isinstance(answer, Proposal)
    assert "is the one before; no older revision has a ready pod to prove it" in answer.reason


def test_one_ready_pod_is_one() -> None:
    answer = ask(several(1, 0, present=2))
    assert isinstance(answer, Proposal)
    assert "still has 1 ready pod." in answer.reason


def test_a_deployment_without_replica_sets_has_nowhere_to_go() -> None:
    assert isinstance(last_healthy(several(present=1)), str)


SETS = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 3), st.sampled_from(["", "a", "b"])), max_size=6
)


@given(present=st.integers(0, 6), sets=SETS)
def test_never_the_present_revision_never_a_later_one_never_the_same_template(
    present: int, sets: list[tuple[int, int, str]]
) -> None:
    owner = deployment(revision=present)
    owned: list[ReplicaSet] = [
        replica_set(owner, number, replicas_ready=ready, template_digest=digest)
        for number, ready, digest in sets
    ]
    world = workload(owner, owned, changes=[rollout_change()])
    chosen = last_healthy(world)
    top = max([present, *(item.revision for item in owned)])
    if isinstance(chosen, str):
        assert all(
            item.revision in {0, top} or item.template_digest in digests_of(owned, top)
            for item in owned
        )
        return
    assert 0 < chosen.number < top
    assert any(
        item.revision == chosen.number and item.template_digest not in digests_of(owned, top)
        for item in owned
    )


def digests_of(owned: list[ReplicaSet], revision: int) -> set[str]:
    return {item.template_digest for item in owned if item.revision == revision} - {""}
