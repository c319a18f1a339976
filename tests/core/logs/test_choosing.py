"""Who is followed: trouble first, then one of each workload; nobody is let go of for nothing."""

import datetime as dt
from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from opsagent.model.entity import Entity, Kind
from opsagent.model.kube import ContainerState, ContainerStatus, OwnerRef, Phase, Pod
from opsagent.model.log import LogOrigin
from opsagent.signals.logs.choosing import (
    RECENT,
    URGENT_MAX,
    Health,
    LogTarget,
    choose,
    targets,
    workload_of,
)
from tests.fakes.objects import (
    after,
    crash_looping,
    deployment,
    meta,
    pod,
    replica_set,
    restarted,
    running,
    terminated,
    unschedulable,
    waiting,
)

NOW = after(0)
OWNER = replica_set(deployment())


def target(
    name: str, workload: str = "", health: Health = Health.STEADY, container: str = "c"
) -> LogTarget:
    origin = LogOrigin(Entity(Kind.POD, "shop", name), container)
    return LogTarget(origin, f"uid-{name}", workload or name, 0, is_running=True, health=health)


def names(found: tuple[LogTarget, ...]) -> list[str]:
    return [each.origin.pod.name for each in found]


def only(one: Pod) -> LogTarget:
    (found,) = targets([one], NOW)
    return found


HEALTH = {
    "it runs": (running(), Health.STEADY),
    "it waits to be started again": (crash_looping(after(-5)), Health.CRASHING),
    "it ended badly": (replace(running(), state=terminated(after(-1))), Health.CRASHING),
    "it ended well": (
        replace(running(), state=terminated(after(-1), exit_code=0)),
        Health.STEADY,
    ),
    "it is not ready": (running(is_ready=False), Health.UNREADY),
    "it was restarted": (restarted(after(-60), ended=terminated(after(-61))), Health.RESTARTED),
    "it was restarted long ago": (
        restarted(after(-9999), ended=terminated(after(-9999))),
        Health.STEADY,
    ),
}


@pytest.mark.parametrize("case", HEALTH)
def test_a_container_is_of_interest_for_its_trouble(case: str) -> None:
    status, health = HEALTH[case]
    assert only(pod(OWNER, status=status)).health is health


def test_a_new_pod_is_of_interest_for_its_youth() -> None:
    young = pod(OWNER, meta=meta("new", created_at=NOW - RECENT / 2))
    assert only(young).health is Health.FRESH
    unborn = pod(OWNER, meta=meta("new", created_at=None))
    assert only(unborn).health is Health.STEADY


def test_what_never_ran_has_no_log() -> None:
    assert list(targets([pod(OWNER, status=waiting("ContainerCreating"))], NOW)) == []
    assert list(targets([unschedulable(OWNER)], NOW)) == []


def test_a_target_says_which_life_it_is_and_when_the_last_one_ended() -> None:
    found = only(pod(OWNER, status=restarted(after(-5), ended=terminated(after(-9)), restarts=3)))
    assert (found.restarts, found.is_running) == (3, True)
    assert (found.began_at, found.ended_at) == (after(-5), after(-9))
    found = only(pod(OWNER, status=replace(running(), state=terminated(after(-1)))))
    assert (found.is_running, found.is_over, found.ended_at) == (False, False, after(-1))
    assert only(pod(OWNER, phase="Failed")).is_over


def test_containers_of_the_start_count_too() -> None:
    init = ContainerStatus("migrate", False, 2, *crash_states())
    found = list(targets([pod(OWNER, init_statuses=(init,))], NOW))
    assert [(each.origin.container, each.health) for each in found] == [
        ("migrate", Health.CRASHING),
        ("web", Health.STEADY),
    ]


def crash_states() -> tuple[ContainerState, ContainerState]:
    return ContainerState(Phase.WAITING, "CrashLoopBackOff"), terminated(after(-3))


@pytest.mark.parametrize(
    ("owner", "labels", "expected"),
    [
        (
            OwnerRef("ReplicaSet", "web-5d8f", "u"),
            {"pod-template-hash": "5d8f"},
            "Deployment/shop/web",
        ),
        (OwnerRef("ReplicaSet", "web-5d8f", "u"), {}, "ReplicaSet/shop/web-5d8f"),
        (OwnerRef("StatefulSet", "db", "u"), {}, "StatefulSet/shop/db"),
        (OwnerRef("Job", "report-29384756", "u"), {}, "Job/shop/report"),
        (OwnerRef("Job", "migrate-v2", "u"), {}, "Job/shop/migrate-v2"),
        (None, {}, "Pod/shop/one"),
    ],
)
def test_pods_of_one_owner_are_one_workload(owner, labels, expected) -> None:
    assert workload_of(Pod(meta("one", owner=owner, labels=labels))) == expected


def test_the_worst_come_first() -> None:
    every = [target(health.name, health=health) for health in reversed(Health)]
    assert names(choose(every, 3).targets) == ["CRASHING", "UNREADY", "RESTARTED"]
    assert choose(every, 3).left_out == 2


def test_of_one_workload_only_so_many_come_first_for_their_trouble() -> None:
    bad = [target(f"bad-{number:02}", "bad", Health.CRASHING) for number in range(50)]
    good = [target(f"good-{number}") for number in range(4)]
    found = names(choose([*bad, *good], URGENT_MAX + 6).targets)
    assert found[:URGENT_MAX] == names(tuple(bad[:URGENT_MAX]))
    assert found[URGENT_MAX : URGENT_MAX + 4] == names(tuple(good))
    assert found[URGENT_MAX + 4 :] == ["bad-05", "bad-06"]


def test_then_one_of_each_workload_before_the_second_of_any() -> None:
    every = [target(f"{name}-{number}", name) for name in "ab" for number in range(3)]
    assert names(choose(every, 3).targets) == ["a-0", "b-0", "a-1"]


def test_each_container_of_a_workload_counts_by_itself() -> None:
    every = [
        target(f"a-{number}", "a", container=container) for number in (0, 1) for container in "cd"
    ]
    found = choose(every, 2).targets
    assert [(each.origin.pod.name, each.origin.container) for each in found] == [
        ("a-0", "c"),
        ("a-0", "d"),
    ]


def test_who_is_followed_stays_between_equals_and_goes_for_the_better() -> None:
    every = [target(f"a-{number}", "a") for number in range(4)]
    followed = {every[2].key, every[3].key}
    assert names(choose(every, 2, followed).targets) == ["a-2", "a-3"]
    worse = replace(every[0], health=Health.CRASHING)
    assert names(choose([worse, *every[1:]], 2, followed).targets) == ["a-0", "a-2"]


drawn = st.lists(
    st.builds(
        target,
        st.sampled_from("abcdefghij"),
        st.sampled_from(["", "v", "w"]),
        st.sampled_from(Health),
        st.sampled_from("cd"),
    ),
    max_size=12,
    unique_by=lambda each: each.key,
)


@given(drawn, st.integers(0, 14), st.randoms(use_true_random=False))
def test_any_order_gives_the_same_and_choosing_again_changes_nothing(every, budget, rng) -> None:
    choice = choose(every, budget)
    assert len(choice.targets) == min(budget, len(every))
    assert choice.left_out == len(every) - len(choice.targets)
    followed = {each.key for each in choice.targets}
    rng.shuffle(every)
    again = choose(every, budget, followed)
    assert {each.key for each in again.targets} == followed
    assert choose(every, budget).targets == choice.targets


@given(drawn, st.integers(1, 12), st.sampled_from(Health))
def test_a_newcomer_takes_the_place_of_one_at_most(every, budget, health) -> None:
    before = {each.key for each in choose(every, budget).targets}
    more = [*every, target("new", health=health)]
    after_all = {each.key for each in choose(more, budget, before).targets}
    assert len(before - after_all) <= 1


def test_a_moment_is_enough_to_be_recent_no_longer() -> None:
    status = restarted(after(-600), ended=terminated(NOW - RECENT))
    assert only(pod(OWNER, status=status)).health is Health.STEADY
    status = restarted(after(-600), ended=terminated(NOW - RECENT + dt.timedelta(seconds=1)))
    assert only(pod(OWNER, status=status)).health is Health.RESTARTED
