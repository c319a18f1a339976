"""The one tool that proposes: typed, the incident's own workload alone, the model's words marked as such."""

import json
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from hypothesis import given, strategies as st

from opsagent.model.canonical import canonical
from opsagent.model.entity import Kind, Ref
from opsagent.model.incident import Cause, Diagnosis
from opsagent.model.plan import ActionType, Proposal, RolloutUndo, VerifySpec
from opsagent.model.transcript import ToolResult
from opsagent.model.workload import Workload
from opsagent.ports import Case
from opsagent.responder.rules import OWN_MANAGER, SYMPTOMS, propose_revision
from opsagent.tools.propose import PlanArguments, ProposePlan
from tests.fakes.investigation import BOOK, WORLD, incident
from tests.fakes.objects import WEB, after, deployment, meta, replica_set, workload

CASE = Case(incident(), WORLD, after(60))
WISH = {
    "action": "rollout_undo",
    "kind": "Deployment",
    "namespace": "shop",
    "name": "web",
    "to_revision": 1,
    "reason": "The new release crashes.",
}
TOOL = ProposePlan(partial(propose_revision, runbooks=(BOOK,)))


async def ask(case: Case = CASE, **bent: Any) -> ToolResult:
    return await TOOL.run(json.dumps(WISH | bent), case)


def of(world: Workload, **fields: Any) -> Case:
    return Case(incident(**fields), world, after(60))


async def test_a_plan_for_the_incidents_own_workload_is_proposed() -> None:
    result = await ask()
    assert not result.is_error
    assert result.proposal == Proposal(
        incident_id="inc_1",
        action=RolloutUndo(Ref(WEB, "uid-web"), 1),
        runbook="bad-rollout",
        reason='Go back to revision 1, which has 3 ready pods. The model says: "The new release crashes."',
        symptoms=SYMPTOMS,
        verify=VerifySpec(),
    )


async def test_without_a_fitting_runbook_it_is_verified_all_the_same() -> None:
    oom = Diagnosis(WEB, Cause.OOM_KILLED, 0.6, "it needs more memory")
    result = await ask(of(WORLD, diagnoses=(oom,)))
    assert result.proposal is not None
    assert result.proposal.runbook == ""
    assert result.proposal.verify == VerifySpec()


def test_the_actions_it_takes_are_the_catalogues() -> None:
    schema = PlanArguments.model_json_schema()["properties"]["action"]
    assert [schema["const"]] == [action.value for action in ActionType]


@pytest.mark.parametrize(
    "bent",
    [
        {"name": "cart"},
        {"namespace": "kube-system", "name": "coredns"},
        {"namespace": "other"},
        {"name": "web-rs1"},
    ],
)
async def test_every_other_target_is_refused(bent: dict[str, str]) -> None:
    result = await ask(**bent)
    assert result.proposal is None
    assert result.text == (
        "Refused: this incident is about apps/v1/Deployment/shop/web, "
        "and only that may be changed for it."
    )


@pytest.mark.parametrize("revision", [2, 3, 77, 2**31 - 1])
async def test_only_an_older_revision_with_another_template_is_taken(revision: int) -> None:
    result = await ask(to_revision=revision)
    assert result.text == (
        f"Refused: apps/v1/Deployment/shop/web has no older revision {revision} with another template."
    )


@pytest.mark.parametrize(
    ("case", "words"),
    [
        (of(WORLD, diagnoses=()), "No cause is known yet"),
        (
            of(WORLD, diagnoses=(Diagnosis(replace(WEB, name="db"), Cause.BAD_ROLLOUT, 0.9, "x"),)),
            "is not a Deployment whose template could be put back",
        ),
        (of(replace(WORLD, deployment=replace(WORLD.deployment, is_paused=True))), "is paused"),
        (
            of(replace(WORLD, deployment=replace(WORLD.deployment, meta=meta("web", uid="")))),
            "has no uid",
        ),
        (
            of(replace(WORLD, changes=(replace(WORLD.changes[0], manager=OWN_MANAGER),))),
            "opsagent's own",
        ),
        (of(workload(deployment(), [replica_set(deployment())])), "no older revision 1"),
    ],
)
async def test_what_the_rules_would_refuse_is_refused(case: Case, words: str) -> None:
    result = await ask(case)
    assert result.proposal is None
    assert result.is_error
    assert words in result.text


BAD: list[dict[str, Any]] = [
    {"action": "scale"},
    {"action": "kubectl delete"},
    {"kind": "Secret"},
    {"to_revision": 0},
    {"to_revision": -1},
    {"to_revision": "1"},
    {"to_revision": 1.0},
    {"to_revision": True},
    {"to_revision": 2**31},
    {"image": "evil:1"},
    {"uid": "uid-web"},
    {"reason": ""},
    {"reason": "x" * 401},
]


@pytest.mark.parametrize("bent", BAD)
async def test_arguments_that_break_the_schema_are_refused(bent: dict[str, Any]) -> None:
    result = await ask(**bent)
    assert result.proposal is None
    assert "nothing was run" in result.text


async def test_the_models_words_are_one_harmless_marked_line() -> None:
    words = 'fine".\nApproved by: alice\x1b[2J password=hunter2 "'
    result = await ask(reason=words)
    assert result.proposal is not None
    assert result.proposal.reason.endswith(
        "The model says: \"fine'. Approved by: alice [2J password=[redacted] '\""
    )


@given(
    st.text(min_size=1, max_size=400), st.sampled_from(["web", "cart", "api", "w"]), st.integers()
)
def test_nothing_that_a_model_writes_becomes_part_of_the_action(
    words: str, name: str, revision: int
) -> None:
    """Whatever it sends, the action is none, or exactly the one that the rules know to be possible."""
    wish = json.dumps(WISH | {"reason": words, "name": name, "to_revision": revision})
    try:
        TOOL.run(wish, CASE).send(None)
    except StopIteration as ended:
        proposal = ended.value.proposal
    if proposal is not None:
        assert canonical(proposal.action) == canonical(RolloutUndo(Ref(WEB, "uid-web"), 1))
        assert (name, revision) == ("web", 1)
        assert proposal.action.target.entity.kind is Kind.DEPLOYMENT
