"""Reported alerts through the whole pipeline: placed by the inventory, kept over restarts, forgotten in time."""

import datetime as dt

import pytest

from opsagent.clients.alertmanager_wire import reported
from opsagent.controllers.pipeline import Pipeline, Step, merge
from opsagent.controllers.reported import OPEN_MAX
from opsagent.detection.reported import SILENCE
from opsagent.model.alert import AlertState, EvidenceKind, ReportedAlert, Severity
from opsagent.model.entity import Entity, Kind
from opsagent.model.incident import Cause, Incident, IncidentState
from opsagent.model.kube import Node, ObjectMeta
from opsagent.model.signal import RowType
from opsagent.model.workload import Workload
from opsagent.ports import Snapshot
from tests.fakes.objects import WEB, after, crash_looping, healthy, rolling, rows
from tests.fakes.webhooks import body, told

CRASH = rolling([crash_looping(after(20))])
WELL = healthy()
KEY = b"k" * 32
SHOP = Entity(Kind.NAMESPACE, "", "shop")


def alerts(*bodies: dict) -> tuple[ReportedAlert, ...]:
    return reported(body(*bodies))


def seeing(world: Workload) -> tuple[Pipeline, list[Step]]:
    """Return a pipeline that has listed ``world``, and its steps so far."""
    pipeline = Pipeline(Snapshot(), KEY)
    steps = [
        pipeline.observe(row.at, row.type, row.kind, row.item) for row in rows(world, at=after(30))
    ]
    return pipeline, steps


def the_incident(pipeline: Pipeline) -> Incident:
    (found,) = pipeline.book.incidents.values()
    return found


@pytest.mark.parametrize(
    "labels",
    [
        {"deployment": "web"},
        {"pod": WELL.pods[0].meta.name},
        {"deployment": "gone", "pod": WELL.pods[0].meta.name},
    ],
)
def test_labels_that_name_a_deployment_or_its_pod_lead_to_the_deployment(labels) -> None:
    pipeline, _ = seeing(WELL)
    pipeline.report(alerts(told(**labels)), after(60))
    assert the_incident(pipeline).entity == WEB
    assert the_incident(pipeline).diagnoses[0].cause is Cause.UNKNOWN


@pytest.mark.parametrize("labels", [{}, {"pod": "stranger"}, {"node": "nowhere"}])
def test_what_fits_nothing_is_of_its_namespace(labels) -> None:
    pipeline, _ = seeing(WELL)
    pipeline.report(alerts(told(**labels)), after(60))
    assert the_incident(pipeline).entity == SHOP


def test_a_node_that_is_known_is_named() -> None:
    pipeline, _ = seeing(WELL)
    pipeline.observe(after(40), RowType.ADDED, Kind.NODE, Node(ObjectMeta("", "n1", "uid-n1", "1")))
    pipeline.report(alerts(told(node="n1")), after(60))
    assert the_incident(pipeline).entity == Entity(Kind.NODE, "", "n1")
    assert the_incident(pipeline).title == "n1: KubePodCrashLooping"


def test_it_joins_the_incident_that_there_is_and_keeps_it_open_until_it_ends() -> None:
    pipeline, _ = seeing(CRASH)
    step = pipeline.report(alerts(told(deployment="web")), after(60))
    assert [each.state for each in step.batch.alerts] == [AlertState.FIRING]
    incident = the_incident(pipeline)
    assert incident.diagnoses[0].cause is Cause.BAD_ROLLOUT
    assert len(incident.firing) == 2
    pipeline.observe(after(100), RowType.DELETED, Kind.POD, CRASH.pods[-1])
    assert the_incident(pipeline).state is IncidentState.OPEN
    assert len(the_incident(pipeline).firing) == 1
    step = pipeline.report(alerts(told("resolved", deployment="web")), after(130))
    assert [each.state for each in step.batch.alerts] == [AlertState.RESOLVED]
    assert the_incident(pipeline).state is IncidentState.MITIGATED


def test_a_look_at_the_workload_ends_none_that_is_reported() -> None:
    pipeline, _ = seeing(WELL)
    pipeline.report(alerts(told(deployment="web")), after(60))
    for row in rows(WELL, at=after(100)):
        pipeline.observe(row.at, row.type, row.kind, row.item)
    assert the_incident(pipeline).state is IncidentState.OPEN


def test_told_again_only_that_it_was_heard_is_stored() -> None:
    pipeline, _ = seeing(WELL)
    pipeline.report(alerts(told(deployment="web")), after(60))
    step = pipeline.report(alerts(told(deployment="web")), after(90))
    assert [each.heard_at for each in step.batch.alerts] == [after(90)]
    assert step.batch.incidents == ()
    risen = alerts(told(deployment="web"))[0]
    step = pipeline.report([risen], after(95))
    assert step.batch.notifications == ()


def test_what_always_fires_or_says_nothing_opens_none() -> None:
    pipeline, _ = seeing(WELL)
    quiet = [
        told(alertname="Watchdog", severity="critical"),
        told(alertname="InfoInhibitor", severity="critical"),
        told(severity="info", deployment="web"),
        told("resolved", deployment="web"),
    ]
    assert pipeline.report(alerts(*quiet), after(60)) == Step()
    assert pipeline.reported.unused_total == 4
    assert len(pipeline.reported) == 0


def test_what_is_only_information_supports_the_incident_that_there_is() -> None:
    pipeline, _ = seeing(CRASH)
    pipeline.report(
        alerts(told(severity="info", deployment="web", alertname="CPUThrottlingHigh")), after(60)
    )
    incident = the_incident(pipeline)
    assert len(incident.firing) == 1
    assert incident.diagnoses[0].evidence[-1].kind is EvidenceKind.ALERT
    assert len(pipeline.reported) == 0


def test_over_a_restart_it_goes_on() -> None:
    pipeline, steps = seeing(WELL)
    steps.append(pipeline.report(alerts(told(deployment="web")), after(60)))
    whole = merge(steps).batch
    again = Pipeline(
        Snapshot(len(whole.rows), whole.rows, whole.changes, whole.alerts, whole.incidents), KEY
    )
    assert len(again.reported) == 1
    for row in rows(WELL, at=after(100)):
        again.observe(row.at, row.type, row.kind, row.item)
    assert the_incident(again).state is IncidentState.OPEN
    again.report(alerts(told("resolved", deployment="web")), after(130))
    assert the_incident(again).state is IncidentState.MITIGATED


def test_unheard_for_half_a_day_it_is_over() -> None:
    pipeline, _ = seeing(WELL)
    pipeline.report(alerts(told(deployment="web")), after(60))
    pipeline.report(alerts(told(deployment="web")), after(600))
    due = after(600) + SILENCE
    assert pipeline.next_due() == due
    assert pipeline.tick(due - dt.timedelta(seconds=1)) == Step()
    step = pipeline.tick(due)
    assert [each.state for each in step.batch.alerts] == [AlertState.RESOLVED]
    assert the_incident(pipeline).state is IncidentState.MITIGATED


def test_a_storm_from_outside_is_bounded_and_counted() -> None:
    pipeline, _ = seeing(WELL)
    storm = [told(instance=str(number)) for number in range(OPEN_MAX + 5)]
    for first in range(0, len(storm), 500):
        pipeline.report(alerts(*storm[first : first + 500]), after(60))
    assert len(pipeline.reported) == OPEN_MAX
    assert pipeline.reported.dropped_total == 5
    assert len(pipeline.book.incidents) == 1


def test_secrets_in_labels_and_annotations_are_gone() -> None:
    pipeline, _ = seeing(WELL)
    alert = told(deployment="web", header="Bearer abcdefgh12345678")
    alert["annotations"] = {"summary": "login with password=hunter2hunter2 failed"}
    step = pipeline.report(alerts(alert), after(60))
    assert "hunter2" not in repr(step)
    assert "abcdefgh12345678" not in repr(step)


def test_severity_rises_with_the_alert() -> None:
    pipeline, _ = seeing(WELL)
    first = alerts(told(deployment="web"))[0]
    pipeline.report([first], after(60))
    assert the_incident(pipeline).severity is Severity.WARNING
    worse = alerts(told(deployment="web", severity="critical"))
    pipeline.report(worse, after(70))
    assert the_incident(pipeline).severity is Severity.CRITICAL
