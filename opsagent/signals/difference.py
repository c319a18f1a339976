"""What differs between two observations of one object, field by field, in Kubernetes notation.

Theory of operation. Only what a person or a program *writes* counts: the fields that ``written`` names. Maps
are compared by key, lists by what names their members (``containers[web]``), other lists as a whole. What both
sides share is not looked into, so an object that only reports its status costs one comparison a field.

A pod template that differs only in fields that are not decoded shows as ``spec.template``, by its digest.
Values are those of redacted objects, so an environment value shows as its keyed hash.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias, assert_never

from opsagent.model import kube
from opsagent.model.signal import ChangeType
from opsagent.signals.written import FIELDS, NAMES

# Taints that the control plane sets itself: a node's conditions, its start, the echo of a cordon.
# Source: Kubernetes documentation, "Taint based Evictions".
CONTROL_PLANE_TAINTS = ("node.kubernetes.io/", "node.cloudprovider.kubernetes.io/")

_LABELLED = (kube.Namespace, kube.Node, kube.PersistentVolume)  # their labels decide about others
_SCALES = frozenset({"spec.replicas"})
Workload: TypeAlias = kube.Deployment | kube.StatefulSet | kube.DaemonSet | kube.Job | kube.CronJob


@dataclass(frozen=True, slots=True)
class FieldDifference:
    """One field that differs; ``old`` or ``new`` is empty where the field is absent."""

    type: ChangeType
    path: str
    old: str
    new: str


def is_written(item: kube.KubeObject) -> bool:
    """Return whether people change objects of this kind."""
    return type(item) in FIELDS


def differences(old: kube.KubeObject, new: kube.KubeObject) -> Iterator[FieldDifference]:
    """Yield the written fields that differ: the pod template first, then its scale, then the rest."""
    if isinstance(old, Workload) and isinstance(new, Workload):
        for path, left, right in _template(old, new):
            yield FieldDifference(ChangeType.ROLLOUT, path, left, right)
    if isinstance(new, _LABELLED):
        for path, left, right in _walked("metadata.labels", old.meta.labels, new.meta.labels):
            yield FieldDifference(ChangeType.EDIT, path, left, right)
    for path, left, right in _fields("", old, new):
        change_type = ChangeType.SCALE if path in _SCALES else ChangeType.EDIT
        yield FieldDifference(change_type, path, left, right)


def summary(item: kube.KubeObject) -> str:
    """Return in short what is written in ``item``: of a workload its images."""
    if isinstance(item, Workload):
        return ", ".join(container.image for container in item.containers)
    return told(item)


_Found: TypeAlias = Iterator[tuple[str, str, str]]  # path, old, new


def _template(old: Workload, new: Workload) -> _Found:
    if old.template_digest == new.template_digest and old.containers == new.containers:
        return
    job = "spec.jobTemplate." if isinstance(new, kube.CronJob) else ""
    path = f"{job}spec.template"
    is_told = False
    for found in (
        *_walked(f"{path}.spec.containers", old.containers, new.containers),
        *_walked(path, old.template, new.template),
    ):
        is_told = True
        yield found
    if not is_told and old.template_digest != new.template_digest:
        yield path, old.template_digest, new.template_digest


def _walked(path: str, old: object, new: object) -> _Found:
    if old is not new and old != new:
        yield from _differing(path, old, new)


def _differing(path: str, old: object, new: object) -> _Found:
    """Yield what differs between two values that are not equal."""
    left, right = _members(old), _members(new)
    if left is not None and right is not None:
        names = [*right, *(name for name in left if name not in right)]
        for name in names if isinstance(new, tuple) else sorted(names):
            yield from _walked(f"{path}[{name}]", left.get(name), right.get(name))
    elif type(old) is type(new) and type(new) in FIELDS:
        yield from _fields(path, old, new)
    elif (before := told(old)) != (after := told(new)):
        yield path, before, after


def _fields(path: str, old: object, new: object) -> _Found:
    for field, name in FIELDS[type(new)].items():
        left, right = getattr(old, field), getattr(new, field)
        if left is not right and left != right:
            yield from _differing(f"{path}.{name}" if path else name, left, right)


def _members(value: object) -> Mapping[str, object] | None:
    """Return what is in a map, or in a list whose members have names, by name; None for anything else."""
    if not isinstance(value, tuple):
        return value if isinstance(value, Mapping) else None
    named: dict[str, object] = {}
    for number, item in enumerate(value):
        name = _name(item)
        if name is None or name in named:
            return None
        if not isinstance(item, kube.Taint) or not name.startswith(CONTROL_PLANE_TAINTS):
            named[name or str(number)] = item
    return named


def _name(item: object) -> str | None:
    fields = NAMES.get(type(item))
    if fields is None:
        return None
    parts = [str(part) for field in fields if (part := getattr(item, field))]
    return "/".join(parts).replace("//", "/")


def told(value: object) -> str:
    """Return ``value`` in short; empty for what is absent."""
    match value:
        case None | bool():
            return {None: "", True: "true", False: "false"}[value]
        case kube.Container() | kube.EnvVar() | kube.Requirement():
            return _told_leaf(value)
        case tuple():
            return ", ".join(told(item) for item in value)
        case Mapping():
            return ", ".join(f"{name}={told(item)}" for name, item in value.items())
        case _ if type(value) in FIELDS:
            parts = [
                (name, told(getattr(value, field))) for field, name in FIELDS[type(value)].items()
            ]
            return " ".join(f"{name.rpartition('.')[2]}={text}" for name, text in parts if text)
        case _:
            return str(value)


def _told_leaf(value: kube.Container | kube.EnvVar | kube.Requirement) -> str:
    match value:
        case kube.Container():
            return value.image
        case kube.EnvVar():
            return value.value or value.source
        case kube.Requirement():
            return f"{value.key} {value.operator} {'|'.join(value.values)}".rstrip()
        case _:
            assert_never(value)
