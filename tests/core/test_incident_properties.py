"""What holds for incidents whatever happens: every alert has one home, severity never falls, folding is repeatable."""

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given, strategies as st

from opsagent.incidents.reduce import (
    AlertCleared,
    AlertFired,
    Book,
    Effects,
    Event,
    EvidenceGathered,
    NoPlan,
    PlanMoved,
    Tick,
    next_due,
    reduce,
    restore,
)
from opsagent.model.alert import (
    Alert,
    AlertState,
    Evidence,
    EvidenceKind,
    Severity,
    Symptom,
    fingerprint,
)
from opsagent.model.canonical import canonical
from opsagent.model.entity import Entity, Kind
from opsagent.model.incident import IncidentState
from tests.core.test_incidents import APPROVED, ARMED, SENT, SUCCEEDED, VERIFYING, record
from tests.fakes.objects import WEB, after, crash_looping, rolling, waiting

RANK = {Severity.INFO: 0, Severity.WARNING: 1, Severity.CRITICAL: 2}
API = Entity(Kind.DEPLOYMENT, "shop", "api")
WORLDS = (
    rolling([crash_looping(after(20))]),
    rolling([waiting("ErrImagePull")]),
    replace(rolling([crash_looping(after(20))]), changes=()),
)
PLAN_STEPS = (APPROVED, ARMED, SENT, VERIFYING, SUCCEEDED)


def alert(entity: Entity, symptom: Symptom, severity: Severity, seconds: int) -> Alert:
    """Return an alert of our own."""
    labels = {"alertname": symptom.value, "namespace": entity.namespace, "deployment": entity.name}
    return Alert(
        fingerprint=fingerprint(labels),
        name=symptom.value,
        entity=entity,
        severity=severity,
        state=AlertState.FIRING,
        starts_at=after(seconds),
        ends_at=None,
        labels=labels,
    )


alerts = st.builds(
    alert,
    st.sampled_from([WEB, API]),
    st.sampled_from(list(Symptom)),
    st.sampled_from(list(Severity)),
    st.just(5),
)
# What an event says of an incident it says of the newest one: ``None`` is filled in when it is folded.
steps = st.one_of(
    st.builds(AlertFired, alerts, st.sampled_from([*WORLDS, None])),
    st.builds(AlertCleared, alerts),
    st.just(Tick()),
    st.integers(min_value=0, max_value=len(PLAN_STEPS)),
    st.sampled_from(["no runbook", "no revision"]),
    st.just(Evidence(EvidenceKind.LOG, "v1/Pod/shop/web-1", "panic", after(1))),
)
stories = st.lists(st.tuples(st.integers(min_value=1, max_value=100), steps), max_size=30)
Step = Event | int | str | Evidence


def event_of(book: Book, step: Step) -> Event:
    """Return ``step`` as an event about the newest incident."""
    newest = max(book.incidents, default="inc_none")
    match step:
        case int():
            return PlanMoved(record(newest, *PLAN_STEPS[:step]))
        case str():
            return NoPlan(newest, step)
        case Evidence():
            return EvidenceGathered(newest, (step,))
        case _:
            return step


def fold(story: Sequence[tuple[int, Step]]) -> tuple[Book, list[Effects]]:
    """Return the last book and every effect; the integers are seconds since the step before."""
    book, effects, now = Book(), [], 10
    for seconds, step in story:
        now += seconds
        book, more = reduce(book, event_of(book, step), after(now))
        effects.append(more)
    return book, effects


@given(stories)
def test_the_same_events_twice_give_the_same_bytes(story: list[tuple[int, Step]]) -> None:
    assert canonical(fold(story)) == canonical(fold(story))


@given(stories)
def test_every_firing_alert_is_in_exactly_one_incident(story: list[tuple[int, Step]]) -> None:
    book, firing, now = Book(), dict[str, Entity](), 10
    for seconds, step in story:
        now += seconds
        if isinstance(step, AlertFired):
            firing[step.alert.fingerprint] = step.alert.entity
        elif isinstance(step, AlertCleared):
            firing.pop(step.alert.fingerprint, None)
        book, _ = reduce(book, event_of(book, step), after(now))
        homes = [(name, each.entity) for each in book.incidents.values() for name in each.firing]
        assert sorted(homes) == sorted(firing.items())
        assert set(book.alerts) == set(firing)
        alive = [each.entity for each in book.incidents.values() if each.resolved_at is None]
        assert len(alive) == len(set(alive))


@given(stories)
def test_severity_never_falls_and_states_agree_with_alerts(story: list[tuple[int, Step]]) -> None:
    _, effects = fold(story)
    known: dict[str, Severity] = {}
    for each in effects:
        for incident in each.incidents:
            before = known.get(incident.incident_id, Severity.INFO)
            assert RANK[incident.severity] >= RANK[before]
            known[incident.incident_id] = incident.severity
            assert bool(incident.firing) == (incident.state is IncidentState.OPEN)
            assert not set(incident.firing) & set(incident.cleared)
            assert (incident.resolved_at is not None) == (
                incident.state in {IncidentState.RESOLVED, IncidentState.CLOSED}
            )
            times = [entry.at for entry in incident.timeline]
            assert times == sorted(times)
            assert len(set(incident.timeline)) == len(incident.timeline)


@given(stories)
def test_a_message_is_named_by_incident_severity_and_reason_alone(
    story: list[tuple[int, Step]],
) -> None:
    _, effects = fold(story)
    names: dict[tuple[str, Severity, str], str] = {}
    for note in [note for each in effects for note in each.notifications]:
        key = (note.incident_id, note.severity, note.reason)
        assert names.setdefault(key, note.notification_id) == note.notification_id
    assert len(set(names.values())) == len(names)


@given(stories)
def test_every_event_is_idempotent(story: list[tuple[int, Step]]) -> None:
    book, now = Book(), 10
    for seconds, step in story:
        now += seconds
        event = event_of(book, step)
        book, first = reduce(book, event, after(now))
        again, second = reduce(book, event, after(now))
        assert again == book
        assert (second.incidents, second.notifications, second.facts) == ((), (), ())
        assert second.wants_plan == first.wants_plan


@given(stories, st.integers(min_value=0, max_value=30))
def test_a_restart_anywhere_changes_nothing(story: list[tuple[int, Step]], cut: int) -> None:
    whole, effects = fold(story)
    before, early = fold(story[:cut])
    book = restore(before.incidents.values(), before.alerts.values())
    now = 10 + sum(seconds for seconds, _ in story[:cut])
    late = []
    for seconds, step in story[cut:]:
        now += seconds
        book, more = reduce(book, event_of(book, step), after(now))
        late.append(more)
    assert book == whole
    assert early + late == effects


@given(
    st.lists(alerts, min_size=1, max_size=8).flatmap(
        lambda a: st.tuples(st.just(a), st.permutations(a))
    )
)
def test_the_order_of_arrival_does_not_matter_to_the_grouping(
    orders: tuple[list[Alert], list[Alert]],
) -> None:
    grouped = []
    for order in orders:
        book = Book()
        for each in order:
            book, _ = reduce(book, AlertFired(each, WORLDS[0]), after(10))
        grouped.append(
            sorted(
                (each.incident_id, each.entity, each.severity, each.firing)
                for each in book.incidents.values()
            )
        )
    assert grouped[0] == grouped[1]


@given(stories)
def test_an_incident_left_alone_comes_to_rest_unless_something_is_under_way(
    story: list[tuple[int, Step]],
) -> None:
    book, _ = fold(story)
    for _ in range(10):
        due = next_due(book)
        if due is None:
            break
        book, _ = reduce(book, Tick(), due)
    assert next_due(book) is None
    for each in book.incidents.values():
        assert each.state in {IncidentState.OPEN, IncidentState.MITIGATED}
        assert each.waiting_for


@given(stories)
def test_nobody_is_asked_for_a_plan_twice(story: list[tuple[int, Step]]) -> None:
    book, now = Book(), 10
    for seconds, step in story:
        now += seconds
        book, effects = reduce(book, event_of(book, step), after(now))
        for name in effects.wants_plan:
            assert book.incidents[name].plan_ids == ()
            assert book.incidents[name].firing
            refused, more = reduce(book, NoPlan(name, "none"), after(now))
            assert name not in more.wants_plan
            planned, more = reduce(book, PlanMoved(record(name)), after(now))
            assert name not in more.wants_plan
            assert refused != planned
