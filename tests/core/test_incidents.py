"""The life of an incident, as timelines: what happens, what people are told, what memory keeps, what is waited for."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace

import pytest

from opsagent.detection.alerts import judge
from opsagent.incidents import timeline
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
from opsagent.incidents.tell import DIFF_LINES_MAX, Statement
from opsagent.incidents.timeline import FLAPPING_MAX
from opsagent.incidents.turn import KEEP_RESOLVED, QUIET
from opsagent.incidents.waiting import QUIET_WORDS
from opsagent.incidents.words import span
from opsagent.model.alert import Alert, AlertState, Evidence, EvidenceKind, Severity, Symptom
from opsagent.model.entity import Ref
from opsagent.model.incident import Cause, EntryKind, Incident, IncidentState, TimelineEntry
from opsagent.model.notification import Notification, NotificationReason
from opsagent.model.plan import (
    ActionClass,
    Decision,
    DecisionVerdict,
    FieldChange,
    Plan,
    PlanRecord,
    PlanState,
    Proposal,
    RolloutUndo,
    Transition,
    VerifySpec,
)
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
    stuck,
    waiting,
    workload,
)

CRASH = rolling([crash_looping(after(20))])
PULL = rolling([waiting("ErrImagePull", "manifest unknown")])
STRANGE = Evidence(EvidenceKind.LOG, "v1/Pod/shop/web-rs2-1", "panic: no such table", after(25))
K = EntryKind
R = NotificationReason


def alert_of(world: Workload, seconds: float = 30) -> Alert:
    """Return the one alert that detection finds in ``world``."""
    (alert,) = judge((), world, after(seconds)).changed
    return alert


class Story:
    """A book with all that followed so far, told event by event."""

    def __init__(self, book: Book | None = None) -> None:
        self.book = book or Book()
        self.effects = Effects()
        self.notifications: list[Notification] = []
        self.facts: list[Statement] = []
        self.ignored: list[str] = []

    def tell(self, seconds: float, event: Event) -> "Story":
        """Fold ``event`` at ``seconds`` after T0."""
        self.book, self.effects = reduce(self.book, event, after(seconds))
        self.notifications += self.effects.notifications
        self.facts += self.effects.facts
        self.ignored += self.effects.ignored
        return self

    def fire(self, seconds: float, world: Workload = CRASH, **bent: object) -> "Story":
        """Fold the alert of ``world``."""
        alert = replace(alert_of(world, seconds), **bent)  # type: ignore[arg-type]  # bends any field
        return self.tell(seconds, AlertFired(alert, world))

    def clear(self, seconds: float, world: Workload = CRASH) -> "Story":
        """Fold that the alert of ``world`` is over."""
        ended = replace(alert_of(world), state=AlertState.RESOLVED, ends_at=after(seconds))
        return self.tell(seconds, AlertCleared(ended))

    def plan(self, seconds: float, *steps: tuple[float, PlanState, str]) -> "Story":
        """Fold the record of web's plan with ``steps`` after it went to pending at 31 s."""
        return self.tell(seconds, PlanMoved(record(self.incident.incident_id, *steps)))

    @property
    def incident(self) -> Incident:
        """The newest incident."""
        return self.book.incidents[max(self.book.incidents)]

    @property
    def kinds(self) -> list[EntryKind]:
        """The kinds of the newest incident's timeline."""
        return [each.kind for each in self.incident.timeline]

    @property
    def reasons(self) -> list[NotificationReason]:
        """Why people were told so far."""
        return [each.reason for each in self.notifications]


def plan_for(incident_id: str, fields: int = 1) -> Plan:
    """Return a plan to undo web's rollout, offered until 15 minutes after T0."""
    proposal = Proposal(
        incident_id=incident_id,
        action=RolloutUndo(Ref(WEB, "uid-web"), 1),
        runbook="bad-rollout",
        reason="shop/web fails since its rollout",
        symptoms=tuple(Symptom),
        verify=VerifySpec(),
    )
    return Plan(
        plan_id="pln_0123456789abcdef",
        plan_hash="hash",
        proposal=proposal,
        action_class=ActionClass.REVERSIBLE,
        decision=Decision(DecisionVerdict.REQUIRE_APPROVAL, "class.R", "a person decides"),
        policy_hash="policy",
        tool_version="rollout_undo/1",
        template_digest="template",
        touched_digest="touched",
        diff=tuple(
            FieldChange(
                f"/spec/template/spec/containers/{n}/image", '"shop/web:v2"', '"shop/web:v1"'
            )
            for n in range(fields)
        ),
        inverse="{}",
        created_at=after(31),
        expires_at=after(900),
    )


ASKED = tuple(
    (31.0, state, "executor")
    for state in (
        PlanState.PROPOSED,
        PlanState.VALIDATED,
        PlanState.DRY_RUN,
        PlanState.DIFFED,
        PlanState.PENDING,
    )
)
APPROVED = (60.0, PlanState.APPROVED, "alice@example.com")
ARMED = (61.0, PlanState.ARMED, "executor")
SENT = (62.0, PlanState.SENT, "executor")
VERIFYING = (63.0, PlanState.VERIFYING, "executor")
SUCCEEDED = (183.0, PlanState.SUCCEEDED, "executor")
CARRIED_OUT = (APPROVED, ARMED, SENT, VERIFYING)


def moves(*steps: tuple[float, PlanState, str]) -> tuple[Transition, ...]:
    """Return transitions, numbered from 1, each with its state as the reason."""
    return tuple(
        Transition(seq, after(at), "pln_0123456789abcdef", state, actor, f"since {state.value}")
        for seq, (at, state, actor) in enumerate(steps, 1)
    )


def record(incident_id: str, *steps: tuple[float, PlanState, str]) -> PlanRecord:
    """Return the plan's record: asked, then ``steps``."""
    return PlanRecord(plan_for(incident_id), moves(*ASKED, *steps))


def opened() -> Story:
    """Return the story of web's crash loop, 30 s after T0."""
    return Story().fire(30)


def test_a_bad_rollout_from_detection_to_the_verified_end() -> None:
    story = opened()
    incident = story.incident
    assert (incident.entity, incident.state) == (WEB, IncidentState.OPEN)
    assert (incident.severity, incident.title) == (Severity.CRITICAL, "shop/web is crash looping")
    assert incident.diagnoses[0].cause is Cause.BAD_ROLLOUT
    assert incident.waiting_for == "a plan"
    assert story.effects.wants_plan == (incident.incident_id,)

    story.plan(31)
    assert story.incident.waiting_for == "approval of pln_0123456789abcdef until 00:15:00Z"
    assert story.effects.wants_plan == ()
    story.plan(60, APPROVED)
    assert story.incident.waiting_for == "the executor to carry out pln_0123456789abcdef"
    story.plan(62, APPROVED, ARMED, SENT)
    assert story.incident.waiting_for == "the verification of pln_0123456789abcdef"
    story.clear(70)
    assert story.incident.state is IncidentState.MITIGATED
    assert next_due(story.book) is None
    story.tell(170, Tick())
    assert story.incident.state is IncidentState.MITIGATED
    story.plan(183, *CARRIED_OUT, SUCCEEDED)

    assert (story.incident.state, story.incident.resolved_at) == (
        IncidentState.RESOLVED,
        after(183),
    )
    assert story.incident.waiting_for == ""
    assert [(each.kind, each.actor) for each in story.incident.timeline] == [
        (K.DETECTED, "opsagent"),
        (K.OPENED, "opsagent"),
        (K.CAUSE, "opsagent"),
        (K.PLAN, "opsagent"),
        (K.APPROVED, "alice@example.com"),
        (K.EXECUTED, "executor"),
        (K.CLEARED, "opsagent"),
        (K.VERIFIED, "executor"),
        (K.RESOLVED, "opsagent"),
    ]
    assert story.reasons == [R.OPENED, R.APPROVAL_NEEDED, R.RESOLVED]
    assert [each.predicate for each in story.facts] == [
        "rollout",
        "incident_opened",
        "action_executed",
        "action_verified",
        "incident_resolved",
    ]
    assert story.ignored == []


def test_facts_can_be_checked_and_are_pinned() -> None:
    story = opened().plan(62, *CARRIED_OUT).clear(70).plan(183, *CARRIED_OUT, SUCCEEDED)
    texts = {each.predicate: each for each in story.facts}
    name = story.incident.incident_id
    assert texts["rollout"].text == "shop/web image of web: shop/web:v1 -> shop/web:v2"
    assert (texts["rollout"].at, texts["rollout"].pointers) == (after(0), ("raw:7", name))
    assert texts["incident_opened"].text == ("shop/web is crash looping; cause bad_rollout (0.95)")
    assert texts["action_verified"].text == (
        "roll back shop/web to revision 1: verified; "
        '/spec/template/spec/containers/0/image: "shop/web:v2" -> "shop/web:v1"'
    )
    assert texts["incident_resolved"].text == (
        "shop/web is crash looping: over after 2 min; cause bad_rollout (0.95); pln_0123456789abcdef"
    )
    assert texts["incident_resolved"].pointers == (name, "pln_0123456789abcdef")
    assert all(each.is_pinned and each.subject == str(WEB) for each in story.facts)


def test_messages_say_what_why_and_what_is_asked() -> None:
    story = opened().plan(31)
    told, asked = story.notifications
    assert told.title == "shop/web is crash looping"
    assert told.lines[0] == "Cause: bad_rollout (0.95) of shop/web."
    assert told.lines[1].startswith("Rolled out at 00:00:00Z by kubectl-set")
    assert told.lines[-1] == "Waiting for: a plan."
    assert asked.title == "Approve? roll back shop/web to revision 1"
    assert asked.lines == (
        '/spec/template/spec/containers/0/image: "shop/web:v2" -> "shop/web:v1"',
        "On: apps/v1/Deployment/shop/web",
        "Undone by: putting back the pod template that is there now.",
        "Success: none of 5 symptoms for 120 s.",
        "Offered until: 00:15:00Z, as pln_0123456789abcdef.",
        "Why: shop/web fails since its rollout",
    )
    assert {each.severity for each in (told, asked)} == {Severity.CRITICAL}


def test_a_large_diff_is_cut_and_says_so() -> None:
    story = opened()
    plan = plan_for(story.incident.incident_id, fields=DIFF_LINES_MAX + 3)
    story.tell(31, PlanMoved(PlanRecord(plan, moves(*ASKED))))
    lines = story.notifications[-1].lines
    assert lines[DIFF_LINES_MAX] == "and 3 fields more"
    assert lines[DIFF_LINES_MAX + 1].startswith("On: ")


def test_alerts_of_one_deployment_join_and_of_another_open_their_own() -> None:
    other = rolling([crash_looping(after(20))], meta=replace(deployment("api").meta, name="api"))
    story = opened().fire(40, PULL).fire(50, other)
    assert len(story.book.incidents) == 2
    web = next(each for each in story.book.incidents.values() if each.entity == WEB)
    assert set(web.firing) == {alert_of(CRASH).fingerprint, alert_of(PULL).fingerprint}
    assert K.JOINED in [each.kind for each in web.timeline]
    assert len(story.effects.wants_plan) == 2


def test_severity_rises_with_its_alerts_and_people_hear_of_it_once() -> None:
    story = Story().fire(30, PULL)
    assert story.incident.severity is Severity.WARNING
    story.fire(40, CRASH)
    assert story.incident.severity is Severity.CRITICAL
    assert story.reasons == [R.OPENED, R.WORSE]
    story.clear(50, CRASH)
    assert story.incident.severity is Severity.CRITICAL
    story.fire(60, PULL, severity=Severity.CRITICAL)
    assert story.reasons == [R.OPENED, R.WORSE]


def test_an_alert_that_rises_while_it_fires_joins_nothing_anew() -> None:
    story = Story().fire(30, PULL).fire(40, PULL, severity=Severity.CRITICAL)
    assert story.incident.severity is Severity.CRITICAL
    assert K.JOINED not in story.kinds
    assert story.reasons == [R.OPENED, R.WORSE]


def test_the_cause_is_told_again_only_when_it_changes() -> None:
    story = Story().fire(30, PULL)
    assert story.incident.diagnoses[0].cause is Cause.INCORRECT_IMAGE_REFERENCE
    story.fire(31, PULL, severity=Severity.CRITICAL)
    assert story.kinds.count(K.CAUSE) == 1
    old_too = replace(CRASH.pods[0], container_statuses=(crash_looping(after(21)),))
    story.fire(40, replace(CRASH, pods=(old_too, *CRASH.pods[1:])))
    assert story.kinds.count(K.CAUSE) == 2


def test_without_a_workload_or_a_verdict_the_causes_stay_as_they_were() -> None:
    story = Story().tell(30, AlertFired(alert_of(CRASH), None))
    assert story.incident.diagnoses == ()
    assert story.incident.waiting_for == "a person: the cause is not known"
    assert story.effects.wants_plan == ()
    assert story.notifications[0].lines == ("Waiting for: a person: the cause is not known.",)
    assert story.facts[0].text.endswith("cause unknown")
    story.fire(31)
    assert story.incident.diagnoses[0].cause is Cause.BAD_ROLLOUT
    owner = deployment()
    quiet = workload(owner, [replica_set(owner)], [pod(replica_set(owner))])
    stranger = replace(alert_of(PULL), name="Stranger", labels={"alertname": "Stranger"})
    lone = Story().tell(30, AlertFired(stranger, quiet))
    assert lone.incident.title == "shop/web: Stranger"
    assert lone.incident.diagnoses == ()


def test_an_unknown_cause_waits_for_a_person_not_for_a_plan() -> None:
    base = stuck()
    never_rolled = replace(base, changes=(), replica_sets=base.replica_sets[:1])
    story = Story().fire(30, never_rolled)
    assert story.incident.diagnoses[0].cause is Cause.UNKNOWN
    assert story.incident.waiting_for == "a person: the cause is not known"
    assert story.effects.wants_plan == ()


def test_alerts_that_clear_by_themselves_resolve_after_a_minute_of_quiet() -> None:
    story = opened().fire(35, PULL).clear(40).clear(50, PULL)
    assert story.incident.state is IncidentState.MITIGATED
    assert story.incident.waiting_for == QUIET_WORDS
    assert next_due(story.book) == after(50) + QUIET
    story.tell(109, Tick())
    assert story.incident.state is IncidentState.MITIGATED
    assert story.effects == Effects()
    story.tell(110, Tick())
    assert story.incident.state is IncidentState.RESOLVED
    assert story.incident.timeline[-1].text == "no alert for 60 s"
    assert story.reasons[-1] is R.RESOLVED
    assert story.notifications[-1].title == "Resolved: shop/web is crash looping"


def test_a_refire_before_resolution_reopens_and_after_it_opens_anew() -> None:
    story = opened().clear(40).fire(70)
    assert story.incident.state is IncidentState.OPEN
    assert story.kinds[-2:] == [K.JOINED, K.REOPENED]
    assert story.incident.cleared == ()
    first = story.incident.incident_id
    story.clear(80).tell(140, Tick()).fire(141)
    assert story.incident.incident_id != first
    assert story.book.incidents[first].state is IncidentState.RESOLVED
    assert story.reasons == [R.OPENED, R.RESOLVED, R.OPENED]
    assert len({each.notification_id for each in story.notifications}) == 3


def test_a_refire_at_the_very_instant_of_resolution_reopens() -> None:
    story = opened().clear(40).tell(100, Tick()).fire(100)
    assert len(story.book.incidents) == 1
    assert (story.incident.state, story.incident.resolved_at) == (IncidentState.OPEN, None)


def test_a_resolved_incident_closes_a_day_later_and_leaves_the_book() -> None:
    story = opened().clear(40).tell(100, Tick())
    due = next_due(story.book)
    assert due == after(100) + KEEP_RESOLVED
    story.tell((due - after(0)).total_seconds(), Tick())
    assert [each.state for each in story.effects.incidents] == [IncidentState.CLOSED]
    assert story.book.incidents == {}
    assert next_due(story.book) is None


def test_one_tick_settles_several_incidents() -> None:
    other = rolling([crash_looping(after(20))], meta=replace(deployment("api").meta, name="api"))
    story = opened().fire(31, other).fire(32, PULL).clear(40).clear(41, other)
    story.tell(200, Tick())
    assert [each.state for each in story.effects.incidents] == [IncidentState.RESOLVED]
    story.clear(210, PULL).tell(300, Tick())
    assert {each.state for each in story.book.incidents.values()} == {IncidentState.RESOLVED}


@pytest.mark.parametrize(
    ("steps", "entry", "actor", "waiting_for", "reason"),
    [
        (
            [(900.0, PlanState.EXPIRED, "executor")],
            K.EXPIRED,
            "executor",
            "a person: the approval of pln_0123456789abcdef expired",
            R.APPROVAL_EXPIRED,
        ),
        (
            [(60.0, PlanState.DENIED, "bob")],
            K.DENIED,
            "bob",
            "a person: bob denied pln_0123456789abcdef: since denied",
            None,
        ),
        (
            [APPROVED, (61.0, PlanState.DENIED, "carol")],
            K.DENIED,
            "carol",
            "a person: carol denied pln_0123456789abcdef: since denied",
            None,
        ),
        (
            [APPROVED, (61.0, PlanState.INVALIDATED, "executor")],
            K.REFUSED,
            "executor",
            "a person: pln_0123456789abcdef was refused: since invalidated",
            R.NEEDS_PERSON,
        ),
        (
            [(61.0, PlanState.CANCELLED, "executor")],
            K.REFUSED,
            "executor",
            "a person: pln_0123456789abcdef was refused: since cancelled",
            R.NEEDS_PERSON,
        ),
        (
            [APPROVED, ARMED, (62.0, PlanState.UNKNOWN, "executor")],
            K.NEEDS_PERSON,
            "executor",
            "a person: whether pln_0123456789abcdef reached the cluster is not known: since unknown",
            R.NEEDS_PERSON,
        ),
        (
            [*CARRIED_OUT, (183.0, PlanState.ROLLING_BACK, "executor")],
            K.VERIFICATION_FAILED,
            "executor",
            "the roll back of pln_0123456789abcdef",
            None,
        ),
        (
            [
                *CARRIED_OUT,
                (183.0, PlanState.ROLLING_BACK, "executor"),
                (184.0, PlanState.ROLLED_BACK, "executor"),
            ],
            K.ROLLED_BACK,
            "executor",
            "a person: pln_0123456789abcdef did not help and was rolled back",
            R.NEEDS_PERSON,
        ),
        (
            [
                *CARRIED_OUT,
                (183.0, PlanState.ROLLING_BACK, "executor"),
                (184.0, PlanState.ROLLBACK_FAILED, "executor"),
            ],
            K.NEEDS_PERSON,
            "executor",
            "a person: pln_0123456789abcdef did not help and its roll back failed: since rollback_failed",
            R.NEEDS_PERSON,
        ),
        (
            [*CARRIED_OUT, SUCCEEDED],
            K.VERIFIED,
            "executor",
            "the alerts to clear after pln_0123456789abcdef",
            None,
        ),
    ],
    ids=[
        "expired",
        "denied",
        "denied after a leave",
        "invalidated",
        "cancelled",
        "unknown",
        "rolling back",
        "rolled back",
        "roll back failed",
        "succeeded while it still fires",
    ],
)
def test_every_end_of_a_plan_has_its_line_and_says_who_must_act(
    steps: Sequence[tuple[float, PlanState, str]],
    entry: EntryKind,
    actor: str,
    waiting_for: str,
    reason: NotificationReason | None,
) -> None:
    story = opened().plan(31).plan(1000, *steps)
    assert story.incident.state is IncidentState.OPEN
    last = story.incident.timeline[-1]
    assert (last.kind, last.actor, last.pointer) == (entry, actor, "pln_0123456789abcdef")
    assert story.incident.waiting_for == waiting_for
    assert story.reasons[2:] == ([] if reason is None else [reason])
    assert story.effects.wants_plan == ()


def test_a_rolled_back_action_is_remembered_as_such() -> None:
    story = opened().plan(
        200, *CARRIED_OUT, (183.0, PlanState.ROLLING_BACK, "e"), (184.0, PlanState.ROLLED_BACK, "e")
    )
    assert [each.predicate for each in story.facts][-2:] == [
        "action_executed",
        "action_rolled_back",
    ]
    assert story.facts[-1].text == "roll back shop/web to revision 1: rolled back"


def test_a_plan_that_the_guard_denies_was_never_on_offer() -> None:
    story = opened()
    denied = moves((31.0, PlanState.PROPOSED, "opsagent"), (31.0, PlanState.DENIED, "guard"))
    story.tell(31, PlanMoved(PlanRecord(plan_for(story.incident.incident_id), denied)))
    assert story.incident.timeline[-1].kind is K.REFUSED
    assert story.reasons == [R.OPENED, R.NEEDS_PERSON]
    assert K.PLAN not in story.kinds


def test_a_plan_seen_before_it_is_on_offer_is_waited_for() -> None:
    story = opened()
    early = moves((31.0, PlanState.PROPOSED, "opsagent"))
    story.tell(31, PlanMoved(PlanRecord(plan_for(story.incident.incident_id), early)))
    assert story.incident.waiting_for == "the executor to check pln_0123456789abcdef"
    assert story.effects.wants_plan == ()
    story.plan(32)
    assert story.reasons == [R.OPENED, R.APPROVAL_NEEDED]


def test_a_record_seen_only_at_its_end_gives_the_same_timeline() -> None:
    slow = opened()
    for end in range(len(CARRIED_OUT) + 1):
        slow.plan(100, *CARRIED_OUT[:end])
    slow.plan(200, *CARRIED_OUT, SUCCEEDED)
    quick = opened().plan(200, *CARRIED_OUT, SUCCEEDED)
    assert quick.incident.timeline == slow.incident.timeline
    assert quick.reasons == [R.OPENED]  # nobody is asked for what has long been done


def test_the_same_record_twice_or_late_changes_nothing() -> None:
    story = opened().plan(31).plan(62, *CARRIED_OUT)
    before = story.incident
    for steps in ((), CARRIED_OUT[:1], CARRIED_OUT):
        story.plan(90, *steps)
        assert story.effects == Effects()
        assert story.incident == before


def test_a_write_that_did_not_arrive_is_no_second_leave() -> None:
    again = (APPROVED, ARMED, (62.0, PlanState.APPROVED, "executor"))
    story = opened().plan(65, *again)
    assert story.kinds.count(K.APPROVED) == 1


def test_while_a_plan_is_on_offer_its_end_stays_in_sight() -> None:
    story = opened().plan(31)
    words = story.incident.waiting_for
    assert story.clear(40).incident.waiting_for == words
    assert story.fire(50).incident.waiting_for == words
    other = replace(plan_for(story.incident.incident_id), plan_id="pln_other")
    story.tell(55, PlanMoved(PlanRecord(other, moves((32.0, PlanState.PROPOSED, "o")))))
    assert story.incident.waiting_for == words
    assert story.incident.plan_ids == ("pln_0123456789abcdef", "pln_other")


def test_an_offer_does_not_keep_open_what_is_over() -> None:
    story = opened().plan(31).clear(40).tell(100, Tick())
    assert story.incident.state is IncidentState.RESOLVED
    story.plan(900, (900.0, PlanState.EXPIRED, "executor"))
    assert story.kinds[-1] is K.EXPIRED
    assert story.incident.state is IncidentState.RESOLVED
    assert story.reasons[-1] is R.RESOLVED
    assert story.incident.waiting_for == ""


def test_trouble_that_an_action_makes_after_resolution_still_reaches_people() -> None:
    story = opened().plan(31).clear(40).tell(100, Tick())
    late = [(110.0 + n, state, "executor") for n, (_, state, _a) in enumerate(CARRIED_OUT)]
    late += [(200.0, PlanState.ROLLING_BACK, "e"), (201.0, PlanState.ROLLBACK_FAILED, "e")]
    story.plan(202, *late)
    assert story.reasons[-1] is R.NEEDS_PERSON
    assert story.incident.waiting_for.startswith("a person: pln_0123456789abcdef did not help")
    assert story.incident.state is IncidentState.RESOLVED


def test_what_comes_back_after_a_verified_plan_needs_a_person() -> None:
    story = opened().plan(31)
    story.fire(40, PULL).clear(45).clear(50, PULL)
    story.plan(52, *CARRIED_OUT)  # the leave came while it was quiet
    assert story.incident.state is IncidentState.MITIGATED
    story.fire(170).plan(183, *CARRIED_OUT, SUCCEEDED)
    assert story.incident.state is IncidentState.OPEN
    story.clear(190)
    assert story.incident.state is IncidentState.RESOLVED
    again = Story(story.book).fire(190)
    assert again.incident.state is IncidentState.OPEN
    assert again.kinds[-2:] == [K.REOPENED, K.NEEDS_PERSON]
    assert again.reasons == [R.NEEDS_PERSON]
    assert again.incident.waiting_for == (
        "a person: it came back after pln_0123456789abcdef was verified"
    )
    again.clear(200)
    assert again.incident.waiting_for == QUIET_WORDS
    again.tell(260, Tick())
    assert again.incident.timeline[-1].text == "no alert for 60 s"


def test_no_plan_is_said_once_until_the_cause_changes() -> None:
    story = opened()
    name = story.incident.incident_id
    story.tell(32, NoPlan(name, "no runbook is for bad_rollout"))
    assert story.incident.waiting_for == "a person: no runbook is for bad_rollout"
    assert story.effects.wants_plan == ()
    assert story.reasons == [R.OPENED, R.NEEDS_PERSON]
    story.tell(33, NoPlan(name, "no runbook is for bad_rollout"))
    assert story.ignored == [f"no plan for {name}: it wants none"]
    story.fire(40, PULL)
    assert story.incident.diagnoses[0].cause is Cause.INCORRECT_IMAGE_REFERENCE
    assert story.effects.wants_plan == (name,)
    assert story.incident.waiting_for == "a plan"


def test_a_closer_look_supports_the_top_cause_and_is_not_lost() -> None:
    story = opened()
    name = story.incident.incident_id
    story.tell(31, EvidenceGathered(name, (STRANGE,)))
    assert story.incident.diagnoses[0].evidence[-1] == STRANGE
    before = story.incident
    story.tell(32, EvidenceGathered(name, (STRANGE,)))
    assert story.incident == before
    oom = rolling([out_of_memory(after(20))])
    story.fire(40, oom)
    assert story.incident.diagnoses[0].evidence[-1] == STRANGE


def test_events_that_find_nothing_are_named_not_lost() -> None:
    story = Story().clear(10)
    story.tell(11, EvidenceGathered("inc_none", (STRANGE,)))
    story.tell(12, NoPlan("inc_none", "x"))
    story.tell(13, PlanMoved(record("inc_none")))
    assert story.book == Book()
    assert len(story.ignored) == 4
    assert story.ignored[-1] == "pln_0123456789abcdef: no incident inc_none"
    story.tell(30, AlertFired(alert_of(CRASH), None))
    story.tell(31, EvidenceGathered(story.incident.incident_id, (STRANGE,)))
    assert len(story.ignored) == 5


def test_a_flapping_alert_keeps_a_bounded_timeline_and_the_plans_lines() -> None:
    story = opened().plan(31)
    for number in range(100):
        story.clear(40 + 20 * number).fire(50 + 20 * number)
    flapping = {K.JOINED, K.CLEARED, K.REOPENED, K.CAUSE, K.NO_PLAN}
    assert sum(1 for kind in story.kinds if kind in flapping) == FLAPPING_MAX
    assert story.kinds[:2] == [K.DETECTED, K.OPENED]
    assert K.PLAN in story.kinds
    assert story.incident.state is IncidentState.OPEN


def test_a_book_restored_in_the_middle_goes_on_alike() -> None:
    whole = opened().plan(31).plan(62, *CARRIED_OUT).clear(70)
    half = opened().plan(31)
    incidents, alerts = half.book.incidents.values(), half.book.alerts.values()
    rest = Story(restore(incidents, alerts)).plan(62, *CARRIED_OUT).clear(70)
    assert rest.book == whole.book
    for story in (whole, rest):
        story.plan(183, *CARRIED_OUT, SUCCEEDED)
    assert rest.incident == whole.incident


def test_a_book_restored_without_alerts_still_groups_and_drops_what_is_closed() -> None:
    open_now = opened().incident
    closed = replace(open_now, incident_id="inc_0", state=IncidentState.CLOSED)
    story = Story(restore([open_now, closed])).fire(40, PULL)
    assert list(story.book.incidents) == [open_now.incident_id]
    assert len(story.incident.firing) == 2
    assert story.incident.diagnoses[0].cause is Cause.INCORRECT_IMAGE_REFERENCE


def test_entries_of_one_instant_stay_in_the_order_they_came() -> None:
    incident = opened().incident
    entries = [TimelineEntry(after(5), "x", K.JOINED, text) for text in "cab"]
    told = timeline.add(incident, [*entries, entries[0]])
    assert [each.text for each in told.timeline[:3]] == ["c", "a", "b"]
    assert timeline.add(told, entries) is told


def test_an_incident_that_says_not_when_it_became_quiet_counts_from_its_last_word() -> None:
    incident = replace(opened().incident, state=IncidentState.MITIGATED)
    assert timeline.quiet_since(incident) == incident.updated_at


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7199, "119 min"),
        (7200, "2 h"),
        (200_000, "2 d"),
    ],
)
def test_spans_read_well(seconds: int, words: str) -> None:
    assert span(dt.timedelta(seconds=seconds)) == words
