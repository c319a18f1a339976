"""The second witness: what is asked of the metrics, how far back, and that a failing source never says "well"."""

import dataclasses
import datetime as dt

import pytest

from opsagent.executor.numbers import SECONDS_MAX, UNREADABLE, Numbers
from opsagent.guard.verification import NO_METRICS, Metrics
from opsagent.model.metrics import MetricAnswer, MetricTemplate
from opsagent.model.plan import PlanRecord, PlanState
from opsagent.ports import Terminal, Transient
from tests.edge.executor.test_verification import watched
from tests.fakes.executor import Bench, states
from tests.fakes.metrics import ScriptedMetrics, answer, several
from tests.fakes.plans import CART
from tests.fakes.virtual_time import EPOCH, LoopClock, run

RESTARTS = MetricTemplate.CONTAINER_RESTARTS
READY = MetricTemplate.DEPLOYMENT_REPLICAS_READY
AGE = MetricTemplate.DEPLOYMENT_SAMPLE_AGE_SECONDS
WELL = {
    RESTARTS: several({"cart-1": 0, "cart-2": 0, "cart-3": 0}),
    READY: answer(3),
    AGE: answer(7.5),
}
WINDOW = dt.timedelta(seconds=120)


def looked(source: ScriptedMetrics, *, ago: float = 90, scrape_seconds: float = 30) -> Metrics:
    async def main() -> Metrics:
        numbers = Numbers(source, LoopClock(), scrape_seconds)
        return await numbers.look(CART, WINDOW, EPOCH - dt.timedelta(seconds=ago))

    return run(main())


def test_a_whole_answer_is_passed_on():
    source = ScriptedMetrics(WELL)
    assert looked(source) == Metrics(
        {"cart-1": 0, "cart-2": 0, "cart-3": 0}, 3, EPOCH - dt.timedelta(seconds=7.5)
    )
    assert [template for template, _, _ in source.asked] == [RESTARTS, READY, AGE]
    assert {(each.namespace, each.deployment) for _, each, _ in source.asked} == {("shop", "cart")}


def test_restarts_of_all_containers_of_a_pod_count():
    both = several({"cart-1": 1}).series + several({"cart-1": 2}).series
    found = looked(ScriptedMetrics(WELL | {RESTARTS: MetricAnswer(both)}))
    assert found.restarts == {"cart-1": 3}


@pytest.mark.parametrize(
    ("ago", "scrape_seconds", "back"),
    [
        (110, 15, 60),  # the later half of the window
        (110, 30, 75),  # as much as two scrapes need
        (70, 30, 70),  # never from before the change
        (0, 30, 1),
        (-5, 30, 1),  # a clock that was set back
    ],
)
def test_how_far_back_restarts_are_looked_for(ago, scrape_seconds, back):
    source = ScriptedMetrics(WELL)
    looked(source, ago=ago, scrape_seconds=scrape_seconds)
    assert source.asked[0][1].window == dt.timedelta(seconds=back)


@pytest.mark.parametrize("template", [RESTARTS, READY, AGE])
@pytest.mark.parametrize(
    "trouble", [Transient("away"), Terminal("400"), answer(1, "store is away")]
)
def test_a_source_that_fails_or_answers_in_part_says_nothing(template, trouble):
    assert looked(ScriptedMetrics(WELL | {template: trouble})) == UNREADABLE


@pytest.mark.parametrize("template", [READY, AGE])
def test_a_target_without_numbers_says_nothing(template):
    assert looked(ScriptedMetrics(WELL | {template: MetricAnswer()})) == UNREADABLE


def test_a_source_that_hangs_is_given_up():
    assert SECONDS_MAX < 10
    assert looked(ScriptedMetrics(WELL, delay_seconds=60)) == UNREADABLE


def verified(path, source: ScriptedMetrics | None) -> PlanRecord:
    bench = dataclasses.replace(Bench(path), metrics=source)
    return watched(bench, lambda _: None)


def test_without_a_source_the_outcome_says_so(tmp_path):
    record = verified(tmp_path, None)
    assert record.state is PlanState.SUCCEEDED
    assert record.outcome.reasons[-1] == NO_METRICS


def test_with_one_that_agrees_it_is_named_in_the_outcome(tmp_path):
    record = verified(tmp_path, ScriptedMetrics(WELL))
    assert record.state is PlanState.SUCCEEDED
    assert record.outcome.reasons[-1] == "by the metrics all replicas are ready and none restarts"


@pytest.mark.parametrize(
    ("trouble", "verdict", "reason"),
    [
        ({READY: Transient("away")}, "unknown", "could not be read whole"),
        ({READY: answer(3, "store-1 is away")}, "unknown", "could not be read whole"),
        ({AGE: answer(9999)}, "unknown", "no sample since the change"),
        ({READY: answer(2)}, "unknown", "2 of 3"),
        (
            {RESTARTS: several({"cart-1": 1, "cart-2": 0})},
            "failed",
            "restarting by the metrics: cart-1",
        ),
    ],
)
def test_with_one_that_fails_or_disagrees_it_is_taken_back(tmp_path, trouble, verdict, reason):
    record = verified(tmp_path, ScriptedMetrics(WELL | trouble))
    assert states(record)[-2:] == ["rolling_back", "rolled_back"]
    assert record.outcome.verdict == verdict
    assert any(reason in each for each in record.outcome.reasons)


def test_one_that_hangs_delays_no_verdict_beyond_the_second_window(tmp_path):
    record = verified(tmp_path, ScriptedMetrics(WELL, delay_seconds=3600))
    assert record.outcome.verdict == "unknown"
    began, judged = record.transitions[-3].at, record.transitions[-2].at
    assert judged - began <= dt.timedelta(seconds=270)
