"""Why a Deployment is in trouble: changes first, contrast between revisions, and honest doubt."""

from dataclasses import replace

import pytest

from opsagent.detection.alerts import judge
from opsagent.incidents.diagnosis import (
    CANDIDATES_MAX,
    CONTRAST,
    EVIDENCE_MAX,
    NO_CONTRAST,
    OLD_PODS_TOO,
    OLD_STANDSTILL,
    OWN_WRITE,
    diagnose,
)
from opsagent.model.alert import Alert, EvidenceKind, Symptom
from opsagent.model.incident import Cause, Diagnosis
from opsagent.model.kube import Container
from opsagent.model.signal import ChangeType
from opsagent.model.workload import Workload
from tests.fakes.objects import (
    WEB,
    after,
    crash_looping,
    deployment,
    out_of_memory,
    pod,
    replica_set,
    rolling,
    rollout_change,
    running,
    stuck,
    waiting,
    workload,
)

CRASH = rolling([crash_looping(after(20))])
PULL = rolling([waiting("ErrImagePull", "manifest unknown")])


def alerts(world: Workload, seconds: float = 30) -> tuple[Alert, ...]:
    """Return what detection says of ``world``."""
    return judge((), world, after(seconds)).changed


def best(world: Workload, seconds: float = 30) -> Diagnosis:
    """Return the first candidate."""
    return diagnose(alerts(world, seconds), world, after(seconds))[0]


@pytest.mark.parametrize(
    ("world", "cause"),
    [
        (CRASH, Cause.BAD_ROLLOUT),
        (PULL, Cause.INCORRECT_IMAGE_REFERENCE),
        (rolling([out_of_memory(after(20))]), Cause.BAD_ROLLOUT),
        (
            rolling([running(after(5), is_ready=False)], is_deadline_exceeded=True),
            Cause.BAD_ROLLOUT,
        ),
        (stuck(), Cause.BAD_ROLLOUT),
    ],
    ids=["crash loop", "missing image", "oom kill", "never ready", "stuck rollout"],
)
@pytest.mark.parametrize("is_watched", [True, False], ids=["watched", "read off ReplicaSets"])
def test_the_five_faults_after_a_rollout_are_blamed_on_it(
    world: Workload, cause: Cause, is_watched: bool
) -> None:
    found = best(world if is_watched else replace(world, changes=()))
    assert (found.entity, found.cause, found.confidence) == (WEB, cause, CONTRAST)
    change = found.evidence[0]
    assert (change.kind, change.text) == (
        EvidenceKind.CHANGE,
        "image of web: shop/web:v1 -> shop/web:v2",
    )
    assert change.pointer.startswith("raw:")
    assert "Only revision 2 fails; 3 pods of older revisions ready." in found.reason


def test_the_reason_names_what_by_whom_and_how_long_before() -> None:
    assert best(CRASH).reason.startswith(
        "Rolled out at 00:00:00Z by kubectl-set, 30 s before the first symptom: "
        "image of web: shop/web:v1 -> shop/web:v2."
    )


def test_pain_and_what_is_healthy_are_evidence_too_but_never_too_much() -> None:
    texts = [each.text for each in best(CRASH).evidence]
    assert texts[1] == "3 pods of revision 1 ready"
    assert texts[2].startswith("web: waiting, CrashLoopBackOff")
    many = [rollout_change(path=f"spec.template.spec.containers[web].env[E{n}]") for n in range(40)]
    assert len(best(replace(CRASH, changes=tuple(many))).evidence) == EVIDENCE_MAX


def test_old_pods_that_fail_as_well_speak_against_the_rollout() -> None:
    old = replace(CRASH.pods[0], container_statuses=(crash_looping(after(21)),))
    world = replace(CRASH, pods=(old, *CRASH.pods[1:]))
    found = diagnose(alerts(world), world, after(30))
    assert found[0].cause is Cause.APPLICATION_ERROR
    assert (found[1].cause, found[1].confidence) == (Cause.BAD_ROLLOUT, OLD_PODS_TOO)
    assert "Pods of an older revision fail as well." in found[1].reason


def test_without_old_pods_there_is_nothing_to_compare() -> None:
    world = replace(CRASH, pods=CRASH.pods[-1:])
    assert best(world).confidence == NO_CONTRAST


def test_pods_of_no_known_revision_are_not_blamed_on_the_newest() -> None:
    bare = workload(deployment(), (), CRASH.pods[-1:], changes=[rollout_change()])
    assert best(bare).cause is Cause.APPLICATION_ERROR


def test_pods_on_their_way_out_prove_nothing() -> None:
    leaving = [
        replace(each, meta=replace(each.meta, deleted_at=after(9))) for each in CRASH.pods[:3]
    ]
    world = replace(CRASH, pods=(*leaving, CRASH.pods[-1]))
    assert best(world).confidence == NO_CONTRAST


def test_a_rollout_too_long_before_the_symptom_is_not_blamed_without_contrast() -> None:
    late = 31 * 60
    world = replace(CRASH, pods=CRASH.pods[-1:])
    assert best(world, late).cause is Cause.APPLICATION_ERROR
    standing = best(CRASH, late)
    assert (standing.cause, standing.confidence) == (Cause.BAD_ROLLOUT, OLD_STANDSTILL)


def test_a_rollout_after_the_symptom_is_not_its_cause() -> None:
    world = replace(CRASH, changes=(rollout_change(at=after(60)),))
    assert best(world).cause is Cause.APPLICATION_ERROR


def test_among_several_rollouts_the_newest_before_the_trouble_counts() -> None:
    found = best(
        replace(
            CRASH,
            changes=(
                rollout_change("v3", "v4", at=after(60), pointer="raw:9"),
                rollout_change("v2", "v3", at=after(20), pointer="raw:8"),
                rollout_change("v1", "v2", at=after(10), pointer="raw:7"),
            ),
        )
    )
    assert [each.text for each in found.evidence if each.kind is EvidenceKind.CHANGE] == [
        "image of web: v2 -> v3"
    ]


def test_an_older_alert_that_still_fires_does_not_hide_a_new_rollout() -> None:
    (old,) = alerts(CRASH)
    newer = replace(old, fingerprint="alr_new", starts_at=after(900))
    world = replace(CRASH, changes=(rollout_change(at=after(880)),))
    found = diagnose([replace(old, starts_at=after(-9000)), newer], world, after(900))
    assert (found[0].cause, found[0].confidence) == (Cause.BAD_ROLLOUT, CONTRAST)
    assert "20 s before" in found[0].reason


def test_opsagents_own_rollout_is_never_trusted_as_a_cause() -> None:
    own = replace(CRASH, changes=(rollout_change(manager="opsagent-executor"),))
    found = {each.cause: each for each in diagnose(alerts(own), own, after(30))}
    assert found[Cause.BAD_ROLLOUT].confidence == OWN_WRITE
    assert "opsagent's own" in found[Cause.BAD_ROLLOUT].reason


def test_a_missing_image_that_the_rollout_did_not_touch_is_a_bad_rollout() -> None:
    change = rollout_change("a", "b", path="spec.template")
    world = replace(PULL, changes=(change,))
    found = best(world)
    assert found.cause is Cause.BAD_ROLLOUT
    assert found.evidence[0].text == "spec.template: a -> b"


def test_a_scale_is_no_rollout() -> None:
    scale = rollout_change("3", "5", type=ChangeType.SCALE, path="spec.replicas")
    alone = replace(CRASH, changes=(scale,), replica_sets=CRASH.replica_sets[:1])
    assert best(alone).cause is Cause.APPLICATION_ERROR


def test_replica_sets_that_differ_only_in_undecoded_fields_still_tell_of_a_rollout() -> None:
    newest, old = CRASH.replica_sets
    same = replace(newest, containers=(*old.containers, Container("new", "new:1")))
    world = replace(CRASH, changes=(), replica_sets=(same, old))
    found = best(world)
    assert found.evidence[0].text == "pod template of revision 2"
    assert " by " not in found.reason.split(":")[0]
    undated = replace(same, meta=replace(same.meta, created_at=None))
    world = replace(world, replica_sets=(undated, old))
    assert best(world).cause is Cause.APPLICATION_ERROR


def single(status_world: Workload) -> Workload:
    """Return the same trouble in a Deployment that was never rolled out."""
    owner = deployment(conditions=status_world.deployment.conditions)
    first = replica_set(owner)
    sick = [
        replace(
            pod(first, number),
            container_statuses=each.container_statuses,
            phase=each.phase,
            conditions=each.conditions,
        )
        for number, each in enumerate(status_world.pods[-1:], 1)
    ]
    return workload(owner, [first], [*sick, pod(first, 8)])


@pytest.mark.parametrize(
    ("world", "cause", "confidence"),
    [
        (rolling([out_of_memory(after(20))]), Cause.OOM_KILLED, 0.6),
        (CRASH, Cause.APPLICATION_ERROR, 0.5),
        (PULL, Cause.INCORRECT_IMAGE_REFERENCE, 0.5),
        (
            rolling([running(after(5), is_ready=False)], is_deadline_exceeded=True),
            Cause.APPLICATION_ERROR,
            0.4,
        ),
        (stuck(), Cause.UNKNOWN, 0.2),
    ],
    ids=["oom", "crash", "image", "never ready", "stuck"],
)
def test_without_a_rollout_only_the_symptom_is_named_with_doubt(
    world: Workload, cause: Cause, confidence: float
) -> None:
    found = best(single(world))
    assert (found.cause, found.confidence) == (cause, confidence)
    assert found.evidence


def test_candidates_are_few_best_first_and_share_the_doubt() -> None:
    both = (*alerts(CRASH), *alerts(rolling([out_of_memory(after(20))])), *alerts(stuck()))
    found = diagnose(both, CRASH, after(30))
    assert len(found) == CANDIDATES_MAX
    assert [each.confidence for each in found] == sorted(
        (each.confidence for each in found), reverse=True
    )
    assert found[1].confidence <= 1 - found[0].confidence + 1e-9
    assert len({each.cause for each in found}) == len(found)


def test_no_alert_no_cause_and_a_strangers_alert_only_finds_rollouts() -> None:
    assert diagnose((), CRASH, after(30)) == ()
    (alert,) = alerts(CRASH)
    stranger = replace(alert, name="KubeDeploymentReplicasMismatch")
    assert [each.cause for each in diagnose([stranger], CRASH, after(30))] == [Cause.BAD_ROLLOUT]
    assert diagnose([stranger], single(CRASH), after(30)) == ()
    assert Symptom.CRASH_LOOP.value == alert.name
