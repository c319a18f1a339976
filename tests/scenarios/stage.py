"""Where a scenario is played: the cluster in a box, or a real API server. And how it is played.

The player knows the cluster only through ``KubeTransport``, so one file, with the same assertions, runs
on both. What differs stands in ``Stage``.
"""

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from opsagent.app import Daemon
from opsagent.clients.kube_read import KubeReader
from opsagent.clients.kube_status import raise_for_status
from opsagent.clients.model import ModelClient
from opsagent.controllers.pipeline import Step
from opsagent.controllers.report import Report
from opsagent.guard.policy import Level
from opsagent.model.canonical import canonical
from opsagent.model.entity import Entity, Kind
from opsagent.model.incident import EntryKind, Incident, IncidentState, TimelineEntry
from opsagent.model.kube import Deployment, Phase, Pod
from opsagent.model.plan import ApprovalAnswer, ApprovalRequest, ApprovalVerdict, Plan
from opsagent.ports import Clock, KubeTransport, NotFound
from opsagent.settings import (
    ExecutorSettings,
    KubernetesSettings,
    LeaseSettings,
    ModelSettings,
    PolicySettings,
    Settings,
)
from opsagent.sim.model import ScriptedModel
from opsagent.sim.model_server import ScriptedTransport
from opsagent.world import World
from tests.fakes.notifier import RecordingNotifier
from tests.fakes.worlds import world_of
from tests.scenarios.script import Act, Ending, Scenario, Seen

DECIDED = {"approve_as": ApprovalVerdict.APPROVE, "deny_as": ApprovalVerdict.DENY}
BAD_WAITS = frozenset({"CrashLoopBackOff", "ErrImagePull", "ImagePullBackOff"})


@dataclass(frozen=True)
class Stage:
    """One place to play in. ``writes`` returns when our identities wrote, dry runs, reviews and the Lease left out."""

    namespace: str
    clock: Clock
    admin: KubeTransport
    daemon: KubeTransport
    executor: KubeTransport
    tokens: Mapping[str, str]
    writes: Callable[[], Sequence[dt.datetime]]
    node_selector: Mapping[str, str] = field(default_factory=dict)
    watched: tuple[str, ...] = ()  # namespaces; empty: all of them
    approval_ttl_seconds: int = 900
    limit_seconds: float = 1200


class Player:
    """Plays one scenario to its end and remembers what happened."""

    def __init__(
        self, scenario: Scenario, stage: Stage, state: Path, model: ScriptedModel | None = None
    ) -> None:
        self.scenario = scenario
        self.stage = stage
        self._model = model
        self.seen: list[Seen] = []
        self.answers: list[ApprovalAnswer] = []
        self.plan: Plan | None = None
        self._newest: Incident | None = None
        self._told: set[tuple[str, TimelineEntry]] = set()
        self._news = asyncio.Event()
        self._reader = KubeReader(stage.admin)
        self.notifier = RecordingNotifier()
        self._daemon = Daemon(self._settings(state), self._world())

    @property
    def state(self) -> IncidentState | None:
        """The newest incident's state, None before there is one."""
        return self._newest.state if self._newest else None

    async def play(self, is_over: Callable[["Player"], bool]) -> Ending:
        """Set the scene, act, wait until it ``is_over``, look at what is left."""
        for name, workload in self.scenario.given.deployments.items():
            await self._create(name, workload.image, workload.replicas)
        for name, workload in self.scenario.given.deployments.items():
            await self._until_ready(name, workload.replicas)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._daemon.run(), name="daemon")]
            report = await self._daemon.report()
            await self._until_synced(report)
            tasks.append(group.create_task(self._watch_for_bad_status(), name="observer"))
            async with asyncio.timeout(self.stage.limit_seconds):
                for act in self.scenario.when:
                    await self._act(act, report)
                while not is_over(self):
                    await self._next_news()
                await self._settle()
            ending = await self._ending(report)
            for task in tasks:
                task.cancel()
        return ending

    def _settings(self, state: Path) -> Settings:
        policy = PolicySettings(
            level=Level.APPROVE,
            namespaces=(self.stage.namespace,),
            verify_window_seconds=20,
            approval_ttl_seconds=self.stage.approval_ttl_seconds,
        )
        return Settings(
            state_dir=state,
            kubernetes=KubernetesSettings(namespaces=self.stage.watched),
            lease=LeaseSettings(name=f"opsagent-{self.stage.namespace}"),  # others lead elsewhere
            executor=ExecutorSettings(),
            policy=policy,
            model=ModelSettings(url="http://in.this.process/v1", name="scripted"),
        )

    def _world(self) -> World:
        clock = self.stage.clock
        return world_of(
            clock=clock,
            cluster=self.stage.daemon,
            hands=self.stage.executor,
            notifier=self.notifier,
            model=self._model and ModelClient(ScriptedTransport(self._model), "scripted"),
            listeners=(self._notice,),
        )

    def _notice(self, step: Step) -> None:
        for incident in step.batch.incidents:
            self._newest = incident
            for entry in incident.timeline:
                if (incident.incident_id, entry) in self._told:
                    continue
                self._told.add((incident.incident_id, entry))
                at = self.stage.clock.now() if entry.kind is EntryKind.DETECTED else entry.at
                text = entry.text
                if entry.kind is EntryKind.CAUSE:
                    text = f"{incident.diagnoses[0].cause.value}: {text}"
                self.seen.append(Seen(at, entry.kind.value, entry.actor, text))
        self._news.set()

    async def _act(self, act: Act, report: Report) -> None:
        if act.upon is not None:
            await self._until_seen(act.upon)
        if waiting := await report.approvals():
            self.plan = waiting[0].plan
        await asyncio.sleep(act.at or 0)
        if act.deployment:
            await self._change(act)
        await self._decide(act, report)

    async def _change(self, act: Act) -> None:
        container: dict[str, object] = {"name": act.deployment}
        if act.image:
            container["image"] = act.image
        if act.cpu_request:
            container["resources"] = {"requests": {"cpu": act.cpu_request}}
        await self.patch(act.deployment, container)

    async def patch(self, deployment: str, container: Mapping[str, object]) -> None:
        """Change a container of a deployment, as ``kubectl set`` does."""
        answer = await self.stage.admin.request(
            "PATCH",
            f"{self._deployments()}/{deployment}",
            query={"fieldManager": "kubectl-set"},
            body=canonical({"spec": {"template": {"spec": {"containers": [container]}}}}),
            content_type="application/strategic-merge-patch+json",
        )
        raise_for_status(answer, f"set {deployment}")

    async def _decide(self, act: Act, report: Report) -> None:
        for key, verdict in DECIDED.items():
            if who := getattr(act, key):
                plan = self.plan
                assert plan is not None, "nothing was offered yet"
                click = ApprovalRequest(
                    plan.plan_id, plan.plan_hash, verdict, self.stage.tokens[who]
                )
                self.answers.append(await report.decide(click))

    def _deployments(self) -> str:
        return f"/apis/apps/v1/namespaces/{self.stage.namespace}/deployments"

    async def _create(self, name: str, image: str, replicas: int) -> None:
        body = _manifest(name, image, replicas, self.stage.node_selector)
        answer = await self.stage.admin.request("POST", self._deployments(), body=canonical(body))
        if answer.status != 409:  # the box comes furnished with the shop
            raise_for_status(answer, f"create {name}")

    async def deployment(self, name: str) -> Deployment:
        """Return a deployment as it is now."""
        found = await self._reader.get(Entity(Kind.DEPLOYMENT, self.stage.namespace, name))
        assert isinstance(found, Deployment)
        return found

    async def _until_ready(self, name: str, replicas: int) -> None:
        async def is_ready() -> bool:
            return (await self.deployment(name)).replicas_ready == replicas

        await until(is_ready)

    async def _until_synced(self, report: Report) -> None:
        async def is_synced() -> bool:
            return report.term is not None and report.term.pipeline.is_synced

        await until(is_synced)

    async def _until_seen(self, kind: EntryKind) -> None:
        while not self.has_seen(kind):
            await self._next_news()

    async def _next_news(self) -> None:
        self._news.clear()
        await self._news.wait()

    def has_seen(self, kind: EntryKind) -> bool:
        """Return whether the timeline tells this."""
        return any(entry.step == kind for entry in self.seen)

    async def _settle(self) -> None:
        """Let the last message out."""

        async def is_told() -> bool:
            return bool(self.notifier.received)

        await until(is_told)
        await asyncio.sleep(1)

    async def _watch_for_bad_status(self) -> None:
        async def is_bad() -> bool:
            page = await self._reader.list_page(Kind.POD, namespace=self.stage.namespace)
            web = await self.deployment("web")
            stuck = any(c.type == "Progressing" and c.status == "False" for c in web.conditions)
            return stuck or any(_is_bad(pod) for pod in page.items if isinstance(pod, Pod))

        await until(is_bad)
        self.seen.append(Seen(self.stage.clock.now(), "first_bad_status"))

    async def _ending(self, report: Report) -> Ending:
        web = await self.deployment("web")
        return Ending(
            incidents=await report.incidents(100),
            writes=self.stage.writes(),
            image=web.containers[0].image,
            ready=web.replicas_ready,
            notifications=[sent.reason.value for sent in self.notifier.received.values()],
        )


async def until(is_so: Callable[[], Awaitable[bool]], *, seconds: float = 120) -> None:
    """Poll a condition on the stage's own time; a bound on patience, not a synchronisation."""
    async with asyncio.timeout(seconds):
        while True:
            try:
                if await is_so():
                    return
            except NotFound:
                pass
            await asyncio.sleep(0.1)


def _is_bad(pod: Pod) -> bool:
    return any(
        status.state.reason in BAD_WAITS
        or (status.state.phase is Phase.TERMINATED and status.state.exit_code != 0)
        for status in pod.container_statuses
    )


def _manifest(
    name: str, image: str, replicas: int, node_selector: Mapping[str, str]
) -> Mapping[str, object]:
    labels = {"app": name}
    container = {
        "name": name,
        "image": image,
        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}},
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 5},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "replicas": replicas,
            "progressDeadlineSeconds": 20,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "nodeSelector": dict(node_selector),
                    # Nodes of a special kind are tainted as they are labelled.
                    "tolerations": [{"key": k, "value": v} for k, v in node_selector.items()],
                    "containers": [container],
                },
            },
        },
    }
