"""The executor as the daemon builds it, over a transport, against the simulated cluster: one rollback, end to end."""

import asyncio
import json

from opsagent.clients.kube_read import KubeReader
from opsagent.clients.kube_review import KubeReviewer
from opsagent.detection.alerts import symptoms_of
from opsagent.executor import ExecutorConfig, build
from opsagent.model.alert import Symptom
from opsagent.model.entity import Entity, Kind, Ref
from opsagent.model.kube import Deployment
from opsagent.model.plan import (
    ApprovalRequest,
    ApprovalVerdict,
    PlanState,
    Proposal,
    RolloutUndo,
    VerifySpec,
)
from opsagent.sim import ADMIN, ALICE, BOB, EXECUTOR, Fault, SimTransport, drive, fault_patch, shop
from opsagent.store.executor import ExecutorStore
from tests.fakes.executor import states, until
from tests.fakes.plans import POLICY
from tests.fakes.virtual_time import EPOCH, LoopClock, run

WEB = "/apis/apps/v1/namespaces/shop/deployments/web"


def test_a_bad_rollout_in_the_simulated_shop_is_undone_once_alice_says_so(tmp_path):
    async def main() -> None:
        cluster, clock = shop(EPOCH), LoopClock()
        admin, hands = (
            SimTransport(cluster, cluster.access.token(user), clock) for user in (ADMIN, EXECUTOR)
        )
        store = await ExecutorStore.open(tmp_path / "executor.sqlite")
        reader = KubeReader(hands)
        desk, engine = build(
            hands,
            reader=reader,
            reviewer=KubeReviewer(hands),
            store=store,
            clock=clock,
            config=ExecutorConfig(POLICY, frozenset({EXECUTOR}), symptoms_of),
        )
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(drive(cluster, clock)), group.create_task(engine.run())]
            await asyncio.sleep(60)
            body = json.dumps(fault_patch(Fault.CRASH_LOOP)).encode()
            language = "application/strategic-merge-patch+json"
            await admin.request("PATCH", WEB, body=body, content_type=language)
            await asyncio.sleep(90)
            web = Entity(Kind.DEPLOYMENT, "shop", "web")
            found = await reader.get(web)
            assert isinstance(found, Deployment)
            asked = Proposal(
                "inc_1",
                RolloutUndo(Ref(web, found.meta.uid), 1),
                "bad-rollout",
                "it crashes",
                tuple(Symptom),
                VerifySpec(),
            )
            record = await desk.submit(asked)
            assert [(line.path, line.new) for line in record.plan.diff] == [
                ("/spec/template/spec/containers/0/image", '"shop/web:v1"')
            ]
            rules = []
            for who in (BOB, EXECUTOR, ALICE):
                token = cluster.access.token(who)
                request = ApprovalRequest(
                    record.plan.plan_id, record.plan.plan_hash, ApprovalVerdict.APPROVE, token
                )
                rules.append((await desk.decide(request)).rule)
            assert rules == ["right.missing", "person.agent", "person.decides"]
            record = await until(desk)
            for task in running:
                task.cancel()
        await store.aclose()
        assert record.state is PlanState.SUCCEEDED, record.transitions[-1].reason
        assert states(record)[-4:] == ["armed", "sent", "verifying", "succeeded"]
        writes = [
            entry
            for entry in cluster.audit
            if entry.user == EXECUTOR and entry.verb == "patch" and not entry.is_dry_run
        ]
        assert len(writes) == 1

    run(main())
