"""The kubelets of all nodes: they run the pods that are bound to them and say how it goes.

Theory. Per pod one timer, due when the first of its containers is. What a kubelet knows beyond the
API (back-off, probes, logs) lives here and dies with the pod. Images stay on a node once pulled.
A pod marked for deletion is stopped, then taken out of the API. Not simulated: node failure,
eviction, init containers, liveness probes, volumes.
"""

import datetime as dt
from dataclasses import dataclass, field

from opsagent.sim.container import ContainerRun
from opsagent.sim.errors import bad_request
from opsagent.sim.events import EventRecorder, Report, Reporter
from opsagent.sim.images import ImageRegistry
from opsagent.sim.logs import ContainerLog, LogFollow, LogQuery
from opsagent.sim.ownership import Write
from opsagent.sim.podstatus import pod_status
from opsagent.sim.resources import PODS
from opsagent.sim.store import ObjectStore
from opsagent.sim.timers import Timers
from opsagent.sim.values import Obj, seconds

MANAGER = "kubelet"
STOPS_AFTER = seconds(1)  # how long a container takes to end when asked to


@dataclass(slots=True)
class _PodRun:
    """A pod on its node. ``gone_at`` is set once it is being stopped."""

    containers: tuple[ContainerRun, ...]
    pod_ip: str
    gone_at: dt.datetime | None = None


@dataclass(slots=True)
class Kubelets:
    """Runs bound pods."""

    store: ObjectStore
    timers: Timers
    events: EventRecorder
    registry: ImageRegistry
    _runs: dict[str, _PodRun] = field(default_factory=dict)
    _present: dict[str, set[str]] = field(default_factory=dict)
    _addresses_given: int = 0

    def sync(self, namespace: str, name: str, now: dt.datetime) -> None:
        """Do what is due for one pod, write its status, set its timer."""
        pod = self.store.find(PODS, namespace, name)
        if pod is None or not pod["spec"].get("nodeName"):
            return
        run = self._runs.get(pod["metadata"]["uid"]) or self._admit(pod)
        if "deletionTimestamp" in pod["metadata"]:
            self._stop(pod, run, now)
            return
        reports: list[Report] = []
        for container in run.containers:
            if not container.has_started and container.next_due is None:
                reports += container.step(now)  # the very first step
            while container.next_due is not None and container.next_due <= now:
                reports += container.step(now)
        self._report(pod, reports, now)
        self._write_status(pod, run, now)
        due = [item.next_due for item in run.containers if item.next_due is not None]
        if due:
            self.timers.sooner(("kubelet", namespace, name), min(due))

    def forget(self, uid: str) -> None:
        """Drop what is known of a pod that is gone."""
        run = self._runs.pop(uid, None)
        for container in run.containers if run else ():
            container.stop()

    def _admit(self, pod: Obj) -> _PodRun:
        meta, node = pod["metadata"], pod["spec"]["nodeName"]
        shown = f"{meta['name']}_{meta['namespace']}({meta['uid']})"
        present = self._present.setdefault(node, set())
        containers = tuple(
            ContainerRun(shown, spec, self.registry.find, present)
            for spec in pod["spec"]["containers"]
        )
        self._addresses_given += 1
        high, low = divmod(self._addresses_given, 250)
        run = _PodRun(containers, f"10.244.{high % 250}.{low + 1}")
        self._runs[meta["uid"]] = run
        return run

    def _stop(self, pod: Obj, run: _PodRun, now: dt.datetime) -> None:
        """Ask the containers to end; once they have, take the pod out."""
        meta = pod["metadata"]
        if run.gone_at is None:
            run.gone_at = now + min(STOPS_AFTER, seconds(meta["deletionGracePeriodSeconds"]))
            running = [item.name for item in run.containers if "running" in item.state]
            killing = [
                Report(
                    "Normal", "Killing", f"Stopping container {one}", f"spec.containers{{{one}}}"
                )
                for one in running
            ]
            self._report(pod, killing, now)
        if now >= run.gone_at:
            self.store.remove(PODS, pod, now)
        else:
            self.timers.sooner(("kubelet", meta["namespace"], meta["name"]), run.gone_at)

    def _report(self, pod: Obj, reports: list[Report], now: dt.datetime) -> None:
        reporter = Reporter(MANAGER, pod["spec"]["nodeName"])
        for report in reports:
            self.events.report(reporter, pod, report, now)

    def _write_status(self, pod: Obj, run: _PodRun, now: dt.datetime) -> None:
        addresses = {"hostIP": "10.0.0.1", "podIP": run.pod_ip}
        status = pod_status(pod, run.containers, addresses, now)
        self.store.update(PODS, pod | {"status": status}, Write(MANAGER, now, "status"))

    def follow_log(self, pod: Obj, query: LogQuery) -> LogFollow | None:
        """Return a reader of a container's log, None for a pod that no node has.

        Raises:
            StatusError: 400, no such container, or it has no such log.
        """
        names = [spec["name"] for spec in pod["spec"]["containers"]]
        if not query.container and len(names) > 1:
            choice = " ".join(names)
            raise bad_request(f"a container name must be specified, choose one of: [{choice}]")
        name, pod_name = query.container or names[0], pod["metadata"]["name"]
        if name not in names:
            raise bad_request(f"container {name} is not valid for pod {pod_name}")
        container = self._container(pod, name)
        if container is None:
            return None
        log = container.previous_log if query.is_previous else container.log
        if log is None:
            raise bad_request(_excuse(container, pod_name, is_previous=query.is_previous))
        return LogFollow(log, query)

    def log(self, pod: Obj, name: str) -> ContainerLog:
        """Return what a container that has run prints, for tests that put words into its mouth."""
        container = self._container(pod, name)
        assert container is not None
        assert container.log is not None, f"{name} has not run yet"
        return container.log

    def _container(self, pod: Obj, name: str) -> ContainerRun | None:
        run = self._runs.get(pod["metadata"]["uid"])
        if run is None:
            return None
        return next(item for item in run.containers if item.name == name)


def _excuse(container: ContainerRun, pod_name: str, *, is_previous: bool) -> str:
    """Say why there is no log."""
    if is_previous:
        named = f'container "{container.name}" in pod "{pod_name}"'
        return f"previous terminated {named} not found"
    reason = container.state.get("waiting", {}).get("reason", "ContainerCreating")
    waits = "trying and failing to pull image" if "Image" in reason else reason
    return f'container "{container.name}" in pod "{pod_name}" is waiting to start: {waits}'
