"""Secrets are gone before anything is stored: objects and texts with every known secret taken out.

Theory of operation. Two rules, by where a value stands:

- *Literal environment values*, *command lines* and *values of ConfigMaps* become keyed hashes, but for
  what looks like an address (``redaction_values``).
- *Free text* (messages, kept annotations, values of labels and whatever selects them, paths, log lines)
  is scrubbed of tokens of known formats and of values behind names of secrets, then cut to a length.

``RULES`` names every field that can hold either; all others hold names, words and quantities that the
API server checks. A test walks all types and wants each text judged. Unknown annotations are refused:
only those in ``ANNOTATIONS_KEPT`` or below ``opsagent.io/`` pass, so that ``last-applied-configuration``,
which repeats the whole object, never does.

Redacting twice changes nothing more. What nothing is taken out of is returned itself, not a copy; and
pods of one template share their parts, so a :class:`Redactor` remembers what became of a part that comes
again. It goes by identity, because parts hold maps and cannot be hashed, and holds on to what it knows,
so that no identity is given twice.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields
from operator import attrgetter
from typing import TypeAlias, TypeVar

from opsagent.model import kube
from opsagent.model.quick import quick
from opsagent.signals.redaction_values import clean, command_line, env_value, keyed
from opsagent.signals.secrets import TEXT_LENGTH_MAX, redact_text

__all__ = ("RULES", "TEXT_LENGTH_MAX", "Redactor", "redact", "redact_text")

ANNOTATIONS_KEPT = frozenset(
    {
        "deployment.kubernetes.io/revision",
        "kubernetes.io/change-cause",
        "kubectl.kubernetes.io/restartedAt",
    }
)
OWN_PREFIX = "opsagent.io/"
PARTS_MAX = 8_192  # templates and their parts: some 10 MiB in a cluster of as many workloads

T = TypeVar("T")
_Copier: TypeAlias = Callable[[object, Mapping[str, object]], object]
Rule: TypeAlias = Callable[
    [object, object, "Redactor"], object
]  # holder, value (not empty), who redacts


class Redactor:
    """Redacts under one key: the install's, 32 random bytes. One owner; not safe to share between threads."""

    def __init__(self, key: bytes) -> None:
        self.key = key
        self._known: dict[int, tuple[object, object]] = {}

    def redact(self, item: kube.KubeObject) -> kube.KubeObject:
        """Return ``item`` with nothing secret in it."""
        return self.cleaned(item)

    def cleaned(self, part: T) -> T:
        """Return an object, or a part of one, itself if there was nothing to take out."""
        changed = {}
        for name, rule in _RULES[type(part)]:
            old = getattr(part, name)
            if old and (new := rule(part, old, self)) is not old:
                changed[name] = new
        if not changed:
            return part
        return _COPIERS[type(part)](part, changed)  # type: ignore[return-value] # of the type of part

    def remembered(self, part: T, make: Callable[[T], T]) -> T:
        """Return what ``make`` makes of ``part``; of a part that came before, the very same."""
        known = self._known.get(id(part))
        if known is None:
            if len(self._known) >= PARTS_MAX:
                self._known.clear()
            known = self._known[id(part)] = (part, make(part))
        return known[1]  # type: ignore[return-value] # made of a T


def redact(item: kube.KubeObject, key: bytes) -> kube.KubeObject:
    """Return ``item`` with nothing secret in it; ``key`` is the install's."""
    return Redactor(key).redact(item)


def _same_or(old: T, new: T) -> T:
    return old if new == old else new


def _text(_: object, value: object, __: Redactor) -> object:
    assert isinstance(value, str)
    return clean(value)


def _texts(_: object, values: object, __: Redactor) -> object:
    assert isinstance(values, tuple)
    return _same_or(values, tuple([clean(value) for value in values]))


def _map(_: object, values: object, __: Redactor) -> object:
    """Clean the values of labels or of what selects them alike, so that they still meet."""
    assert isinstance(values, Mapping)
    cleaned = {name: clean(value) for name, value in values.items()}
    return _same_or(values, cleaned)


def _annotations(_: object, values: object, __: Redactor) -> object:
    assert isinstance(values, Mapping)
    kept = {
        name: clean(value)
        for name, value in values.items()
        if name in ANNOTATIONS_KEPT or name.startswith(OWN_PREFIX)
    }
    return _same_or(values, kept)


def _part(_: object, value: object, redactor: Redactor) -> object:
    return redactor.cleaned(value)


def _parts(_: object, values: object, redactor: Redactor) -> object:
    assert isinstance(values, tuple)
    cleaned = tuple([redactor.cleaned(value) for value in values])
    is_same = all(new is old for new, old in zip(cleaned, values, strict=True))
    return values if is_same else cleaned


def _shared(rule: Rule) -> Rule:
    """Return ``rule`` for a part that many objects share."""

    def apply(holder: object, value: object, redactor: Redactor) -> object:
        return redactor.remembered(value, lambda part: rule(holder, part, redactor))

    return apply


def _env(holder: object, _: object, redactor: Redactor) -> object:
    assert isinstance(holder, kube.EnvVar)
    return env_value(holder.name, holder.value, redactor.key)


def _command(_: object, words: object, redactor: Redactor) -> object:
    assert isinstance(words, tuple)
    return _same_or(words, tuple(command_line(words, redactor.key, is_program_first=True)))


def _arguments(_: object, words: object, redactor: Redactor) -> object:
    assert isinstance(words, tuple)
    return _same_or(words, tuple(command_line(words, redactor.key, is_program_first=False)))


def _url(_: object, value: object, redactor: Redactor) -> object:
    assert isinstance(value, str)
    return env_value("URL", value, redactor.key)


def _digest(_: object, value: object, redactor: Redactor) -> object:
    assert isinstance(value, str)
    return keyed(value, redactor.key)


def _digests(_: object, values: object, redactor: Redactor) -> object:
    assert isinstance(values, Mapping)
    return {name: keyed(value, redactor.key) for name, value in values.items()}


_META: Mapping[str, Rule] = {"meta": _part}
_SHARED_PARTS = _shared(_parts)
_TEMPLATED: Mapping[str, Rule] = {
    "meta": _part,
    "containers": _SHARED_PARTS,
    "template_digest": _digest,
    "template": _shared(_part),
}
_WORKLOAD: Mapping[str, Rule] = {**_TEMPLATED, "conditions": _parts}
_SELECTING: Mapping[str, Rule] = {"selector": _part}
_WEBHOOKS: Mapping[str, Rule] = {"meta": _part, "webhooks": _parts}

RULES: Mapping[type, Mapping[str, Rule]] = {
    kube.ObjectMeta: {"labels": _shared(_map), "annotations": _annotations, "managers": _parts},
    kube.FieldManager: {"manager": _text},
    kube.Condition: {"message": _text},
    kube.Requirement: {"values": _texts},
    kube.LabelSelector: {"labels": _map, "expressions": _parts},
    kube.EnvVar: {"value": _env},
    kube.Probe: {"path": _text, "host": _text, "command": _command},
    kube.VolumeMount: {"path": _text, "sub_path": _text},
    kube.Container: {
        "env": _parts,
        "readiness_probe": _part,
        "liveness_probe": _part,
        "startup_probe": _part,
        "command": _command,
        "args": _arguments,
        "mounts": _parts,
    },
    kube.Volume: {"source": _text},
    kube.NodeTerm: {"labels": _parts, "fields": _parts},
    kube.PodTerm: {"selector": _part, "namespace_selector": _part},
    kube.Toleration: {"value": _text},
    kube.TopologySpread: {"selector": _part},
    kube.PodSpec: {
        "init_containers": _parts,
        "volumes": _parts,
        "node_selector": _map,
        "node_terms": _parts,
        "pod_affinity": _parts,
        "pod_anti_affinity": _parts,
        "tolerations": _parts,
        "topology_spread": _parts,
    },
    kube.PodTemplate: {"labels": _map, "annotations": _annotations, "spec": _part},
    kube.ContainerState: {"message": _text},
    kube.ContainerStatus: {"state": _part, "last_state": _part},
    kube.Pod: {
        "meta": _part,
        "containers": _SHARED_PARTS,
        "spec": _shared(_part),
        "conditions": _parts,
        "container_statuses": _parts,
        "init_statuses": _parts,
        "message": _text,
    },
    kube.ReplicaSet: _WORKLOAD,
    kube.Deployment: {**_WORKLOAD, "selector": _map},
    kube.StatefulSet: {**_WORKLOAD, **_SELECTING},
    kube.DaemonSet: {**_WORKLOAD, **_SELECTING},
    kube.Job: _WORKLOAD,
    kube.CronJob: _TEMPLATED,
    kube.ScalingMetric: {"name": _text},
    kube.HorizontalPodAutoscaler: {"meta": _part, "metrics": _parts, "conditions": _parts},
    kube.PodDisruptionBudget: {"meta": _part, "conditions": _parts, **_SELECTING},
    kube.Service: {"meta": _part, "selector": _map},
    kube.EndpointSlice: _META,
    kube.IngressPath: {"path": _text},
    kube.Ingress: {"meta": _part, "paths": _parts},
    kube.PolicyPeer: {"pods": _part, "namespaces": _part},
    kube.PolicyRule: {"peers": _parts},
    kube.NetworkPolicy: {"meta": _part, "ingress": _parts, "egress": _parts, **_SELECTING},
    kube.PersistentVolumeClaim: {"meta": _part, "conditions": _parts, **_SELECTING},
    kube.PersistentVolume: {"meta": _part, "node_terms": _parts, "message": _text},
    kube.StorageClass: _META,
    kube.Namespace: _META,
    kube.Taint: {"value": _text},
    kube.Node: {"meta": _part, "conditions": _parts, "taints": _parts},
    kube.ConfigMap: {"meta": _part, "digests": _digests},
    kube.ResourceQuota: _META,
    kube.LimitRange: _META,
    kube.ServiceAccount: _META,
    kube.Webhook: {"url": _url, "namespace_selector": _part, "object_selector": _part},
    kube.ValidatingWebhookConfiguration: _WEBHOOKS,
    kube.MutatingWebhookConfiguration: _WEBHOOKS,
    kube.Lease: {"meta": _part, "holder": _text},
    kube.KubeEvent: {"meta": _part, "message": _text},
}
_RULES = {type_: tuple(rules.items()) for type_, rules in RULES.items()}


def _copier(type_: type) -> _Copier:
    """Return what copies a frozen value with other fields; ``dataclasses.replace`` takes ten times as long."""
    names = tuple(each.name for each in fields(type_))
    assert len(names) > 1, "attrgetter gives a single field bare"
    values, make = attrgetter(*names), quick(type_)

    def copied(part: object, changed: Mapping[str, object]) -> object:
        return make(*map(changed.get, names, values(part)))

    return copied


_COPIERS = {type_: _copier(type_) for type_ in RULES}
