"""A cluster in a box: the parts joined, moved by given time alone.

Theory. ``advance(now)`` fires what is due up to ``now``, each at its own due time, so the outcome
does not depend on how often it is called. ``handle`` first advances, then answers. A stored change
makes keys due a moment later, as in life, where controllers react to watches; nothing polls.
Whoever drives it (a task on a loop, or a test by hand) sleeps until ``next_due`` and is told by
``subscribe`` when something changed earlier.
"""

import datetime as dt
from collections.abc import Callable
from weakref import WeakSet

from opsagent.ports import KubeAnswer
from opsagent.sim.access import Access
from opsagent.sim.api import Answer, Api, Stream
from opsagent.sim.audit import AuditEntry
from opsagent.sim.budgets import DisruptionController
from opsagent.sim.deletion import delete_dependents
from opsagent.sim.deployments import DeploymentController
from opsagent.sim.events import EventRecorder
from opsagent.sim.images import ImageRegistry
from opsagent.sim.kubelet import Kubelets
from opsagent.sim.logs import ContainerLog
from opsagent.sim.nodes import NodeHeartbeats
from opsagent.sim.replicasets import ReplicaSetController
from opsagent.sim.requests import Request
from opsagent.sim.resources import (
    DEPLOYMENTS,
    DISRUPTION_BUDGETS,
    LEASES,
    NODES,
    PODS,
    REPLICA_SETS,
    Resource,
)
from opsagent.sim.scheduler import Scheduler
from opsagent.sim.store import Entry, ObjectStore
from opsagent.sim.timers import Timers
from opsagent.sim.values import Obj, seconds

REACTION = seconds(0.05)  # how long a controller takes to act on a change


class Cluster:
    """One simulated cluster.

    ``answer_delay_seconds`` is read by both faces before each answer. ``seed`` makes names, uids
    and tokens; the same seed and the same requests at the same times give the same history.
    """

    def __init__(self, now: dt.datetime, registry: ImageRegistry, seed: str = "sim") -> None:
        self.now = now
        self.answer_delay_seconds = 0.0
        self.registry = registry
        self.store = ObjectStore(seed)
        self.access = Access(seed)
        self._timers = Timers()
        self._events = EventRecorder(self.store, self._timers)
        parts = (self.store, self._timers, self._events)
        self._kubelets = Kubelets(*parts, registry)
        self._scheduler = Scheduler(*parts)
        self._api = Api(self.store, self.access, self._kubelets.follow_log)
        self._streams: WeakSet[Stream] = WeakSet()
        self._subscribers: dict[int, tuple[Resource | None, Callable[[], None]]] = {}
        self._subscriptions = 0
        self._acts: dict[str, Callable[[str, str, dt.datetime], None]] = {
            "deployment": DeploymentController(*parts).reconcile,
            "replicaset": ReplicaSetController(*parts).reconcile,
            "budget": DisruptionController(self.store).reconcile,
            "schedule": self._scheduler.schedule,
            "reschedule": self._reschedule,
            "kubelet": self._kubelets.sync,
            "node": lambda _, name, at: self._heartbeats.beat(name, at),
            "event": self._events.expire,
        }
        self._heartbeats = NodeHeartbeats(self.store, self._timers)
        self.store.on_change(self._react)

    # Time

    def next_due(self) -> dt.datetime | None:
        """Return when something happens by itself next, None if never."""
        return self._timers.next_due()

    def advance(self, now: dt.datetime) -> None:
        """Let everything happen that is due up to ``now``; a time that is past changes nothing."""
        while due := self._timers.pop(now):
            at, (act, namespace, name) = due
            self.now = max(self.now, at)
            self._acts[act](namespace, name, self.now)
        self.now = max(self.now, now)

    # Requests

    def handle(self, request: Request, now: dt.datetime) -> Answer:
        """Answer one request at ``now``."""
        self.advance(now)
        answer = self._api.handle(request, self.now)
        if not isinstance(answer, KubeAnswer):
            self._streams.add(answer)
        return answer

    @property
    def audit(self) -> list[AuditEntry]:
        """Every write and review so far, oldest first."""
        return self._api.audit

    @property
    def events_suppressed_total(self) -> int:
        """Events over a reporter's limit, which were not written."""
        return self._events.suppressed_total

    def subscribe(
        self, callback: Callable[[], None], resource: Resource | None = None
    ) -> Callable[[], None]:
        """Call ``callback`` after each change of ``resource``, until the returned function is called.

        None means: after each change that may make the cluster itself do something later.
        """
        self._subscriptions += 1
        number = self._subscriptions
        self._subscribers[number] = (resource, callback)
        return lambda: self._subscribers.pop(number, None) and None

    # Trouble, for tests

    def refuse_next(self, count: int, status: int) -> None:
        """Answer the next ``count`` requests with ``status``, whatever they are."""
        self._api.refusals.extend([status] * count)

    def cut_watches(self) -> None:
        """End every open watch, and every log that is followed, without a word."""
        for stream in self._streams:
            stream.cut()
        self._tell()

    def log(self, namespace: str, pod: str, container: str) -> ContainerLog:
        """Return what a container that has run prints; write to it, or rotate it."""
        return self._kubelets.log(self.store.get(PODS, namespace, pod), container)

    def compact(self) -> None:
        """Forget history: watches and pages from before now are Gone."""
        self.store.compact()

    # Reactions

    def _tell(self, *changed: Resource | None) -> None:
        """Wake who waits for one of ``changed``; everybody if nothing is named."""
        for resource, callback in list(self._subscribers.values()):
            if not changed or resource in changed:
                callback()

    def _react(self, entry: Entry, at: dt.datetime) -> None:
        """Make due what a change concerns."""
        react = {
            DEPLOYMENTS.plural: self._on_deployment,
            DISRUPTION_BUDGETS.plural: self._on_budget,
            REPLICA_SETS.plural: self._on_replica_set,
            PODS.plural: self._on_pod,
            NODES.plural: self._on_node,
        }.get(entry.resource.plural)
        if react is not None:
            react(entry, at + REACTION)
        if entry.type == "DELETED":
            uid = entry.item["metadata"]["uid"]
            self._events.forget(uid)
            delete_dependents(self.store, entry.resource, uid, at)
        # A Lease concerns its holders alone, and is renewed all day.
        self._tell(entry.resource, None if entry.resource is not LEASES else LEASES)

    def _wake(self, act: str, item: Obj, due: dt.datetime) -> None:
        meta = item["metadata"]
        self._timers.sooner((act, meta.get("namespace", ""), meta["name"]), due)

    def _wake_owner(self, act: str, item: Obj, due: dt.datetime) -> None:
        for owner in item["metadata"].get("ownerReferences", ()):
            self._timers.sooner((act, item["metadata"]["namespace"], owner["name"]), due)

    def _on_budget(self, entry: Entry, due: dt.datetime) -> None:
        self._wake("budget", entry.item, due)

    def _on_budgeted(self, entry: Entry, due: dt.datetime) -> None:
        """Let all budgets around a pod, or around what asks for pods, be counted again."""
        for budget in self.store.objects(DISRUPTION_BUDGETS, entry.item["metadata"]["namespace"]):
            self._wake("budget", budget, due)

    def _on_deployment(self, entry: Entry, due: dt.datetime) -> None:
        self._wake("deployment", entry.item, due)
        self._on_budgeted(entry, due)

    def _on_replica_set(self, entry: Entry, due: dt.datetime) -> None:
        self._wake("replicaset", entry.item, due)
        self._wake_owner("deployment", entry.item, due)
        self._on_budgeted(entry, due)

    def _on_pod(self, entry: Entry, due: dt.datetime) -> None:
        self._on_budgeted(entry, due)
        self._wake_owner("replicaset", entry.item, due)
        if entry.type == "DELETED":
            self._kubelets.forget(entry.item["metadata"]["uid"])
            self._timers.sooner(("reschedule", "", ""), due)
        elif not entry.item["spec"].get("nodeName"):
            if entry.type == "ADDED":
                self._wake("schedule", entry.item, due)
        elif _is_bound_or_ended(entry):
            self._wake("kubelet", entry.item, due)

    def _on_node(self, entry: Entry, due: dt.datetime) -> None:
        if entry.type == "ADDED":
            self._wake("node", entry.item, due)
        if entry.before is None or entry.before["spec"] != entry.item["spec"] or _turned(entry):
            self._timers.sooner(("reschedule", "", ""), due)

    def _reschedule(self, _namespace: str, _name: str, now: dt.datetime) -> None:
        """Try the pods again that fit nowhere so far."""
        for pod in self.store.objects(PODS):
            if not pod["spec"].get("nodeName"):
                self._wake("schedule", pod, now + REACTION)


def _is_bound_or_ended(entry: Entry) -> bool:
    """Return whether a kubelet has to look: a pod new on its node, or newly marked for deletion."""
    before = entry.before
    if before is None or not before["spec"].get("nodeName"):
        return True
    mark = "deletionTimestamp"
    return mark in entry.item["metadata"] and mark not in before["metadata"]


def _turned(entry: Entry) -> bool:
    """Return whether a node's conditions changed, heartbeats aside."""

    def words(item: Obj) -> list[tuple[str, str]]:
        return [(one["type"], one["status"]) for one in item["status"].get("conditions", ())]

    return entry.before is not None and words(entry.before) != words(entry.item)
