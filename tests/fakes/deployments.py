"""A namespace of Deployments behind the executor's ports, with scripted troubles and points to crash at.

A written template becomes ready some seconds later unless its image is one of ``sick_images``. Every
real write is kept in ``effects``. ``troubles`` holds, per method, what its next calls raise; a trouble
that is late is raised after the call had its effect, as a lost answer is.
"""

import asyncio
import copy
import datetime as dt
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from opsagent.guard.diff import ACTION_ID_ANNOTATION
from opsagent.model.alert import Symptom
from opsagent.model.canonical import canonical, digest
from opsagent.model.entity import Entity, Kind
from opsagent.model.kube import (
    Deployment,
    KubeEvent,
    KubeObject,
    Namespace,
    ObjectMeta,
    OwnerRef,
    Pod,
    ReplicaSet,
)
from opsagent.model.workload import Workload
from opsagent.ports import Conflict, Identity, ListPage, NotFound, RawDeployment
from tests.fakes.plans import UID
from tests.fakes.virtual_time import LoopClock

READY_AFTER_SECONDS = 10.0
# Reads of samples change nothing anywhere: to die there is to die before the next call.
_SAMPLING = frozenset({"list_ReplicaSet", "list_Pod", "list_Event"})


class SkewedClock(LoopClock):
    """The loop's clock with a wall that can be set."""

    skew = dt.timedelta()

    def now(self) -> dt.datetime:
        return super().now() + self.skew


class Crash(BaseException):
    """The process dies here; nothing may catch it."""


class Fuse:
    """Crashes the process at the ``burns_at``-th touch, counted from 1; never if it is 0."""

    def __init__(self, burns_at: int = 0) -> None:
        self.burns_at = burns_at
        self.touched = 0

    def touch(self) -> None:
        self.touched += 1
        if self.touched == self.burns_at:
            raise Crash


@dataclass(frozen=True)
class Effect:
    """One real write."""

    at: dt.datetime
    name: str
    action_id: str
    image: str


@dataclass(frozen=True)
class Trouble:
    """What one call raises instead of its answer."""

    error: Exception
    is_late: bool


def template(name: str, image: str, **env: str) -> dict[str, Any]:
    """Return a pod template with one container."""
    variables = [{"name": key, "value": value} for key, value in env.items()]
    return {
        "metadata": {"labels": {"app": name}},
        "spec": {"containers": [{"name": "web", "image": image, "env": variables}]},
    }


def image_of(pod_template: dict[str, Any]) -> str:
    return pod_template["spec"]["containers"][0]["image"]


@dataclass
class Kept:
    """One Deployment as the fake keeps it."""

    name: str
    uid: str
    revisions: dict[int, dict[str, Any]]
    template: dict[str, Any]
    replicas: int = 3
    generation: int = 2
    version: int = 100
    annotations: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    changed_at: float = -1000.0
    ready: int | None = None  # forced, whatever the image

    @property
    def revision(self) -> int:
        return max(number for number, kept in self.revisions.items() if kept == self.template)


class FakeCluster:
    """``ports.ClusterWriter`` and the parts of ``ports.ClusterReader`` that the executor uses."""

    def __init__(self) -> None:
        self.clock = SkewedClock()
        self.fuse = Fuse()
        self.effects: list[Effect] = []
        self.calls: list[str] = []
        self.troubles: dict[str, list[Trouble]] = {}
        self.sick_images = {"shop/cart:v2"}
        self.namespace_labels: dict[str, str] = {}
        self.admission: Callable[[dict[str, Any]], None] = lambda _: None
        self.malformed: dict[Kind, int] = {}
        self.page_size = 500
        self.on_call: Callable[[str], None] = lambda _: None
        v1 = template("cart", "shop/cart:v1", KEY="one")
        v2 = template("cart", "shop/cart:v2", KEY="two")
        self.deployments = {
            "cart": Kept("cart", UID, {1: v1, 2: v2}, v2),
            "pay": _healthy("pay"),
            "mail": _healthy("mail"),
        }

    @property
    def cart(self) -> Kept:
        return self.deployments["cart"]

    def will(self, method: str, *errors: Exception, is_late: bool = False) -> None:
        """Let the next calls of ``method`` raise ``errors``."""
        self.troubles.setdefault(method, []).extend(Trouble(item, is_late) for item in errors)

    def edit(self, image: str, name: str = "cart") -> None:
        """Let somebody else roll out ``image``."""
        self._roll(self.deployments[name], template(name, image))

    def touch_status(self, name: str = "cart") -> None:
        """Let the controller update the status: a new version, nothing else."""
        self.deployments[name].version += 1

    def land(self, action_id: str) -> None:
        """Let a write that was thought lost arrive now: cart gets the template of revision 1."""
        self.cart.annotations[ACTION_ID_ANNOTATION] = action_id
        self._write(self.cart, self.cart.revisions[1], action_id)

    async def read_deployment(self, entity: Entity) -> RawDeployment:
        self._begin("read_deployment")()
        kept = self._kept(entity)
        return self._raw(kept, self._object(kept))

    async def template_of_revision(self, deployment: Entity, uid: str, revision: int) -> str:
        self._begin("template_of_revision")()
        kept = self._kept(deployment)
        if kept.uid != uid or revision not in kept.revisions:
            raise NotFound(f"revision {revision} is not stored")
        return canonical(kept.revisions[revision]).decode()

    async def replace_template(
        self,
        deployment: Entity,
        *,
        template_json: str,
        resource_version: str,
        action_id: str,
        is_dry_run: bool,
    ) -> RawDeployment:
        done = self._begin("dry_run" if is_dry_run else "write")
        kept = self._kept(deployment)
        if str(kept.version) != resource_version:
            raise Conflict(f"{deployment} changed")
        result = self._object(kept)
        result["spec"]["template"] = json.loads(template_json)
        result["metadata"]["annotations"][ACTION_ID_ANNOTATION] = action_id
        self.admission(result)
        if not is_dry_run:
            kept.annotations = dict(result["metadata"]["annotations"])
            self._write(kept, result["spec"]["template"], action_id)
            result = self._object(kept)
        done()
        return self._raw(kept, result)

    async def list_page(
        self, kind: Kind, *, namespace: str = "", continue_token: str = "", limit: int = 500
    ) -> ListPage:
        assert namespace == "shop"
        self._begin(f"list_{kind.value}")()
        everything = [
            item for name in sorted(self.deployments) for item in self._objects(kind, name)
        ]
        start = int(continue_token or 0)
        page = everything[start : start + min(limit, self.page_size)]
        end = start + len(page)
        token = str(end) if end < len(everything) else ""
        return ListPage(tuple(page), "1", token, malformed=self.malformed.get(kind, 0))

    async def get(self, entity: Entity) -> KubeObject:
        self._begin("get")()
        return Namespace(ObjectMeta("", entity.name, "ns", "1", labels=self.namespace_labels))

    def _begin(self, method: str) -> Callable[[], None]:
        """Count the call and raise its trouble; return what is to be called once it had its effect."""
        self.calls.append(method)
        self.on_call(method)
        if method not in _SAMPLING:
            self.fuse.touch()
        planned = self.troubles.get(method)
        trouble = planned.pop(0) if planned else None
        if trouble and not trouble.is_late:
            raise trouble.error

        def done() -> None:
            if method == "write":
                self.fuse.touch()
            if trouble:
                raise trouble.error

        return done

    def _kept(self, entity: Entity) -> Kept:
        if entity.name not in self.deployments:
            raise NotFound(f"{entity} is not there")
        return self.deployments[entity.name]

    def _write(self, kept: Kept, pod_template: dict[str, Any], action_id: str) -> None:
        self._roll(kept, pod_template)
        self.effects.append(Effect(self.clock.now(), kept.name, action_id, image_of(pod_template)))

    def _roll(self, kept: Kept, pod_template: dict[str, Any]) -> None:
        newest = max(kept.revisions)
        kept.revisions = {
            number: item for number, item in kept.revisions.items() if item != pod_template
        }
        kept.revisions[newest + 1] = pod_template
        kept.template = pod_template
        kept.generation += 1
        kept.version += 1
        kept.changed_at = self.clock.monotonic()

    def _ready(self, kept: Kept) -> int:
        if kept.ready is not None:
            return kept.ready
        is_new = self.clock.monotonic() < kept.changed_at + READY_AFTER_SECONDS
        is_sick = image_of(kept.template) in self.sick_images
        return 0 if is_new or is_sick else kept.replicas

    def _object(self, kept: Kept) -> dict[str, Any]:
        meta = {
            "namespace": "shop",
            "name": kept.name,
            "uid": kept.uid,
            "resourceVersion": str(kept.version),
            "generation": kept.generation,
            "annotations": dict(kept.annotations),
        }
        spec = {"replicas": kept.replicas, "template": copy.deepcopy(kept.template)}
        return {"metadata": meta, "spec": spec, "status": {"readyReplicas": self._ready(kept)}}

    def _raw(self, kept: Kept, content: dict[str, Any]) -> RawDeployment:
        return RawDeployment(
            self._decoded(kept, content),
            canonical(content["spec"]["template"]).decode(),
            canonical(content).decode(),
        )

    def _decoded(self, kept: Kept, content: dict[str, Any]) -> Deployment:
        meta = content["metadata"]
        return Deployment(
            ObjectMeta(
                "shop",
                kept.name,
                kept.uid,
                meta["resourceVersion"],
                meta["generation"],
                labels=dict(kept.labels),
                annotations=dict(meta["annotations"]),
            ),
            revision=kept.revision,
            replicas_desired=kept.replicas,
            template_digest=digest(content["spec"]["template"]),
            observed_generation=kept.generation,
            replicas=kept.replicas,
            replicas_updated=kept.replicas,
            replicas_ready=self._ready(kept),
        )

    def _objects(self, kind: Kind, name: str) -> list[KubeObject]:
        kept = self.deployments[name]
        ready = self._ready(kept)
        above = OwnerRef("Deployment", name, kept.uid)
        owner = OwnerRef("ReplicaSet", f"{name}-rs", f"{kept.uid}-rs")
        match kind:
            case Kind.DEPLOYMENT:
                return [self._decoded(kept, self._object(kept))]
            case Kind.REPLICA_SET:
                meta = ObjectMeta("shop", owner.name, owner.uid, "1", owner=above)
                return [ReplicaSet(meta, kept.revision)]
            case Kind.POD:
                metas = [
                    ObjectMeta("shop", f"{name}-{index}", f"{kept.uid}-{index}", "1", owner=owner)
                    for index in range(kept.replicas)
                ]
                return [
                    Pod(meta, phase="Running" if index < ready else "Failing")
                    for index, meta in enumerate(metas)
                ]
            case _:
                meta = ObjectMeta("shop", f"{name}-event", f"{name}-event", "1")
                return [KubeEvent(meta, regarding_uid=kept.uid, last_at=self.clock.now())]


def _healthy(name: str) -> Kept:
    only = template(name, f"shop/{name}:v1")
    return Kept(name, f"uid-{name}", {1: only}, only)


def symptoms_of(workload: Workload, _now: dt.datetime) -> frozenset[Symptom]:
    """Call every workload with a failing pod a crash loop; insist on having been given the whole of it."""
    assert workload.replica_sets
    assert workload.pods
    assert [event.regarding_uid for event in workload.events] == [workload.deployment.meta.uid]
    is_failing = any(pod.phase == "Failing" for pod in workload.pods)
    return frozenset({Symptom.CRASH_LOOP}) if is_failing else frozenset()


class FakeReviewer:
    """``ports.AccessReviewer``: a token is ``token-<name>``; those in ``approvers`` may approve."""

    def __init__(self) -> None:
        self.approvers = {"alice", "bob"}
        self.known = {"alice", "bob", "carol", "system:serviceaccount:opsagent:executor"}
        self.troubles: list[Exception] = []
        self.asked: list[tuple[str, str]] = []
        self.fuse = Fuse()

    async def identify(self, token: str) -> Identity | None:
        self._raise_trouble()
        await asyncio.sleep(0)
        name = token.removeprefix("token-")
        return Identity(name, ("team",)) if name in self.known and token != name else None

    async def may_approve(self, identity: Identity, namespace: str) -> bool:
        self._raise_trouble()
        await asyncio.sleep(0)
        self.asked.append((identity.username, namespace))
        return identity.username in self.approvers

    def _raise_trouble(self) -> None:
        self.fuse.touch()
        if self.troubles:
            raise self.troubles.pop(0)
