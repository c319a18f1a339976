"""Five symptoms of a Deployment: when they fire, what holds them, when they clear, and what stays silent."""

import datetime as dt
from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from opsagent.detection.alerts import judge, symptoms_of
from opsagent.detection.evidence import EVENTS_MAX, TEXT_LENGTH_MAX
from opsagent.detection.symptoms import PODS_SHOWN_MAX, find
from opsagent.model.alert import Alert, AlertState, EvidenceKind, Severity, Symptom, fingerprint
from opsagent.model.canonical import canonical
from opsagent.model.kube import (
    Condition,
    ContainerState,
    ContainerStatus,
    Phase,
    Pod,
)
from opsagent.model.workload import Workload
from tests.fakes.objects import (
    DEADLINE_EXCEEDED,
    WEB,
    after,
    crash_looping,
    deployment,
    event,
    healthy,
    meta,
    out_of_memory,
    pod,
    replica_set,
    restarted,
    rolling,
    running,
    stuck,
    terminated,
    unschedulable,
    waiting,
    workload,
)

ENDED = terminated(after(20))
NOT_READY = running(after(5), is_ready=False)


def fired(world: Workload, at: dt.datetime) -> tuple[Alert, ...]:
    """Return the alerts that start in ``world`` where none fired before."""
    return judge((), world, at).changed


def only(world: Workload, at: dt.datetime) -> Alert:
    (alert,) = fired(world, at)
    return alert


FAULTS = {
    "crash loop": (rolling([crash_looping(after(20))]), Symptom.CRASH_LOOP, Severity.CRITICAL),
    "missing image": (
        rolling([waiting("ErrImagePull", "manifest unknown")]),
        Symptom.IMAGE_PULL,
        Severity.WARNING,
    ),
    "oom kill": (rolling([out_of_memory(after(20))]), Symptom.OOM_KILLED, Severity.CRITICAL),
    "never ready": (
        rolling([NOT_READY], is_deadline_exceeded=True),
        Symptom.NEVER_READY,
        Severity.WARNING,
    ),
    "stuck rollout": (stuck(), Symptom.ROLLOUT_STUCK, Severity.WARNING),
}


@pytest.mark.parametrize(("world", "symptom", "severity"), FAULTS.values(), ids=FAULTS.keys())
def test_each_of_the_five_faults_fires_exactly_its_symptom(
    world: Workload, symptom: Symptom, severity: Severity
) -> None:
    alert = only(world, after(30))
    assert (alert.name, alert.severity, alert.state) == (symptom, severity, AlertState.FIRING)
    assert alert.entity == WEB
    assert (alert.starts_at, alert.ends_at) == (after(30), None)
    assert alert.labels["namespace"] == "shop"
    assert alert.labels["deployment"] == "web"
    assert ("container" in alert.labels) == (
        symptom not in {Symptom.NEVER_READY, Symptom.ROLLOUT_STUCK}
    )
    assert alert.fingerprint == fingerprint(alert.labels)
    assert alert.evidence
    assert all(each.pointer.startswith("raw:") for each in alert.evidence)
    assert symptom in symptoms_of(world, after(30))


@pytest.mark.parametrize(
    "reason", ["ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"]
)
def test_every_reason_for_a_missing_image_fires(reason: str) -> None:
    alert = only(rolling([waiting(reason)]), after(30))
    assert alert.name == Symptom.IMAGE_PULL
    assert "shop/web:v2" in alert.annotations["summary"]


def one_pod(status: ContainerStatus, **fields: object) -> Workload:
    """Return web without a rollout, with one sick pod of three."""
    owner = deployment()
    first = replica_set(owner)
    sick = replace(pod(first, 1, status), **fields)  # type: ignore[arg-type]  # bends any field
    return workload(owner, [first], [sick, pod(first, 2), pod(first, 3)])


SILENT = {
    "healthy": healthy(),
    "a healthy rollout begins": rolling([waiting("ContainerCreating")]),
    "new pods run but are not ready yet": rolling([NOT_READY]),
    "a pod waits to be scheduled within the deadline": replace(
        stuck(), deployment=replace(stuck().deployment, conditions=())
    ),
    "scaled to zero": rolling([crash_looping(after(20))], replicas_desired=0),
    "going away": rolling([crash_looping(after(20))], meta=meta("web", deleted_at=after(25))),
    "one restart long ago": one_pod(restarted(after(-4000), ended=terminated(after(-4001)))),
    "one kill for memory long ago": one_pod(
        restarted(after(-4000), ended=terminated(after(-4001), "OOMKilled", 137))
    ),
    "one kill for memory, overcome": one_pod(
        restarted(after(-90), ended=terminated(after(-91), "OOMKilled", 137))
    ),
    "a first crash": one_pod(running(is_ready=False, state=ENDED)),
    "restarted a moment ago": one_pod(restarted(after(25), ended=ENDED)),
    "many restarts over a long life": one_pod(restarted(after(25), ended=ENDED, restarts=40)),
    "an end without a date": one_pod(
        restarted(after(25), ended=replace(ENDED, finished_at=None), restarts=9)
    ),
    "a run without a date": one_pod(
        running(state=ContainerState(Phase.RUNNING), restart_count=1, last_state=ENDED)
    ),
    "a crashing pod that is being deleted": one_pod(
        crash_looping(after(20)), meta=meta("web-rs1-1", deleted_at=after(25))
    ),
    "an evicted pod": one_pod(crash_looping(after(20)), phase="Failed"),
    "the controller has not seen the spec that the deadline is not about": rolling(
        [NOT_READY], is_deadline_exceeded=True, meta=meta("web", generation=2)
    ),
    "another condition is false": rolling(
        [NOT_READY], conditions=(Condition("Available", "False", "ProgressDeadlineExceeded"),)
    ),
    "progressing is false for another reason": rolling(
        [NOT_READY], conditions=(Condition("Progressing", "False", "Paused"),)
    ),
}


@pytest.mark.parametrize("world", SILENT.values(), ids=SILENT.keys())
def test_what_is_no_trouble_stays_silent(world: Workload) -> None:
    assert fired(world, after(30)) == ()


@pytest.mark.parametrize(
    "status",
    [
        running(is_ready=False, restart_count=1, state=ENDED),
        restarted(after(25), ended=ENDED, restarts=2),
        waiting("CrashLoopBackOff"),
        crash_looping(after(20), exit_code=0, reason="Completed"),
    ],
    ids=["second end", "second restart", "said without a past", "ends well, over and over"],
)
def test_a_young_pod_that_ends_again_and_again_crash_loops(status: ContainerStatus) -> None:
    world = rolling([status])
    assert only(world, after(30)).name == Symptom.CRASH_LOOP


def test_a_fresh_kill_for_memory_fires_before_the_kubelet_calls_it_a_loop() -> None:
    killed = terminated(after(29), "OOMKilled", 137)
    assert only(one_pod(running(state=killed)), after(30)).name == Symptom.OOM_KILLED
    again = one_pod(restarted(after(29), ended=killed))
    assert only(again, after(30)).name == Symptom.OOM_KILLED


def test_a_restart_holds_the_alert_until_the_container_outlives_its_last_run() -> None:
    alert = only(rolling([crash_looping(after(20))]), after(30))
    quick = rolling([restarted(after(40), ended=terminated(after(20), ran_seconds=2))])
    slow = rolling([restarted(after(40), ended=terminated(after(20), ran_seconds=100))])
    days = rolling([restarted(after(40), ended=terminated(after(20), ran_seconds=90_000))])
    dated_by_half = replace(terminated(after(20)), started_at=None)
    undated = rolling([restarted(after(40), ended=dated_by_half)])
    for world, seconds in ((quick, 60), (slow, 130), (days, 60), (undated, 60)):
        held = judge([alert], world, after(50))
        assert held.changed == ()
        assert held.recheck_at == after(40 + seconds)
        just_before = judge([alert], world, after(39 + seconds))
        assert just_before.changed == ()
        (cleared,) = judge([alert], world, after(40 + seconds)).changed
        assert (cleared.state, cleared.ends_at) == (AlertState.RESOLVED, after(40 + seconds))


def test_between_two_ends_a_container_holds_whatever_it_showed_before() -> None:
    crash = only(rolling([crash_looping(after(20))]), after(30))
    memory = only(rolling([out_of_memory(after(20))]), after(30))
    ended = rolling([running(is_ready=False, state=terminated(after(40)))])
    for alert in (crash, memory):
        assert judge([alert], ended, after(41)).changed == ()
    now_memory = judge([crash], rolling([out_of_memory(after(40))]), after(41)).changed
    assert [each.name for each in now_memory] == [Symptom.OOM_KILLED]


def test_a_hold_alone_never_starts_an_alert_but_asks_to_look_again() -> None:
    world = one_pod(restarted(after(25), ended=ENDED))
    judgement = judge((), world, after(30))
    assert judgement.changed == ()
    assert judgement.recheck_at == after(85)
    assert judge((), world, after(85)).recheck_at is None


def test_alerts_clear_as_soon_as_the_sick_pods_are_gone() -> None:
    world = rolling([crash_looping(after(20))])
    alert = only(world, after(30))
    sick = world.pods[-1]
    leaving = replace(sick, meta=replace(sick.meta, deleted_at=after(60)))
    for pods in (world.pods[:-1], (*world.pods[:-1], leaving)):
        (cleared,) = judge([alert], replace(world, pods=pods), after(61)).changed
        assert cleared == replace(alert, state=AlertState.RESOLVED, ends_at=after(61))


def test_a_deployment_that_is_gone_clears_all_its_alerts() -> None:
    worlds = (FAULTS["crash loop"][0], FAULTS["stuck rollout"][0])
    alerts = [only(world, after(30)) for world in worlds]
    judgement = judge(alerts, None, after(40))
    assert [each.state for each in judgement.changed] == [AlertState.RESOLVED] * 2
    assert judgement.recheck_at is None


def test_the_same_trouble_after_a_restart_is_the_same_alert() -> None:
    world = FAULTS["stuck rollout"][0]
    before = only(world, after(30))
    assert judge([before], world, after(500)).changed == ()
    assert only(world, after(500)).fingerprint == before.fingerprint


def test_severity_rises_with_the_trouble_and_never_falls() -> None:
    world = FAULTS["missing image"][0]
    alert = only(world, after(30))
    short = replace(world, deployment=replace(world.deployment, replicas_available=2))
    (risen,) = judge([alert], short, after(40)).changed
    assert (risen.severity, risen.starts_at) == (Severity.CRITICAL, alert.starts_at)
    assert judge([risen], world, after(50)).changed == ()


def test_a_loop_of_some_new_pods_is_a_warning_of_all_of_them_critical() -> None:
    sick = crash_looping(after(20))
    assert only(rolling([sick, sick]), after(30)).severity is Severity.CRITICAL
    assert only(rolling([sick, running(after(5))]), after(30)).severity is Severity.WARNING


def test_one_alert_covers_all_pods_and_shows_some_of_the_newest_revision_first() -> None:
    base = rolling([crash_looping(after(20)) for _ in range(6)])
    old = replace(base.pods[0], container_statuses=(crash_looping(after(21)),))
    alert = only(replace(base, pods=(old, *base.pods[1:])), after(30))
    assert alert.annotations["summary"] == "Container web is crash looping in 7 of 9 pods"
    assert len(alert.evidence) == PODS_SHOWN_MAX
    assert all("/web-rs2-" in each.ref for each in alert.evidence)


def test_two_containers_in_trouble_are_two_alerts() -> None:
    base = rolling([crash_looping(after(20))])
    both = (crash_looping(after(20)), waiting("ErrImagePull", name="proxy"))
    sick = replace(base.pods[-1], container_statuses=both)
    alerts = fired(replace(base, pods=(*base.pods[:-1], sick)), after(30))
    assert [(each.name, each.labels["container"]) for each in alerts] == [
        (Symptom.CRASH_LOOP, "web"),
        (Symptom.IMAGE_PULL, "proxy"),
    ]
    assert "cannot get its image in 1" in alerts[1].annotations["summary"]


def test_past_the_deadline_a_sick_container_of_the_rollout_explains_it() -> None:
    for status in (crash_looping(after(20)), restarted(after(25), ended=ENDED)):
        world = rolling([status], is_deadline_exceeded=True)
        assert Symptom.ROLLOUT_STUCK not in symptoms_of(world, after(30))
        assert Symptom.NEVER_READY not in symptoms_of(world, after(30))


def test_past_the_deadline_trouble_of_an_old_pod_explains_nothing() -> None:
    base = stuck()
    old = replace(base.pods[0], container_statuses=(crash_looping(after(21)),))
    names = {each.name for each in fired(replace(base, pods=(old, *base.pods[1:])), after(30))}
    assert names == {Symptom.CRASH_LOOP, Symptom.ROLLOUT_STUCK}


@pytest.mark.parametrize(
    "extra",
    [
        [],
        [
            unschedulable(rolling([]).replica_sets[0], 8),
            pod(rolling([]).replica_sets[0], 9, NOT_READY),
        ],
        [pod(rolling([]).replica_sets[0], 9)],
    ],
    ids=["no pod can be created", "one runs, one does not", "the new pods are fine"],
)
def test_past_the_deadline_anything_but_running_unready_pods_is_stuck(extra: list[Pod]) -> None:
    base = rolling([], is_deadline_exceeded=True)
    world = replace(base, pods=(*base.pods, *extra))
    assert only(world, after(30)).name == Symptom.ROLLOUT_STUCK


def test_a_deployment_without_any_replica_set_past_its_deadline_is_stuck() -> None:
    world = workload(deployment(conditions=(DEADLINE_EXCEEDED,)))
    assert only(world, after(30)).name == Symptom.ROLLOUT_STUCK


def test_a_spec_not_yet_seen_by_the_controller_holds_the_old_symptom() -> None:
    alert = only(FAULTS["never ready"][0], after(30))
    written = rolling([NOT_READY], is_deadline_exceeded=True, meta=meta("web", generation=2))
    assert judge([alert], written, after(40)).changed == ()
    seen = rolling([NOT_READY], meta=meta("web", generation=2), observed_generation=2)
    (cleared,) = judge([alert], seen, after(41)).changed
    assert cleared.state is AlertState.RESOLVED


def test_evidence_quotes_states_conditions_and_the_newest_warnings() -> None:
    base = FAULTS["stuck rollout"][0]
    new = base.pods[-1]
    events = [
        event(new, "FailedScheduling", "newest " + "x" * 999, at=after(25), count=7),
        event(new, "FailedScheduling", "older", at=after(20)),
        event(new, "Normality", "fine", at=after(19), type="Normal"),
        event(base.replica_sets[0], "FailedCreate", "quota", at=after(18)),
        replace(event(new, "Undated", at=after(0)), last_at=None, first_at=None),
        event(new, "Fourth", at=after(2)),
        event(base.pods[0], "Elsewhere", at=after(1)),
    ]
    bare = replace(new, meta=replace(new.meta, created_at=None), conditions=())
    world = workload(base.deployment, base.replica_sets, base.pods, events=events)
    evidence = only(world, after(30)).evidence
    texts = [each.text for each in evidence]
    assert texts[0].startswith("Progressing is False: ProgressDeadlineExceeded")
    assert texts[1].startswith("phase Pending; PodScheduled is False: Unschedulable: 0/5 nodes")
    assert texts[2].startswith("FailedScheduling x7: newest")
    assert [each.split(":")[0] for each in texts[3:]] == ["FailedCreate x1", "Undated x1"]
    assert sum(1 for each in evidence if each.kind is EvidenceKind.EVENT) == EVENTS_MAX
    assert max(map(len, texts)) == TEXT_LENGTH_MAX
    assert evidence[2].ref == f"v1/Pod/shop/{new.meta.name}"
    short = replace(world, pods=(*world.pods[:-1], bare), events=())
    assert only(short, after(30)).evidence[1].text == "phase Pending"
    assert only(short, after(30)).evidence[1].at == after(30)


def test_a_containers_evidence_tells_state_restarts_last_end_and_message() -> None:
    (finding, _hold) = find(FAULTS["crash loop"][0], after(30))
    assert finding.evidence[0].text == (
        "web: waiting, CrashLoopBackOff; restarts 2; last exit code 1 (Error); "
        "back-off 10s restarting failed container"
    )
    assert finding.evidence[0].at == after(20)
    bare = find(rolling([waiting("ErrImagePull")]), after(30))[0].evidence[0]
    assert bare.text == "web: waiting, ErrImagePull"
    ran = find(rolling([restarted(after(25), ended=replace(ENDED, finished_at=None))]), after(30))
    assert ran[0].evidence[0].text.startswith("web: running; restarts 1")


statuses = st.sampled_from(
    [
        running(),
        NOT_READY,
        waiting("ContainerCreating"),
        waiting("ErrImagePull"),
        crash_looping(after(20)),
        out_of_memory(after(20)),
        restarted(after(25), ended=ENDED),
        restarted(after(25), ended=ENDED, restarts=3),
        running(state=ENDED),
    ]
)


@given(
    st.lists(statuses, max_size=4),
    st.booleans(),
    st.integers(min_value=0, max_value=3),
    st.integers(min_value=26, max_value=400),
)
def test_judging_is_stable_and_looks_forward(
    new: list[ContainerStatus], is_late: bool, available: int, seconds: int
) -> None:
    world = rolling(new, is_deadline_exceeded=is_late, replicas_available=available)
    now = after(seconds)
    judgement = judge((), world, now)
    assert canonical(judgement) == canonical(judge((), world, now))
    assert judge(judgement.changed, world, now).changed == ()
    assert judgement.recheck_at is None or judgement.recheck_at > now
    names = {Symptom(each.name) for each in judgement.changed}
    assert names <= symptoms_of(world, now)
    assert len({each.fingerprint for each in judgement.changed}) == len(judgement.changed)


@given(st.lists(statuses, min_size=1, max_size=4), st.permutations(range(4)))
def test_the_order_of_pods_does_not_matter_to_what_fires(
    new: list[ContainerStatus], order: list[int]
) -> None:
    shuffled = [new[index] for index in order if index < len(new)]
    left, right = fired(rolling(new), after(30)), fired(rolling(shuffled), after(30))
    assert [(a.fingerprint, a.severity, a.annotations) for a in left] == [
        (a.fingerprint, a.severity, a.annotations) for a in right
    ]
