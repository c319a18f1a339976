"""The joined daemon on one Lease: who leads works, who stands by is ready, and every term begins from the store."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from opsagent.app import Daemon
from opsagent.clients.model import ModelClient
from opsagent.controllers.pipeline import Step
from opsagent.controllers.report import Report
from opsagent.guard.policy import Level
from opsagent.model.canonical import canonical
from opsagent.model.entity import Kind
from opsagent.model.incident import EntryKind, Incident, IncidentState
from opsagent.model.plan import ApprovalRequest, ApprovalVerdict
from opsagent.model.signal import RawRow
from opsagent.model.transcript import Asked, Closed
from opsagent.ports import Terminal, Transient
from opsagent.settings import ExecutorSettings, ModelSettings, PolicySettings, Settings
from opsagent.sim import Fault, fault_patch
from opsagent.sim.model import ScriptedModel
from opsagent.sim.model_server import ScriptedTransport
from opsagent.sim.scripts import SCRIPTS
from tests.fakes.notifier import RecordingNotifier
from tests.fakes.virtual_time import run
from tests.fakes.worlds import world_of
from tests.scenarios.places import box
from tests.scenarios.stage import Stage, until

LEASE = "/apis/coordination.k8s.io/v1/namespaces/opsagent/leases/opsagent"
WEB = "/apis/apps/v1/namespaces/shop/deployments/web"
CART = "/apis/apps/v1/namespaces/shop/deployments/cart"
CART_CRASHES = {
    "spec": {
        "template": {"spec": {"containers": [{"name": "cart", "image": "shop/cart:v2-crash"}]}}
    }
}


class Replica:
    """One daemon with a state folder of its own; ``with_hands`` it may act in the shop. ``more`` of its World."""

    def __init__(
        self,
        stage: Stage,
        state: Path,
        *,
        with_hands: bool = False,
        failures: Sequence[Exception] = (),
        **more: Any,
    ) -> None:
        self.notifier = RecordingNotifier(failures)
        settings = Settings(state_dir=state, retention_days=1)
        if with_hands:
            policy = PolicySettings(
                level=Level.APPROVE, namespaces=(stage.namespace,), verify_window_seconds=20
            )
            settings = Settings(
                state_dir=state, executor=ExecutorSettings(), policy=policy, retention_days=1
            )
        if "model" in more:
            asked = ModelSettings(url="http://in.this.process/v1", name=more["model"].name)
            settings = settings.model_copy(update={"model": asked})
        self.daemon = Daemon(
            settings,
            world_of(
                clock=stage.clock,
                cluster=stage.daemon,
                hands=stage.executor if with_hands else None,
                notifier=self.notifier,
                **more,
            ),
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Report]:
        """Run until the block ends."""
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self.daemon.run())
            yield await self.daemon.report()
            task.cancel()


async def until_so(is_so: Callable[[], object], *, seconds: float = 300) -> None:
    async def look() -> bool:
        return bool(is_so())

    await until(look, seconds=seconds)


def leads(report: Report) -> bool:
    return report.term is not None and not report.unready()


async def send(stage: Stage, method: str, path: str, body: object) -> Any:
    content_type = "application/json" if method == "PUT" else "application/strategic-merge-patch+json"  # fmt: skip
    answer = await stage.admin.request(
        method, path, body=canonical(body), content_type=content_type
    )
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


async def steal_lease(stage: Stage) -> None:
    """Let somebody who never renews it hold the Lease."""
    lease = json.loads((await stage.admin.request("GET", LEASE)).body)
    lease["spec"] |= {"holderIdentity": "thief"}
    await send(stage, "PUT", LEASE, lease)


async def incident_of(report: Report) -> Incident:
    (incident,) = await report.incidents(10)
    return incident


def test_of_two_replicas_one_leads_and_the_other_takes_over(tmp_path: Path) -> None:
    async def scene() -> None:
        async with box() as stage:
            first, second = (Replica(stage, tmp_path / name) for name in ("one", "two"))
            async with second.running() as standing_by:
                async with first.running() as leading:
                    await until_so(lambda: leads(leading) or leads(standing_by))
                    await asyncio.sleep(600)
                    assert [leads(leading), leads(standing_by)].count(True) == 1
                    for report in (leading, standing_by):
                        assert (list(report.unready()), list(report.overdue())) == ([], [])
                        assert (await report.status())["is_leader"] is (report.term is not None)
                stopped_at = stage.clock.now()
                await until_so(lambda: leads(standing_by))
                assert (stage.clock.now() - stopped_at).total_seconds() < 10

    run(scene())


def test_a_term_that_was_lost_goes_on_from_the_store(tmp_path: Path) -> None:
    async def scene() -> None:
        async with box() as stage:
            replica = Replica(stage, tmp_path, with_hands=True)
            async with replica.running() as report:
                await until_so(lambda: leads(report))
                await send(stage, "PATCH", WEB, fault_patch(Fault.MISSING_IMAGE))
                await until_so(lambda: len(replica.notifier.received) == 2)
                first_term, before = report.term, await incident_of(report)
                (record,) = await report.approvals()

                await steal_lease(stage)
                await until_so(lambda: report.term is None)
                status = await report.status()
                assert (status["is_leader"], status["approvals_waiting"]) == (False, 1)
                assert "sources" not in status

                await until_so(lambda: leads(report))
                assert report.term is not first_term
                after = await incident_of(report)
                assert after.incident_id == before.incident_id
                assert after.timeline[: len(before.timeline)] == before.timeline

                click = ApprovalRequest(
                    record.plan.plan_id,
                    record.plan.plan_hash,
                    ApprovalVerdict.APPROVE,
                    stage.tokens["alice"],
                )
                assert (await report.decide(click)).is_accepted
                await until_so(lambda: len(replica.notifier.received) == 3)
                over = await incident_of(report)
                assert over.state is IncidentState.RESOLVED
                assert EntryKind.VERIFIED in {entry.kind for entry in over.timeline}
            assert len(replica.notifier.attempts) == 3, "nobody was told anything twice"
            assert len(stage.writes()) == 1

    run(scene())


def test_a_new_process_on_the_same_state_goes_on_with_the_same_incident(tmp_path: Path) -> None:
    async def scene() -> None:
        async with box() as stage:
            before = []
            for _ in range(2):
                replica = Replica(stage, tmp_path)
                async with replica.running() as report:
                    await until_so(lambda report=report: leads(report))
                    if not before:
                        await send(stage, "PATCH", WEB, fault_patch(Fault.CRASH_LOOP))
                        await until_so(lambda replica=replica: len(replica.notifier.received) == 2)
                    await asyncio.sleep(30)
                    before.append((await incident_of(report)).incident_id)
            assert before[0] == before[1]
            assert replica.notifier.attempts == []

    run(scene())


def test_a_message_that_was_not_taken_is_sent_again_a_little_later(tmp_path: Path) -> None:
    async def scene() -> None:
        async with box() as stage:
            replica = Replica(stage, tmp_path, failures=[Transient("503")])
            async with replica.running() as report:
                await until_so(lambda: leads(report))
                await send(stage, "PATCH", WEB, fault_patch(Fault.CRASH_LOOP))
                await until_so(lambda: len(replica.notifier.received) == 2)
                assert (await report.status())["counters"]["notifications_given_up_total"] == 0
            assert len(replica.notifier.attempts) == 3

    run(scene())


def test_without_an_executor_it_suggests(tmp_path: Path) -> None:
    async def scene() -> None:
        async with box() as stage:
            replica = Replica(stage, tmp_path)
            async with replica.running() as report:
                await until_so(lambda: leads(report))
                status = await report.status()
                assert status["actions"] == "suggest: no executor is configured"
                assert status["messages_to"] == "recording"
                await send(stage, "PATCH", WEB, fault_patch(Fault.CRASH_LOOP))
                await until_so(lambda: len(replica.notifier.received) == 2)
                incident = await incident_of(report)
            assert "a person could undo the rollout to revision 1" in incident.timeline[-1].text
            assert not (tmp_path / "executor.db").exists()
            assert stage.writes() == []

    run(scene())


def test_a_model_that_hangs_over_one_incident_keeps_no_other_from_its_plan(tmp_path: Path) -> None:
    async def scene() -> None:
        async with box() as stage:
            model = ModelClient(ScriptedTransport(ScriptedModel(SCRIPTS["hanging"])), "scripted")
            replica = Replica(stage, tmp_path, with_hands=True, model=model)
            async with replica.running() as report:
                await until_so(lambda: leads(report))
                await send(stage, "PATCH", WEB, fault_patch(Fault.CRASH_LOOP))
                await asyncio.sleep(30)
                assert await report.approvals() == (), "the model is being waited for"
                (of_web,) = await report.incidents(10)
                running, (_, asked) = await report.investigation(of_web.incident_id)
                assert isinstance(asked, Asked)
                await send(stage, "PATCH", CART, CART_CRASHES)
                await asyncio.sleep(30)
                (plan,) = await report.approvals()
                assert plan.plan.proposal.action.target.entity.name == "cart"
                await asyncio.sleep(120)
                _, plan = await report.approvals()
                assert plan.plan.proposal.action.target.entity.name == "web"
                ended, entries = await report.investigation(of_web.incident_id)
                assert (ended, await report.transcript(running)) == (running, entries)
                assert isinstance(entries[-1], Closed)
                of_cart = next(
                    x for x in await report.incidents(10) if x != of_web and x.entity.name == "cart"
                )
                assert await report.investigation(of_cart.incident_id) == ("", ())

    run(scene())


async def rows_of(report: Report, name: str) -> list[RawRow]:
    """Return what is stored of the Deployment ``name``, oldest first."""
    rows = [row for seq in range(1, 500) if (row := await report.row(seq))]
    return [
        row
        for row in rows
        if row.kind is Kind.DEPLOYMENT and row.item is not None and row.item.meta.name == name
    ]


def test_old_observations_are_dropped_and_live_ones_kept(tmp_path: Path) -> None:
    async def scene() -> None:
        async with box() as stage:
            async with Replica(stage, tmp_path).running() as report:
                await until_so(lambda: leads(report))
                for number in range(3):
                    label = {"metadata": {"labels": {"number": str(number)}}}
                    await send(stage, "PATCH", WEB, label)
                    await asyncio.sleep(10)
                of_web, of_cart = await rows_of(report, "web"), await rows_of(report, "cart")
                assert (len(of_web), len(of_cart)) == (4, 1)
            await asyncio.sleep(25 * 3600)  # nobody watches, nothing changes
            async with Replica(stage, tmp_path).running() as report:
                await until_so(lambda: leads(report))
                assert await rows_of(report, "web") == of_web
                await asyncio.sleep(3700)  # the housekeeping is hourly
                assert await rows_of(report, "web") == of_web[-1:]
                assert await rows_of(report, "cart") == of_cart
                assert leads(report)
                assert not (await report.status())["restarts"]

    run(scene())


@pytest.mark.parametrize("name", ["identity", "redaction.key"])
def test_a_secret_of_the_install_that_cannot_be_kept_is_named(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()

    async def scene() -> None:
        async with box() as stage:
            with pytest.raises(Terminal, match=rf"cannot keep .*{name}: Is a directory"):
                await Replica(stage, tmp_path).daemon.run()

    run(scene())


def test_a_state_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    async def scene() -> None:
        async with box() as stage:
            with pytest.raises(Terminal, match=r"cannot make the state folder .*: Not a directory"):
                await Replica(stage, tmp_path / "file" / "state").daemon.run()

    run(scene())


def test_a_bug_in_the_fold_ends_the_daemon_and_is_called_a_bug(tmp_path: Path) -> None:
    def bug(step: Step) -> None:
        raise KeyError(step.batch.rows[0].seq)

    async def scene() -> None:
        async with box() as stage:
            with pytest.raises(Terminal, match=r"the task fold failed .*\(KeyError\): a bug"):
                await Replica(stage, tmp_path, listeners=[bug]).daemon.run()
            async with Replica(stage, tmp_path).running() as report:
                await until_so(lambda: leads(report))

    run(scene())
