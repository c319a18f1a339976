"""What others report: when it counts, what it is about, that it keeps its name, and what it does to an incident."""

from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from opsagent.detection.reported import (
    SILENCE,
    Weight,
    alert_of,
    candidates,
    elsewhere,
    fingerprint_of,
    heard_again,
    resolved,
    silent_at,
    weight,
)
from opsagent.incidents.reduce import AlertCleared, AlertFired, restore
from opsagent.model.alert import (
    Alert,
    AlertState,
    EvidenceKind,
    ReportedAlert,
    Severity,
    fingerprint,
)
from opsagent.model.entity import Entity, Kind
from opsagent.model.incident import Cause, EntryKind, IncidentState
from opsagent.model.notification import NotificationReason
from tests.core.test_incidents import Story
from tests.fakes.objects import WEB, after

LABELS = {"alertname": "KubePodCrashLooping", "namespace": "shop", "severity": "warning"}
SHOP = Entity(Kind.NAMESPACE, "", "shop")
NOW = after(60)


def told(
    severity: str = "warning", name: str = "KubePodCrashLooping", **more: str
) -> ReportedAlert:
    labels = LABELS | {"alertname": name, "severity": severity} | more
    summary = {"summary": "Pod is crash looping."}
    return ReportedAlert(labels, summary, AlertState.FIRING, after(50), None)


def alert(
    entity: Entity = WEB, severity: str = "warning", name: str = "KubePodCrashLooping", **more: str
) -> Alert:
    return alert_of(told(severity, name, **more), entity, NOW)


# What it is


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        (told("critical"), Weight.INCIDENT),
        (told("warning"), Weight.INCIDENT),
        (told("info"), Weight.EVIDENCE),
        (told("page"), Weight.EVIDENCE),
        (told(""), Weight.EVIDENCE),
        (told("critical", "Watchdog"), Weight.NOTHING),
        (told("critical", "InfoInhibitor"), Weight.NOTHING),
        (told("critical", ""), Weight.NOTHING),
    ],
)
def test_what_counts(reported: ReportedAlert, expected: Weight) -> None:
    assert weight(reported) is expected


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({"deployment": "web", "pod": "web-1"}, [(Kind.DEPLOYMENT, "web"), (Kind.POD, "web-1")]),
        ({"pod": "web-1"}, [(Kind.POD, "web-1")]),
        ({"node": "n1"}, [(Kind.NODE, "n1")]),
        ({"job": "node-exporter"}, []),
    ],
)
def test_labels_name_what_it_may_be_about(labels: dict[str, str], expected: list) -> None:
    found = candidates({"namespace": "shop", **labels})
    assert [(each.kind, each.name) for each in found] == expected
    without = candidates(labels)
    assert [each.kind for each in without] == [k for k, _ in expected if k is Kind.NODE]


def test_what_is_about_nothing_known_is_about_its_namespace() -> None:
    assert elsewhere({"namespace": "shop"}) == SHOP
    assert elsewhere({}) == Entity(Kind.NAMESPACE, "", "")


@given(
    st.dictionaries(st.sampled_from(["alertname", "namespace", "pod", "x"]), st.text(max_size=5))
)
def test_its_name_is_its_labels_and_never_that_of_an_alert_of_ours(labels: dict[str, str]) -> None:
    one = replace(told(), labels=labels)
    again = replace(one, annotations={"summary": "other"}, starts_at=after(99))
    assert fingerprint_of(one) == fingerprint_of(again)
    assert fingerprint_of(one) != fingerprint(labels)
    assert fingerprint_of(one) != fingerprint_of(replace(one, labels=labels | {"y": "1"}))


def test_it_shows_what_was_said_as_evidence() -> None:
    found = alert()
    (evidence,) = found.evidence
    assert evidence.kind is EvidenceKind.ALERT
    assert evidence.text == "KubePodCrashLooping: Pod is crash looping."
    assert evidence.ref == str(WEB)
    assert not found.is_own
    silent = alert_of(replace(told(), annotations={}), WEB, NOW)
    assert silent.evidence[0].text == "KubePodCrashLooping"
    described = replace(told(), annotations={"description": "why"})
    assert alert_of(described, WEB, NOW).annotations["summary"] == "why"


def test_times_from_the_future_are_now() -> None:
    late = replace(told(), starts_at=after(999))
    assert alert_of(late, WEB, NOW).starts_at == NOW
    assert resolved(alert(), after(999), NOW).ends_at == NOW
    assert resolved(alert(), after(55), NOW).ends_at == after(55)
    assert resolved(alert(), None, NOW).ends_at == NOW


def test_heard_again_it_may_rise_and_never_falls() -> None:
    risen = heard_again(alert(), told("critical"), after(90))
    assert (risen.severity, risen.heard_at) == (Severity.CRITICAL, after(90))
    assert heard_again(risen, told("warning"), after(99)).severity is Severity.CRITICAL
    assert silent_at(risen) == after(90) + SILENCE


# What it does


def report(story: Story, seconds: float, found: Alert) -> Story:
    return story.tell(seconds, AlertFired(found, None))


def end(story: Story, seconds: float, found: Alert) -> Story:
    return story.tell(seconds, AlertCleared(resolved(found, None, after(seconds))))


def test_it_joins_the_incident_of_its_deployment_as_evidence_for_the_cause() -> None:
    story = report(Story().fire(30), 60, alert())
    assert len(story.book.incidents) == 1
    top = story.incident.diagnoses[0]
    assert top.cause is Cause.BAD_ROLLOUT
    assert top.evidence[-1].kind is EvidenceKind.ALERT
    assert alert().fingerprint in story.incident.firing
    assert EntryKind.JOINED in story.kinds
    assert story.kinds.count(EntryKind.CAUSE) == 1
    assert story.effects.wants_plan == (story.incident.incident_id,)


def test_in_whatever_order_the_incident_and_its_cause_are_the_same() -> None:
    first = report(Story().fire(30), 60, alert()).incident
    last = report(Story(), 20, alert()).fire(30).incident
    assert first.firing == last.firing
    assert [each.cause for each in first.diagnoses] == [each.cause for each in last.diagnoses]
    assert set(first.diagnoses[0].evidence) == set(last.diagnoses[0].evidence)


def test_alone_it_opens_an_incident_whose_cause_is_not_known() -> None:
    story = report(Story(), 60, alert())
    incident = story.incident
    assert incident.entity == WEB
    assert incident.title == "shop/web: KubePodCrashLooping"
    assert [each.cause for each in incident.diagnoses] == [Cause.UNKNOWN]
    assert incident.waiting_for == "a person: the cause is not known"
    assert story.effects.wants_plan == ()
    assert story.reasons == [NotificationReason.OPENED]
    assert "Pod is crash looping." in " ".join(story.notifications[0].lines)


def test_of_no_deployment_it_is_grouped_by_name_and_place() -> None:
    story = report(Story(), 60, alert(SHOP, job="a"))
    report(story, 61, alert(SHOP, job="b"))
    assert len(story.book.incidents) == 1
    assert story.incident.title == "shop: KubePodCrashLooping"
    report(story, 62, alert(SHOP, name="KubeJobFailed"))
    report(story, 63, alert(Entity(Kind.NAMESPACE, "", "other")))
    report(story, 64, alert(Entity(Kind.NAMESPACE, "", "")))
    assert len(story.book.incidents) == 4
    assert story.incident.title == "the cluster: KubePodCrashLooping"


def test_a_worse_one_makes_the_incident_worse() -> None:
    story = report(report(Story(), 60, alert()), 61, alert(severity="critical"))
    assert story.incident.severity is Severity.CRITICAL
    assert NotificationReason.WORSE in story.reasons


def test_the_incident_goes_on_until_the_last_alert_has_cleared() -> None:
    story = report(Story().fire(30), 60, alert()).clear(90)
    assert story.incident.state is IncidentState.OPEN
    end(story, 120, alert())
    assert story.incident.state is IncidentState.MITIGATED


def test_a_name_like_one_of_ours_names_no_cause() -> None:
    mimic = alert(name="ContainerCrashLooping")
    story = report(Story(), 60, mimic)
    assert story.incident.diagnoses[0].cause is Cause.UNKNOWN
    assert end(story, 70, mimic).incident.state is IncidentState.MITIGATED
    both = report(Story().fire(30), 60, mimic)
    assert len(both.incident.firing) == 2


def test_a_restored_book_knows_its_groups() -> None:
    story = report(report(Story(), 60, alert(SHOP)), 61, alert())
    again = Story(restore(story.book.incidents.values(), story.book.alerts.values()))
    report(report(again, 70, alert(SHOP, job="b")), 71, alert(pod="b"))
    assert len(again.book.incidents) == 2
    stored = [replace(each, group_key="") for each in story.book.incidents.values()]
    older = Story(restore(stored, ()))
    report(older, 72, alert(pod="c"))
    assert len(older.book.incidents) == 2


def test_more_of_the_same_is_bounded() -> None:
    story = Story().fire(30)
    for number in range(30):
        report(story, 60 + number, alert(pod=f"web-{number}"))
    assert len(story.incident.diagnoses[0].evidence) <= 12


def test_its_end_without_a_beginning_changes_nothing() -> None:
    story = end(Story(), 60, alert())
    assert not story.book.incidents
    assert story.ignored
