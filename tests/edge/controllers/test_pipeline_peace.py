"""A large workload is judged seldom and never too late, a small one at each of its rows."""

import datetime as dt

import pytest

from opsagent.controllers.pipeline import JOINED_KINDS, PEACE_PER_OBJECT, Pipeline, Step
from opsagent.model.kube import KubeObject, kind_of
from opsagent.model.signal import RowType
from opsagent.ports import Snapshot
from tests.fakes.objects import (
    WEB,
    after,
    crash_looping,
    deployment,
    event,
    pod,
    replica_set,
    running,
)

KEY = b"k" * 32
OWNER = deployment()
SET = replica_set(OWNER)
MILLISECOND = dt.timedelta(milliseconds=1)


def see(
    pipeline: Pipeline, at: dt.datetime, item: KubeObject, row_type: RowType = RowType.MODIFIED
) -> Step:
    return pipeline.observe(at, row_type, kind_of(item), item)


def settled(pods: int) -> Pipeline:
    """Return a pipeline that has known a healthy workload of so many pods for a minute at T0."""
    pipeline = Pipeline(Snapshot(), KEY)
    for item in (OWNER, SET, *(pod(SET, number) for number in range(pods))):
        see(pipeline, after(-60), item)
    for kind in sorted(JOINED_KINDS):
        pipeline.observe(after(-60), RowType.SYNCED, kind, None)
    return pipeline


def news(number: int, at: dt.datetime) -> KubeObject:
    return pod(SET, number, running(at))


def crash(number: int) -> KubeObject:
    return pod(SET, number, crash_looping(after(-1)))


@pytest.mark.parametrize("pods", [3, 49, 50, 200])
def test_the_first_row_after_a_time_of_peace_is_judged_at_once(pods: int):
    assert see(settled(pods), after(0), crash(0)).batch.incidents


def test_a_small_workload_is_judged_at_each_row():
    pipeline = settled(49)
    see(pipeline, after(0), news(1, after(0)))
    assert see(pipeline, after(0), crash(0)).batch.incidents


def test_what_comes_in_a_large_ones_time_of_peace_is_judged_when_it_is_over():
    pipeline = settled(200)
    see(pipeline, after(0), news(1, after(0)))
    for number in range(10):
        step = see(pipeline, after(0) + number * MILLISECOND, crash(number))
        assert not step.batch.alerts
        assert len(step.batch.rows) == 1
    due = pipeline.next_due()
    assert due == after(0) + 201 * PEACE_PER_OBJECT
    (alert,) = pipeline.tick(due).batch.alerts
    assert alert.entity == WEB
    assert alert.starts_at == due


@pytest.mark.parametrize(
    "item", [pod(SET, 1), OWNER, SET, event(pod(SET, 1), "BackOff", at=after(0))]
)
def test_what_says_nothing_new_is_stored_and_uses_up_no_look(item: KubeObject):
    pipeline = settled(200)
    step = see(pipeline, after(0), item)
    assert len(step.batch.rows) == 1
    assert see(pipeline, after(0), crash(0)).batch.incidents


def test_a_workload_that_never_rests_is_judged_again_and_again():
    pipeline = settled(200)
    fired = []
    for number in range(1000):
        at = after(0) + number * MILLISECOND
        item = crash(0) if number == 500 else news(1 + number % 100, at)
        steps = [see(pipeline, at, item)]
        while (due := pipeline.next_due()) is not None and due <= at:
            steps.append(pipeline.tick(due))
        fired += [alert.starts_at for step in steps for alert in step.batch.alerts]
    (at,) = fired
    assert after(0.5) <= at <= after(0.5) + 201 * PEACE_PER_OBJECT


def test_one_that_goes_away_in_its_time_of_peace_is_noticed():
    pipeline = settled(200)
    see(pipeline, after(0), crash(0))
    assert not see(pipeline, after(0), OWNER, RowType.DELETED).batch.alerts
    due = pipeline.next_due()
    assert due is not None
    (alert,) = pipeline.tick(due).batch.alerts
    assert alert.ends_at == due
    assert pipeline.workload(WEB) is None
