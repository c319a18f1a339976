"""What the API server fills in and what it refuses, for the fields that opsagent touches.

Refuses what a real server refuses of these: no container, no image, a negative count, a selector
that does not fit the template, a quantity that is none. Fields that it does not know pass unchecked.
"""

import re
from typing import TypeAlias

from opsagent.sim.errors import invalid
from opsagent.sim.quantities import parse_quantity
from opsagent.sim.resources import (
    DEPLOYMENTS,
    DISRUPTION_BUDGETS,
    LEASES,
    PODS,
    REPLICA_SETS,
    Resource,
)
from opsagent.sim.values import Obj

# Source: the API reference of apps/v1 Deployment and v1 Pod
_DEPLOYMENT = {"replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600}
_POD_SPEC = {
    "restartPolicy": "Always",
    "terminationGracePeriodSeconds": 30,
    "dnsPolicy": "ClusterFirst",
    "securityContext": {},
    "schedulerName": "default-scheduler",
}
_CONTAINER = {
    "resources": {},
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
    "imagePullPolicy": "IfNotPresent",
}
_PROBE = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}

_Causes: TypeAlias = list[tuple[str, str]]


def _fill(target: Obj, defaults: Obj) -> None:
    for key, value in defaults.items():
        target.setdefault(key, dict(value) if isinstance(value, dict) else value)


def _fill_pod_spec(spec: Obj) -> None:
    _fill(spec, _POD_SPEC)
    for container in spec.get("containers", ()):
        _fill(container, _CONTAINER)
        if "readinessProbe" in container:
            _fill(container["readinessProbe"], _PROBE)
        resources = container["resources"]
        for name, value in resources.get("limits", {}).items():
            resources.setdefault("requests", {}).setdefault(name, value)


def fill_defaults(resource: Resource, item: Obj) -> None:
    """Set, in place, the defaults of ``item``'s spec."""
    spec = item.setdefault("spec", {}) if resource in {DEPLOYMENTS, REPLICA_SETS, PODS} else {}
    if resource is DEPLOYMENTS:
        _fill(spec, _DEPLOYMENT)
        strategy = spec.setdefault("strategy", {})
        _fill(strategy, {"type": "RollingUpdate"})
        if strategy["type"] == "RollingUpdate":
            rolling = strategy.setdefault("rollingUpdate", {})
            _fill(rolling, {"maxUnavailable": "25%", "maxSurge": "25%"})
    if resource is REPLICA_SETS:
        _fill(spec, {"replicas": 1})
    if resource in {DEPLOYMENTS, REPLICA_SETS}:
        _fill_pod_spec(spec.setdefault("template", {}).setdefault("spec", {}))
    if resource is PODS:
        _fill_pod_spec(spec)


def _count(spec: Obj, field: str, causes: _Causes) -> None:
    value = spec.get(field, 0)
    if not isinstance(value, int) or value < 0:
        message = f"Invalid value: {value}: must be greater than or equal to 0"
        causes.append((f"spec.{field}", message))


def _check_container(container: Obj, path: str, causes: _Causes) -> None:
    for field in ("name", "image"):
        if not container.get(field):
            causes.append((f"{path}.{field}", "Required value"))
    for part in ("requests", "limits"):
        for name, text in container.get("resources", {}).get(part, {}).items():
            try:
                parse_quantity(str(text))
            except ValueError as error:
                causes.append((f"{path}.resources.{part}[{name}]", f"Invalid value: {error}"))


def _check_pod_spec(spec: Obj, path: str, causes: _Causes) -> None:
    containers = spec.get("containers") or ()
    if not containers:
        causes.append((f"{path}.containers", "Required value"))
    for index, container in enumerate(containers):
        _check_container(container, f"{path}.containers[{index}]", causes)
    names = [container.get("name") for container in containers]
    if len(set(names)) < len(names):
        causes.append((f"{path}.containers", "Duplicate value"))


def _check_workload(spec: Obj, old: Obj | None, causes: _Causes) -> None:
    for field in ("replicas", "progressDeadlineSeconds", "revisionHistoryLimit", "minReadySeconds"):
        _count(spec, field, causes)
    template = spec["template"]
    labels = template.get("metadata", {}).get("labels", {})
    selector = spec.get("selector", {}).get("matchLabels", {})
    if not selector:
        causes.append(("spec.selector", "Required value"))
    elif not selector.items() <= labels.items():
        message = "Invalid value: `selector` does not match template `labels`"
        causes.append(("spec.template.metadata.labels", message))
    if old is not None and old["spec"]["selector"] != spec.get("selector"):
        causes.append(("spec.selector", "Invalid value: field is immutable"))
    kind = spec.get("strategy", {}).get("type", "RollingUpdate")
    if kind != "RollingUpdate":
        causes.append(("spec.strategy.type", f'Unsupported value: "{kind}"'))
    _check_pod_spec(template["spec"], "spec.template.spec", causes)


def _check_lease(item: Obj, old: Obj | None, causes: _Causes) -> None:
    if old is not None and not item["metadata"].get("resourceVersion"):
        message = "Invalid value: 0: must be specified for an update"
        causes.append(("metadata.resourceVersion", message))
    duration = item.get("spec", {}).get("leaseDurationSeconds", 1)
    if not isinstance(duration, int) or duration <= 0:
        message = f"Invalid value: {duration}: must be greater than 0"
        causes.append(("spec.leaseDurationSeconds", message))


def _check_budget(spec: Obj, causes: _Causes) -> None:
    bounds = [field for field in ("minAvailable", "maxUnavailable") if field in spec]
    if len(bounds) > 1:
        message = f"Invalid value: {spec}: minAvailable and maxUnavailable cannot be both set"
        causes.append(("spec", message))
    for field in bounds:
        if isinstance(spec[field], int):
            _count(spec, field, causes)
        elif not re.fullmatch(r"[0-9]+%", str(spec[field])):
            message = f'Invalid value: "{spec[field]}": a valid percent string must be numeric'
            causes.append((f"spec.{field}", message))
    if "matchExpressions" in spec.get("selector", {}):
        causes.append(("spec.selector.matchExpressions", "Unsupported value"))


def validate(resource: Resource, item: Obj, old: Obj | None) -> None:
    """Check ``item``, with its defaults filled in, against the rules; ``old`` is None on create.

    Raises:
        StatusError: 422 with every cause.
    """
    causes: _Causes = []
    if resource in {DEPLOYMENTS, REPLICA_SETS}:
        _check_workload(item["spec"], old, causes)
    if resource is PODS:
        _check_pod_spec(item["spec"], "spec", causes)
    if resource is DISRUPTION_BUDGETS:
        _check_budget(item.get("spec", {}), causes)
    if resource is LEASES:
        _check_lease(item, old, causes)
    if causes:
        raise invalid(resource, item["metadata"]["name"], causes)
