"""Proposals become exact plans, people's clicks become at most one decision."""

import asyncio
import dataclasses
import datetime as dt

import pytest
from structlog.testing import capture_logs

from opsagent.guard.policy import Level
from opsagent.model.canonical import canonical
from opsagent.model.plan import (
    ApprovalRequest,
    ApprovalVerdict,
    DecisionVerdict,
    PlanState,
    VerifySpec,
)
from opsagent.ports import Conflict, Forbidden, NotFound, Terminal, Transient
from tests.fakes.deployments import FakeCluster
from tests.fakes.executor import AGENT, Bench, click, states, until
from tests.fakes.plans import POLICY, PROPOSAL, proposal
from tests.fakes.virtual_time import run

TO_PENDING = ["proposed", "validated", "dry_run", "diffed", "pending"]


def submitted(bench: Bench, asked=PROPOSAL):
    async def main():
        async with bench.life() as life:
            return await life.desk.submit(asked)

    return run(main())


def test_a_proposal_becomes_an_exact_plan_that_waits(tmp_path):
    bench = Bench(tmp_path)
    record = submitted(bench)
    assert states(record) == TO_PENDING
    assert [(line.path, line.old, line.new) for line in record.plan.diff] == [
        ("/spec/template/spec/containers/0/env/0/value", "***", "***"),
        ("/spec/template/spec/containers/0/image", '"shop/cart:v2"', '"shop/cart:v1"'),
    ]
    assert record.plan.decision.verdict is DecisionVerdict.REQUIRE_APPROVAL
    assert record.plan.expires_at - record.plan.created_at == dt.timedelta(minutes=15)
    assert '"shop/cart:v2"' in record.plan.inverse
    assert bench.cluster.effects == []


def test_neither_the_inverse_nor_a_secret_shows_when_a_plan_is_printed(tmp_path):
    text = repr(submitted(Bench(tmp_path)))
    assert "two" not in text.split("reason=")[0]
    assert "inverse" not in text


def protected(cluster: FakeCluster) -> None:
    cluster.namespace_labels["opsagent.io/protect"] = "yes"


def gone(cluster: FakeCluster) -> None:
    del cluster.deployments["cart"]


def without_revision(cluster: FakeCluster) -> None:
    del cluster.cart.revisions[1]


def unreadable_revision(cluster: FakeCluster) -> None:
    cluster.will("template_of_revision", Terminal("claimed twice"))


def unreadable_namespace(cluster: FakeCluster) -> None:
    cluster.will("get", Forbidden("no"))


def invalid_for_the_server(cluster: FakeCluster) -> None:
    cluster.will("dry_run", Terminal("invalid"))


def too_large(cluster: FakeCluster) -> None:
    lines = {str(number): "x" for number in range(201)}
    cluster.admission = lambda item: item["spec"]["template"]["metadata"].update(lines)


def no_change(cluster: FakeCluster) -> None:
    cluster.admission = lambda item: item["spec"].update(template=cluster.cart.template)


def more_than_the_template(cluster: FakeCluster) -> None:
    cluster.admission = lambda item: item["spec"].update(replicas=1)


def created_anew_meanwhile(cluster: FakeCluster) -> None:
    """The first look finds the old one, the rehearsal a new one of the same name with the same history."""

    def replace(_method: str) -> None:
        if cluster.calls.count("read_deployment") == 2:
            cluster.cart.uid = "other"

    async def template_of_revision(*_: object) -> str:
        return canonical(cluster.cart.revisions[1]).decode()

    cluster.on_call = replace
    cluster.template_of_revision = template_of_revision


@pytest.mark.parametrize(
    ("trouble", "expected", "reason"),
    [
        (protected, ["proposed", "denied"], "target.protected"),
        (gone, ["proposed", "denied"], "target.unknown"),
        (without_revision, ["proposed", "denied"], "revision 1 does not exist"),
        (unreadable_revision, ["proposed", "denied"], "is not known"),
        (unreadable_namespace, ["proposed", "denied"], "is not known"),
        (invalid_for_the_server, ["proposed", "validated", "invalidated"], "refused: invalid"),
        (too_large, ["proposed", "validated", "invalidated"], "more than 200 lines"),
        (no_change, ["proposed", "validated", "dry_run", "invalidated"], "nothing would change"),
        (
            more_than_the_template,
            ["proposed", "validated", "dry_run", "invalidated"],
            "/spec/replicas",
        ),
        (
            created_anew_meanwhile,
            ["proposed", "validated", "dry_run", "invalidated"],
            "created anew",
        ),
    ],
)
def test_what_is_refused_is_stored_with_its_reason(tmp_path, trouble, expected, reason):
    bench = Bench(tmp_path)
    trouble(bench.cluster)
    record = submitted(bench)
    assert states(record) == expected
    assert reason in record.transitions[-1].reason
    assert bench.cluster.effects == []


def test_the_guards_own_rules_are_refused_before_the_server_is_asked(tmp_path):
    bench = Bench(tmp_path, policy=dataclasses.replace(POLICY, namespaces=()))
    assert "namespace.unlisted" in submitted(bench).transitions[-1].reason
    asked = proposal(verify=VerifySpec(window_seconds=10))
    assert "verification" in submitted(Bench(tmp_path), asked).transitions[-1].reason
    assert "dry_run" not in bench.cluster.calls


def test_a_policy_that_only_suggests_shows_the_change_and_arms_nothing(tmp_path):
    bench = Bench(tmp_path, policy=dataclasses.replace(POLICY, level=Level.SUGGEST))
    record = submitted(bench)
    assert states(record) == ["proposed", "validated", "dry_run", "diffed", "denied"]
    assert len(record.plan.diff) == 2
    assert "only suggests" in record.transitions[-1].reason


@pytest.mark.parametrize("method", ["read_deployment", "get", "template_of_revision", "dry_run"])
def test_a_cluster_that_cannot_be_read_now_leaves_nothing_behind(tmp_path, method):
    async def main():
        bench = Bench(tmp_path)
        bench.cluster.will(method, Transient("down"))
        async with bench.life() as life:
            with pytest.raises(Transient):
                await life.desk.submit(PROPOSAL)
            assert await life.desk.plans() == ()
            assert states(await life.desk.submit(PROPOSAL)) == TO_PENDING

    run(main())


def test_an_object_that_moves_during_the_rehearsal_is_rehearsed_again(tmp_path):
    bench = Bench(tmp_path)
    bench.cluster.will("dry_run", Conflict("moved"), Conflict("moved"))
    assert states(submitted(bench)) == TO_PENDING


def test_an_object_that_never_stands_still_is_for_later(tmp_path):
    bench = Bench(tmp_path)
    bench.cluster.will("dry_run", *[Conflict("moved")] * 3)
    with pytest.raises(BaseExceptionGroup) as caught:
        submitted(bench)
    assert caught.group_contains(Transient)


async def same_proposal_twice(bench: Bench) -> None:
    async with bench.life() as life, asyncio.TaskGroup() as group:
        both = [
            group.create_task(life.desk.submit(proposal(reason=text)))
            for text in ("these words", "other words")
        ]
    async with bench.life() as life:
        again = await life.desk.submit(PROPOSAL)
        assert {item.result().plan.plan_id for item in both} == {again.plan.plan_id}
        assert len(await life.desk.plans()) == 1
        assert len(await life.desk.plans("inc_1")) == 1
        assert await life.desk.plans("inc_2") == ()


def test_the_same_proposal_gives_the_same_plan_also_at_the_same_time_and_after_a_crash(tmp_path):
    run(same_proposal_twice(Bench(tmp_path)))


async def test_the_same_proposal_gives_the_same_plan_on_real_threads(tmp_path):
    await same_proposal_twice(Bench(tmp_path))


async def expire(_bench: Bench, _plan) -> None:
    await asyncio.sleep(901)


async def deny(bench: Bench, plan) -> None:
    async with bench.life() as life:
        await click(life.desk, plan, "bob", ApprovalVerdict.DENY)


async def succeed(bench: Bench, plan) -> None:
    async with bench.life() as life:
        await click(life.desk, plan)
        await until(life.desk)


@pytest.mark.parametrize(
    ("become", "state"),
    [
        (expire, PlanState.EXPIRED),
        (deny, PlanState.DENIED),
        (succeed, PlanState.SUCCEEDED),
    ],
)
def test_once_people_were_asked_the_same_ask_has_the_same_answer_for_good(tmp_path, become, state):
    async def main():
        bench = Bench(tmp_path)
        async with bench.life() as life:
            first = await life.desk.submit(PROPOSAL)
        await become(bench, first.plan)
        async with bench.life() as life:
            await until(life.desk)
            again = await life.desk.submit(PROPOSAL)
            assert (again.plan.plan_id, again.state) == (first.plan.plan_id, state)
            assert len(await life.desk.plans()) == 1

    run(main())


def test_a_persons_no_carries_the_persons_name_and_words(tmp_path):
    async def main():
        async with Bench(tmp_path).life() as life:
            record = await life.desk.submit(PROPOSAL)
            answer = await click(life.desk, record.plan, "bob", ApprovalVerdict.DENY)
            assert (answer.is_accepted, answer.state) == (True, PlanState.DENIED)
            last = (await life.desk.plans())[0].transitions[-1]
            assert (last.state, last.actor, last.reason) == (PlanState.DENIED, "bob", "looks right")

    run(main())


def test_a_refusal_is_judged_anew_but_stored_once(tmp_path):
    async def main():
        bench = Bench(tmp_path)
        bench.cluster.namespace_labels["opsagent.io/protect"] = "yes"
        async with bench.life() as life:
            for _ in range(3):
                assert (await life.desk.submit(PROPOSAL)).state is PlanState.DENIED
            assert len(await life.desk.plans()) == 1
            bench.cluster.namespace_labels.clear()
            assert (await life.desk.submit(PROPOSAL)).state is PlanState.PENDING

    run(main())


@pytest.mark.parametrize(
    ("who", "rule"),
    [
        ("carol", "right.missing"),
        ("nobody", "token.invalid"),
        (AGENT, "person.agent"),
    ],
)
@pytest.mark.parametrize("verdict", ApprovalVerdict)
def test_who_may_not_decide_is_told_why_and_nothing_changes(tmp_path, who, rule, verdict):
    async def main():
        async with Bench(tmp_path).life() as life:
            record = await life.desk.submit(PROPOSAL)
            answer = await click(life.desk, record.plan, who, verdict)
            assert (answer.is_accepted, answer.rule) == (False, rule)
            assert (await life.desk.plans())[0].state is PlanState.PENDING
            stored = await life.store.approvals(record.plan.plan_id)
            # Who cannot be identified cannot fill the disk either.
            assert [item.rule for item in stored] == ([] if who == "nobody" else [rule])

    run(main())


def test_a_click_on_another_text_or_on_no_plan_changes_nothing(tmp_path):
    async def main():
        async with Bench(tmp_path).life() as life:
            record = await life.desk.submit(PROPOSAL)
            other = dataclasses.replace(record.plan, plan_hash="0" * 64)
            assert (await click(life.desk, other)).rule == "plan.hash"
            unknown = dataclasses.replace(record.plan, plan_id="pln_0")
            assert (await click(life.desk, unknown)).rule == "plan.unknown"
            assert (await life.desk.plans())[0].state is PlanState.PENDING

    run(main())


def test_when_the_server_cannot_say_who_it_is_nothing_is_decided(tmp_path):
    async def main():
        bench = Bench(tmp_path)
        async with bench.life() as life:
            record = await life.desk.submit(PROPOSAL)
            bench.reviewer.troubles = [Transient("down")]
            with pytest.raises(Transient):
                await click(life.desk, record.plan)
            assert (await life.desk.plans())[0].state is PlanState.PENDING

    run(main())


async def fifty_clicks(bench: Bench) -> None:
    people = [f"person-{number}" for number in range(50)]
    bench.reviewer.known |= set(people)
    bench.reviewer.approvers |= set(people)
    async with bench.life() as life:
        record = await life.desk.submit(PROPOSAL)
        async with asyncio.TaskGroup() as group:
            clicks = [
                group.create_task(
                    click(life.desk, record.plan, who, list(ApprovalVerdict)[number % 2])
                )
                for number, who in enumerate(people)
            ]
        answers = [item.result() for item in clicks]
        assert sum(answer.is_accepted for answer in answers) == 1
        assert {item.rule for item in answers if not item.is_accepted} == {"plan.decided"}
        record = (await life.desk.plans())[0]
        decided = {PlanState.APPROVED, PlanState.DENIED}
        assert len([item for item in record.transitions if item.state in decided]) == 1
        stored = await life.store.approvals(record.plan.plan_id)
        assert len(stored) == 50
        assert sum(item.is_accepted for item in stored) == 1


def test_of_fifty_clicks_at_once_exactly_one_decides(tmp_path):
    run(fifty_clicks(Bench(tmp_path)))


async def test_of_fifty_clicks_at_once_on_real_threads_exactly_one_decides(tmp_path):
    await fifty_clicks(Bench(tmp_path))


def test_the_token_is_neither_stored_nor_logged_nor_printed(tmp_path):
    secret = "token-alice"

    async def main():
        bench = Bench(tmp_path)
        async with bench.life() as life:
            record = await life.desk.submit(PROPOSAL)
            await click(life.desk, record.plan, "carol")
            await click(life.desk, record.plan)
            await click(life.desk, record.plan)
            await until(life.desk)

    with capture_logs() as logs:
        run(main())
    assert "alice" in repr(logs)
    assert "token-" not in repr(logs)
    request = ApprovalRequest("pln", "hash", ApprovalVerdict.APPROVE, secret)
    assert secret not in repr(request)
    for file in tmp_path.iterdir():
        assert b"token-" not in file.read_bytes()


@pytest.mark.parametrize(
    ("skew", "seconds"),
    [
        (dt.timedelta(), 900.0),
        (dt.timedelta(hours=1), 0.0),  # the wall clock leaps over the deadline
        (dt.timedelta(days=-10), 900.0),  # it is set back, but time passes all the same
    ],
)
def test_a_plan_expires_on_either_clock(tmp_path, skew, seconds):
    async def main():
        bench = Bench(tmp_path)
        async with bench.life() as life:
            record = await life.desk.submit(PROPOSAL)
            bench.cluster.clock.skew = skew
            await asyncio.sleep(seconds)
            answer = await click(life.desk, record.plan)
            assert answer.rule in {"plan.expired", "plan.decided"}
            assert (await until(life.desk)).state is PlanState.EXPIRED

    run(main())


def test_until_its_last_second_a_plan_can_be_approved(tmp_path):
    async def main():
        async with Bench(tmp_path).life() as life:
            record = await life.desk.submit(PROPOSAL)
            await asyncio.sleep(899.5)
            assert (await click(life.desk, record.plan)).is_accepted

    run(main())


def test_expiry_is_noticed_within_a_second_and_without_polling(tmp_path):
    async def main():
        bench = Bench(tmp_path)
        async with bench.life() as life:
            record = await life.desk.submit(PROPOSAL)
            calls = len(bench.cluster.calls)
            ended = await until(life.desk)
            late = ended.transitions[-1].at - record.plan.expires_at
            assert dt.timedelta() <= late <= dt.timedelta(seconds=1)
            assert len(bench.cluster.calls) == calls

    run(main())


def test_a_missing_revision_is_not_mistaken_for_an_unreadable_one(tmp_path):
    bench = Bench(tmp_path)
    bench.cluster.will("template_of_revision", NotFound("none"))
    assert "does not exist" in submitted(bench).transitions[-1].reason
