"""Success is what was measured to be good, to the end; what cannot be measured is no success."""

import dataclasses
import datetime as dt

import pytest
from hypothesis import given, strategies as st

from opsagent.guard.verification import (
    NO_METRICS,
    Expectation,
    Metrics,
    Observation,
    Sample,
    Signal,
    judge,
    readiness_baseline,
    sample,
)
from opsagent.model.alert import Symptom
from opsagent.model.kube import Deployment, ObjectMeta
from opsagent.model.plan import Verdict, VerifySpec
from tests.fakes.plans import NOW, UID, deployment

SPEC = VerifySpec(window_seconds=60, samples_min=3)
OURS = {"opsagent.io/action-id": "pln_1"}


def neighbour(name: str, ready: int, desired: int = 3) -> Deployment:
    return Deployment(
        ObjectMeta("shop", name, f"uid-{name}", "1"), replicas_desired=desired, replicas_ready=ready
    )


EXPECTED = Expectation(
    action_id="pln_1",
    uid=UID,
    template_digest="written",
    symptoms=frozenset({Symptom.CRASH_LOOP}),
    baseline=readiness_baseline([neighbour("pay", 3), neighbour("mail", 1), deployment()]),
    written_at=NOW,
)
SAID = Metrics(
    restarts={"cart-1": 0, "cart-2": 0, "cart-3": 0},
    replicas_ready=3,
    sample_at=NOW + dt.timedelta(seconds=1),
)
SEEN = Observation(
    symptoms=frozenset({Symptom.OOM_KILLED}),  # not one of those that led to the action
    target=deployment(meta_annotations=OURS),
    template_digest="written",
    neighbours=(neighbour("pay", 3), neighbour("mail", 1)),
)


def look(**changes: object) -> Sample:
    return sample(EXPECTED, dataclasses.replace(SEEN, **changes))


def verdicts(item: Sample) -> tuple[str, str, str]:
    return tuple(signal.verdict.value for signal in item.signals)


def test_a_good_sample():
    item = look()
    assert verdicts(item) == ("passed", "passed", "passed")
    assert item.readiness.reason == "3 of 3 replicas are ready"


@pytest.mark.parametrize(
    ("symptoms", "verdict"),
    [
        (frozenset(), "passed"),
        (frozenset({Symptom.CRASH_LOOP, Symptom.NEVER_READY}), "failed"),
        (None, "unknown"),
    ],
)
def test_the_symptom_must_be_gone(symptoms, verdict):
    assert verdicts(look(symptoms=symptoms)) == (verdict, "passed", "passed")


@pytest.mark.parametrize(
    ("changes", "verdict", "reason"),
    [
        ({"replicas_ready": 2}, "failed", "2 of 3 replicas are ready"),
        ({"replicas_updated": 2}, "failed", "2 updated"),
        ({"replicas": 4}, "failed", "ready"),  # an old pod is still there
        ({"observed_generation": 1}, "failed", "has not seen"),
        ({"meta_uid": "other"}, "failed", "created anew"),
        ({"meta_annotations": {}}, "failed", "somebody else"),
        ({"meta_annotations": {"opsagent.io/action-id": "pln_2"}}, "failed", "somebody else"),
    ],
)
def test_the_target_must_be_rolled_out_and_ours(changes, verdict, reason):
    item = look(target=deployment(**({"meta_annotations": OURS} | changes)))
    assert verdicts(item) == ("passed", verdict, "passed")
    assert reason in item.readiness.reason


def test_a_template_that_somebody_else_wrote_is_not_ours():
    assert look(template_digest="another").readiness.verdict is Verdict.FAILED


def test_a_target_that_cannot_be_read_is_unknown():
    assert look(target=None).readiness.verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("neighbours", "verdict"),
    [
        ((neighbour("pay", 2), neighbour("mail", 1)), "failed"),
        ((neighbour("pay", 3), neighbour("mail", 0)), "failed"),
        ((neighbour("pay", 4), neighbour("mail", 3)), "passed"),
        (
            (neighbour("pay", 0, desired=0), neighbour("mail", 1)),
            "passed",
        ),  # scaled down by someone
        ((neighbour("new", 0),), "passed"),  # new since, and the others deleted
        ((), "passed"),
        (None, "unknown"),
    ],
)
def test_no_neighbour_may_lose_readiness(neighbours, verdict):
    assert verdicts(look(neighbours=neighbours)) == ("passed", "passed", verdict)


@pytest.mark.parametrize(
    ("changes", "verdict", "reason"),
    [
        ({}, "passed", "all replicas are ready and none restarts"),
        ({"restarts": {"cart-1": 0, "cart-2": 2, "cart-3": 1}}, "failed", "cart-2, cart-3"),
        ({"restarts": {"cart-2": 1}, "replicas_ready": None}, "failed", "cart-2"),
        ({"restarts": None}, "unknown", "could not be read"),
        ({"replicas_ready": None}, "unknown", "could not be read"),
        ({"sample_at": None}, "unknown", "could not be read"),
        ({"sample_at": NOW}, "unknown", "no sample since the change"),
        ({"replicas_ready": 2}, "unknown", "2 of 3 replicas"),
        ({"restarts": {"cart-1": 0, "cart-2": 0}}, "unknown", "restarts of 2 known"),
        ({"replicas_ready": 4, "restarts": dict.fromkeys("abcd", 0)}, "passed", "none restarts"),
    ],
)
def test_a_second_witness_must_agree(changes, verdict, reason):
    item = look(metrics=dataclasses.replace(SAID, **changes))
    assert verdicts(item) == ("passed", "passed", "passed", verdict)
    assert reason in item.metrics.reason


def test_metrics_about_a_target_that_cannot_be_read_say_nothing():
    assert look(metrics=SAID, target=None).metrics.verdict is Verdict.UNKNOWN


def test_no_source_is_no_signal_and_is_said():
    assert look().metrics is None
    assert outcome([GOOD] * 3, 60).reasons[-1] == NO_METRICS
    told = look(metrics=SAID)
    assert outcome([told] * 3, 60).reasons[-1] == told.metrics.reason


def test_a_source_that_fails_never_passes():
    blind = look(metrics=Metrics(None, None, None))
    assert outcome([look(metrics=SAID), look(metrics=SAID), blind], 60) is None
    found = outcome([look(metrics=SAID), look(metrics=SAID), blind], 120)
    assert found.verdict is Verdict.UNKNOWN
    assert found.reasons == ("the metrics could not be read whole",)


GOOD = look()
BAD = look(symptoms=EXPECTED.symptoms)
BLIND = look(neighbours=None)


def outcome(samples: list[Sample], after: float, resumed: float = 0.0):
    return judge(
        samples,
        SPEC,
        started_at=NOW,
        resumed_at=NOW + dt.timedelta(seconds=resumed),
        now=NOW + dt.timedelta(seconds=after),
    )


@pytest.mark.parametrize("samples", [[GOOD] * 9, [BAD] * 9, [BLIND] * 9])
def test_no_verdict_falls_before_the_end_of_the_window(samples):
    assert outcome(samples, 59.9) is None
    assert outcome(samples[:2], 59.9) is None


def test_good_to_the_end_is_passed_whatever_was_before():
    found = outcome([BAD, BLIND, GOOD, GOOD, GOOD], 60)
    assert found.verdict is Verdict.PASSED
    assert found.reasons == (*(signal.reason for signal in GOOD.signals), NO_METRICS)


@pytest.mark.parametrize("last", [[BAD, GOOD, GOOD], [GOOD, GOOD, BAD], [BLIND, BAD, BLIND]])
def test_one_bad_sample_among_the_last_is_a_failure(last):
    found = outcome([GOOD, GOOD, *last], 60)
    assert found.verdict is Verdict.FAILED
    assert found.reasons == ("still there: ContainerCrashLooping",)


@pytest.mark.parametrize("last", [[BLIND, GOOD, GOOD], [GOOD, GOOD], []])
def test_what_is_missing_may_come_in_one_more_window_and_is_unknown_after_it(last):
    assert outcome(last, 60) is None
    assert outcome(last, 119.9) is None
    found = outcome(last, 120)
    assert found.verdict is Verdict.UNKNOWN
    assert found.reasons


def test_one_bad_sample_is_a_failure_even_if_others_are_missing():
    assert outcome([BAD], 60).verdict is Verdict.FAILED


def test_after_a_restart_the_window_ends_when_it_would_have():
    assert outcome([GOOD] * 3, 60, resumed=50).verdict is Verdict.PASSED


def test_after_a_restart_past_the_window_samples_are_taken_before_a_verdict_falls():
    assert outcome([], 1000, resumed=1000) is None
    assert outcome([GOOD] * 2, 1040, resumed=1000) is None
    assert outcome([GOOD] * 3, 1045, resumed=1000).verdict is Verdict.PASSED
    assert outcome([GOOD] * 2, 1060, resumed=1000).verdict is Verdict.UNKNOWN


signals = st.sampled_from([Signal(verdict, verdict.value) for verdict in Verdict])
samples = st.lists(st.builds(Sample, signals, signals, signals, st.none() | signals), max_size=6)


@given(samples, st.integers(0, 200))
def test_passed_means_that_the_last_samples_were_all_good(items, after):
    found = outcome(items, after)
    last = items[-3:]
    is_good = len(last) == 3 and all(s.verdict is Verdict.PASSED for i in last for s in i.signals)
    if found is not None:
        assert after >= 60
        assert (found.verdict is Verdict.PASSED) is is_good
        assert found.reasons


@given(samples)
def test_a_verdict_always_falls_after_two_windows(items):
    assert outcome(items, 120) is not None
