"""Did it help, and did it hurt a neighbour? Judged over samples, in three values.

Theory of operation. Each sample looks at three signals: the symptoms that led to the action are gone;
the target is fully rolled out and ready, and still carries our change; no other Deployment of the
namespace has fewer ready replicas than before the write (or than it wants, if it was scaled down).
Where a metrics source is configured, a fourth, from another witness: no container of the target restarts,
and as many replicas are ready as it wants. Metrics lag, so what they say counts only if it is younger than
the write, and only a restart speaks against the change: a count that is short may be an old one.
A signal that cannot be measured is unknown, and unknown never counts as good. No source is no signal.

The verdict falls at the end of the window, never before: a rollout may look worse before it looks
better, and better before it looks worse. Passed means that the last ``samples_min`` samples are all
good. One bad signal among them is a failure. If instead some are unknown or missing, sampling goes
on for one more window, and then the verdict is unknown.

A restart loses the samples, not the window: it keeps its end, and the extra window begins anew.
"""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from opsagent.guard.diff import ACTION_ID_ANNOTATION
from opsagent.model.alert import Symptom
from opsagent.model.kube import Deployment
from opsagent.model.plan import Outcome, Verdict, VerifySpec

NO_METRICS = "metrics are not configured"


@dataclass(frozen=True, slots=True)
class Expectation:
    """What the samples are held against.

    ``baseline``: name -> ready replicas of every Deployment of the namespace, read before the write.
    ``template_digest``: of the template as our write left it. ``written_at``: when that was at the latest.
    """

    action_id: str
    uid: str
    template_digest: str
    symptoms: frozenset[Symptom]
    baseline: Mapping[str, int]
    written_at: dt.datetime


@dataclass(frozen=True, slots=True)
class Metrics:
    """What a metrics source said of the target; each None where it could not, or only in part.

    ``restarts``: pod -> restarts of its containers within the time looked at. ``sample_at``: when the newest
    sample of the target's status was taken.
    """

    restarts: Mapping[str, int] | None
    replicas_ready: int | None
    sample_at: dt.datetime | None


@dataclass(frozen=True, slots=True)
class Observation:
    """What one look at the cluster found; None where it could not look.

    ``template_digest`` is that of ``target``, by the same rule as in the expectation. ``metrics`` is None
    where no source is configured.
    """

    symptoms: frozenset[Symptom] | None
    target: Deployment | None
    template_digest: str
    neighbours: tuple[Deployment, ...] | None
    metrics: Metrics | None = None


@dataclass(frozen=True, slots=True)
class Signal:
    """One judged signal and its reason."""

    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True)
class Sample:
    """The signals at one moment; ``metrics`` is None where no source is configured."""

    symptom: Signal
    readiness: Signal
    neighbour: Signal
    metrics: Signal | None = None

    @property
    def signals(self) -> tuple[Signal, ...]:
        """All that there are, in order."""
        objects = (self.symptom, self.readiness, self.neighbour)
        return objects if self.metrics is None else (*objects, self.metrics)


def sample(expected: Expectation, seen: Observation) -> Sample:
    """Judge one look."""
    return Sample(
        _symptom(expected, seen),
        _readiness(expected, seen),
        _neighbour(expected, seen.neighbours),
        None if seen.metrics is None else _metrics(expected, seen.metrics, seen.target),
    )


def readiness_baseline(deployments: Iterable[Deployment]) -> Mapping[str, int]:
    """Return name -> ready replicas."""
    return {item.meta.name: item.replicas_ready for item in deployments}


def judge(
    samples: Sequence[Sample],
    spec: VerifySpec,
    *,
    started_at: dt.datetime,
    resumed_at: dt.datetime,
    now: dt.datetime,
) -> Outcome | None:
    """Return the outcome, None while sampling must go on.

    Args:
        samples: taken since ``resumed_at``, oldest first.
        spec: window and least number of samples.
        started_at: when the window began; it survives restarts.
        resumed_at: when this process began to sample.
        now: the present instant.
    """
    window = dt.timedelta(seconds=spec.window_seconds)
    if now < started_at + window:
        return None
    outcome = _outcome(samples[-spec.samples_min :], spec.samples_min)
    if outcome.verdict is Verdict.UNKNOWN and now < max(started_at + window, resumed_at) + window:
        return None
    return outcome


def _outcome(last: Sequence[Sample], samples_min: int) -> Outcome:
    signals = [signal for item in last for signal in item.signals]
    failed = _reasons(signals, Verdict.FAILED)
    if failed:
        return Outcome(Verdict.FAILED, failed)
    unknown = _reasons(signals, Verdict.UNKNOWN)
    if len(last) < samples_min:
        unknown = (*unknown, f"{len(last)} of {samples_min} samples could be taken")
    if unknown:
        return Outcome(Verdict.UNKNOWN, unknown)
    reasons = tuple(signal.reason for signal in last[-1].signals)
    return Outcome(Verdict.PASSED, reasons if last[-1].metrics else (*reasons, NO_METRICS))


def _reasons(signals: Iterable[Signal], verdict: Verdict) -> tuple[str, ...]:
    """Return the different reasons for ``verdict``, in order."""
    return tuple(dict.fromkeys(item.reason for item in signals if item.verdict is verdict))


def _symptom(expected: Expectation, seen: Observation) -> Signal:
    if seen.symptoms is None:
        return Signal(Verdict.UNKNOWN, "the symptoms could not be measured")
    left = sorted(expected.symptoms & seen.symptoms)
    if left:
        return Signal(Verdict.FAILED, f"still there: {', '.join(left)}")
    return Signal(Verdict.PASSED, "the symptoms are gone")


def _readiness(expected: Expectation, seen: Observation) -> Signal:
    target = seen.target
    if target is None:
        return Signal(Verdict.UNKNOWN, "the target could not be read")
    if target.meta.uid != expected.uid:
        return Signal(Verdict.FAILED, "the target was created anew")
    is_ours = target.meta.annotations.get(ACTION_ID_ANNOTATION) == expected.action_id
    if not is_ours or seen.template_digest != expected.template_digest:
        return Signal(Verdict.FAILED, "somebody else changed the target after us")
    wanted = target.replicas_desired
    if target.observed_generation < target.meta.generation:
        return Signal(Verdict.FAILED, "the controller has not seen the change yet")
    if not target.replicas_updated == target.replicas == target.replicas_ready == wanted:
        return Signal(
            Verdict.FAILED,
            f"{target.replicas_ready} of {wanted} replicas are ready, {target.replicas_updated} updated",
        )
    return Signal(Verdict.PASSED, f"{wanted} of {wanted} replicas are ready")


def _neighbour(expected: Expectation, neighbours: tuple[Deployment, ...] | None) -> Signal:
    """Compare with the baseline. Who is new or was deleted since has lost nothing to us."""
    if neighbours is None:
        return Signal(Verdict.UNKNOWN, "the neighbours could not be read")
    worse = sorted(
        item.meta.name
        for item in neighbours
        if item.replicas_ready
        < min(expected.baseline.get(item.meta.name, 0), item.replicas_desired)
    )
    if worse:
        return Signal(Verdict.FAILED, f"less ready than before: {', '.join(worse)}")
    return Signal(Verdict.PASSED, "no other Deployment of the namespace lost readiness")


def _metrics(expected: Expectation, said: Metrics, target: Deployment | None) -> Signal:
    """Judge by the numbers. Which pods are there is not asked: those that restart are named, and enough must be seen."""
    restarting = sorted(pod for pod, count in (said.restarts or {}).items() if count)
    if restarting:
        return Signal(Verdict.FAILED, f"restarting by the metrics: {', '.join(restarting)}")
    if said.restarts is None or said.replicas_ready is None or said.sample_at is None:
        return Signal(Verdict.UNKNOWN, "the metrics could not be read whole")
    if said.sample_at <= expected.written_at:
        return Signal(Verdict.UNKNOWN, "the metrics have no sample since the change")
    if target is None:
        return Signal(Verdict.UNKNOWN, "the metrics cannot be held against the target")
    wanted, seen = target.replicas_desired, len(said.restarts)
    if said.replicas_ready < wanted or seen < wanted:
        words = f"by the metrics {said.replicas_ready} of {wanted} replicas are ready, restarts of {seen} known"
        return Signal(Verdict.UNKNOWN, words)
    return Signal(Verdict.PASSED, "by the metrics all replicas are ready and none restarts")
