"""The Deployment controller: one ReplicaSet per template, one revision per rollout.

Theory. ``reconcile`` looks at the whole state, takes at most one step of scaling and writes the
status; every change of a ReplicaSet calls it again. Going back to an old template reuses its
ReplicaSet, which then gets the newest revision: an undo is a rollout like any other.
Refuses the Recreate strategy (the API says so) and does not spread a scale over several ReplicaSets.
"""

import datetime as dt
from collections.abc import Sequence

from opsagent.sim import rollout
from opsagent.sim.conditions import with_condition
from opsagent.sim.events import EventRecorder, Report, Reporter
from opsagent.sim.ownership import Write
from opsagent.sim.progress import deadline, progressing, status_of
from opsagent.sim.resources import DEPLOYMENTS, REPLICA_SETS
from opsagent.sim.store import ObjectStore
from opsagent.sim.timers import Timers
from opsagent.sim.values import Obj, copy_of, encode, safe_name, seconds

MANAGER = "kube-controller-manager"
_REPORTER = Reporter("deployment-controller")
_OWN_ANNOTATIONS = frozenset(
    {rollout.REVISION, rollout.REVISION_HISTORY, rollout.DESIRED, rollout.MAXIMUM,
     "kubectl.kubernetes.io/last-applied-configuration"}
)  # fmt: skip


def template_hash(template: Obj) -> str:
    """Return the pod-template-hash of a bare template: ten safe characters."""
    return safe_name(10, encode(template).decode())


def _owner(item: Obj) -> Obj:
    return {
        "apiVersion": item["apiVersion"],
        "kind": item["kind"],
        "name": item["metadata"]["name"],
        "uid": item["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _inherited(deployment: Obj, revision: int) -> dict[str, str]:
    """Return the annotations that a ReplicaSet has from its Deployment."""
    given = deployment["metadata"].get("annotations", {})
    goal = deployment["spec"]["replicas"]
    own = {
        rollout.REVISION: str(revision),
        rollout.DESIRED: str(goal),
        rollout.MAXIMUM: str(goal + rollout.bounds(deployment).surge),
    }
    return {key: value for key, value in given.items() if key not in _OWN_ANNOTATIONS} | own


def _patience(deployment: Obj) -> Obj:
    """Return how long a pod must be ready to count, as its ReplicaSet has it from the Deployment."""
    field = "minReadySeconds"
    return {field: deployment["spec"][field]} if field in deployment["spec"] else {}


class DeploymentController:
    """Brings ReplicaSets to what Deployments say."""

    def __init__(self, store: ObjectStore, timers: Timers, events: EventRecorder) -> None:
        self._store = store
        self._timers = timers
        self._events = events

    def reconcile(self, namespace: str, name: str, now: dt.datetime) -> None:
        """Take one step for the Deployment, if it still exists."""
        deployment = self._store.find(DEPLOYMENTS, namespace, name)
        if deployment is None:
            return
        owned = self._owned(deployment)
        new = rollout.of_template(deployment, owned)
        if not deployment["spec"].get("paused"):
            newest = max(
                (rollout.revision_of(item) for item in owned if item is not new), default=0
            )
            if new is None:
                deployment, new = self._start(deployment, owned, newest + 1, now)
            else:
                new = self._renew(deployment, new, newest + 1, now)
            deployment = self._mark_revision(deployment, rollout.revision_of(new), now)
            self._step(deployment, new, now)
        self._write_status(deployment, now)

    def _owned(self, deployment: Obj) -> list[Obj]:
        """Return its ReplicaSets, lowest revision first."""
        owned = self._store.owned_by(REPLICA_SETS, deployment["metadata"]["uid"])
        return sorted(owned, key=rollout.revision_of)

    def _start(
        self, deployment: Obj, owned: Sequence[Obj], revision: int, now: dt.datetime
    ) -> tuple[Obj, Obj]:
        """Create the ReplicaSet of a template that was not seen before."""
        meta, template = deployment["metadata"], rollout.bare_template(deployment)
        digest = template_hash(template)
        template["metadata"]["labels"][rollout.HASH_LABEL] = digest
        selector = dict(deployment["spec"]["selector"]["matchLabels"])
        size = rollout.new_size(deployment, 0, rollout.wanted(owned))
        sent = {
            "metadata": {
                "name": f"{meta['name']}-{digest}",
                "namespace": meta["namespace"],
                "labels": dict(template["metadata"]["labels"]),
                "annotations": _inherited(deployment, revision),
                "ownerReferences": [_owner(deployment)],
            },
            "spec": _patience(deployment)
            | {
                "replicas": size,
                "selector": {"matchLabels": selector | {rollout.HASH_LABEL: digest}},
                "template": template,
            },
        }
        new = self._store.create(REPLICA_SETS, sent, Write(MANAGER, now))
        self._report_scale(deployment, new, 0, now)
        name = new["metadata"]["name"]
        message = f'Created new replica set "{name}"'
        created = progressing("True", "NewReplicaSetCreated", message)
        status = copy_of(deployment["status"])
        status["conditions"] = with_condition(status.get("conditions", []), created, now)
        return self._store_status(deployment, status, now), new

    def _renew(self, deployment: Obj, new: Obj, revision: int, now: dt.datetime) -> Obj:
        """Make sure that the current template's ReplicaSet has the highest revision."""
        current = rollout.revision_of(new)
        annotations = new["metadata"].get("annotations", {})
        wanted = annotations | _inherited(deployment, max(current, revision))
        if 0 < current < revision:
            past = [*filter(None, annotations.get(rollout.REVISION_HISTORY, "").split(","))]
            wanted[rollout.REVISION_HISTORY] = ",".join([*past, str(current)])
        changed = new | {
            "metadata": new["metadata"] | {"annotations": wanted},
            "spec": new["spec"] | _patience(deployment),
        }
        return self._store.update(REPLICA_SETS, changed, Write(MANAGER, now))

    def _mark_revision(self, deployment: Obj, revision: int, now: dt.datetime) -> Obj:
        annotations = deployment["metadata"].get("annotations", {})
        marked = annotations | {rollout.REVISION: str(revision)}
        changed = deployment | {"metadata": deployment["metadata"] | {"annotations": marked}}
        return self._store.update(DEPLOYMENTS, changed, Write(MANAGER, now, "status"))

    def _step(self, deployment: Obj, new: Obj, now: dt.datetime) -> None:
        """Scale the new ReplicaSet, or if it has its size, the old ones; forget very old ones."""
        old = [item for item in self._owned(deployment) if item is not new]
        current = new["spec"]["replicas"]
        size = rollout.new_size(deployment, current, rollout.wanted([*old, new]))
        if size != current:
            self._scale(deployment, new, size, now)
            return
        sizes = rollout.old_sizes(deployment, new, old)
        for item in old:
            if (name := item["metadata"]["name"]) in sizes:
                self._scale(deployment, item, sizes[name], now)
        if not sizes and not rollout.wanted(old):
            empty = [item for item in old if not item["status"].get("replicas")]
            for item in empty[: max(0, len(empty) - deployment["spec"]["revisionHistoryLimit"])]:
                self._store.remove(REPLICA_SETS, item, now)

    def _scale(self, deployment: Obj, item: Obj, size: int, now: dt.datetime) -> None:
        before = item["spec"]["replicas"]
        changed = item | {"spec": item["spec"] | {"replicas": size}}
        new = self._store.update(REPLICA_SETS, changed, Write(MANAGER, now))
        self._report_scale(deployment, new, before, now)

    def _report_scale(self, deployment: Obj, item: Obj, before: int, now: dt.datetime) -> None:
        size, name = item["spec"]["replicas"], item["metadata"]["name"]
        direction = "up" if size > before else "down"
        message = f"Scaled {direction} replica set {name} from {before} to {size}"
        self._events.report(
            _REPORTER, deployment, Report("Normal", "ScalingReplicaSet", message), now
        )

    def _write_status(self, deployment: Obj, now: dt.datetime) -> None:
        owned = self._owned(deployment)
        new = rollout.of_template(deployment, owned)
        old = [item for item in owned if item is not new]
        status = status_of(deployment, new, old, now)
        self._store_status(deployment, status, now)
        due = deadline(deployment, status["conditions"])
        if due is not None:
            key = (
                "deployment",
                deployment["metadata"]["namespace"],
                deployment["metadata"]["name"],
            )
            self._timers.sooner(key, max(due, now) + seconds(1))

    def _store_status(self, deployment: Obj, status: Obj, now: dt.datetime) -> Obj:
        changed = deployment | {"status": status}
        return self._store.update(DEPLOYMENTS, changed, Write(MANAGER, now, "status"))
