"""What one object says about others: its references, the Services that it may address, whom it selects. Pure.

Theory. A pod needs what its spec names, and a workload what its template names: a Deployment whose
ServiceAccount is missing has no pods that could say so. An older ReplicaSet's template is history, so those that
are owned say nothing of it. What is over needs nothing and is selected by nobody: a finished pod or Job.

Owners are meant by name, as everything else. A Node owns the mirrors of its static pods; that they run on it says as
much. Whoever refers to itself says nothing.

Pods of one template share their containers and the rest of their spec, so what a template says is found once and
remembered by its identity, as in ``redaction``.
"""

from collections.abc import Iterator, Mapping
from functools import singledispatch
from typing import NamedTuple

from opsagent.model import kube
from opsagent.model.entity import Kind
from opsagent.model.topology import SECRET, EdgeType, Vertex, near
from opsagent.signals.addresses import services
from opsagent.signals.graph import Reference

TEMPLATES_MAX = 2_048  # with what became of them 2 MiB or so
_ENDED = frozenset({"Succeeded", "Failed"})
_VOLUMES: Mapping[str, str] = {
    "persistentVolumeClaim": Kind.PERSISTENT_VOLUME_CLAIM,
    "configMap": Kind.CONFIG_MAP,
    "secret": SECRET,
}
_SOURCES: Mapping[str, str] = {
    "configMapKeyRef": Kind.CONFIG_MAP,
    "configMapRef": Kind.CONFIG_MAP,
    "secretKeyRef": SECRET,
    "secretRef": SECRET,
}


class Said(NamedTuple):
    """What an object says: references, and those to Services that hold only while these are there."""

    references: tuple[Reference, ...] = ()
    wishes: tuple[Reference, ...] = ()


NOTHING = Said()


class Joins:
    """Knows what templates say. One owner."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int, int], tuple[object, object, Said]] = {}

    def said(self, me: Vertex, item: kube.KubeObject | None) -> Said:
        """Return what ``item``, which is ``me``, says, each thing once; of None, nothing."""
        if item is None:
            return NOTHING
        own = [each for each in _own(item) if each[1] != me]
        wishes = tuple([(EdgeType.ADDRESSES, each) for each in _addressed(item) if each != me])
        containers, spec = _template(item)
        if spec is None:
            return Said(tuple(dict.fromkeys(own)), wishes)
        told = self._of_template(me.namespace, containers, spec)
        return Said((*own, *told.references), told.wishes)

    def _of_template(
        self, namespace: str, containers: tuple[kube.Container, ...], spec: kube.PodSpec
    ) -> Said:
        key = (namespace, id(containers), id(spec))
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= TEMPLATES_MAX:
                self._known.clear()
            said = _said(namespace, (*containers, *spec.init_containers), spec)
            # It holds on to the parts, so that no identity is given twice.
            known = self._known[key] = (containers, spec, said)
        return known[2]


def owner_of(item: kube.KubeObject) -> Vertex | None:
    """Return the controller of ``item``, None if it has none."""
    owner = item.meta.owner
    if owner is None or owner.kind == Kind.NODE:
        return None
    return near(owner.kind, item.meta.namespace, owner.name)


def is_over(item: kube.Pod | kube.Job) -> bool:
    """Return whether ``item`` has come to its end and needs nothing any more."""
    if isinstance(item, kube.Pod):
        return item.phase in _ENDED
    return item.completed_at is not None or any(
        each.type in ("Complete", "Failed") and each.status == "True" for each in item.conditions
    )


def says_the_same(old: kube.KubeObject, new: kube.KubeObject) -> bool:
    """Return whether a new state surely joins as the old one did, found without looking at all that it says.

    Most news is of this sort: a pod's status, the readiness of an endpoint.
    """
    match old, new:
        case kube.Pod(), kube.Pod():
            return (
                old.spec is new.spec
                and old.containers is new.containers
                and old.node_name == new.node_name
                and old.meta.owner == new.meta.owner
                and old.meta.labels == new.meta.labels
                and is_over(old) == is_over(new)
            )
        case kube.EndpointSlice(), kube.EndpointSlice():
            return (
                old.service_name == new.service_name
                and old.meta.owner == new.meta.owner
                and _targets(old) == _targets(new)
            )
        case _:
            return False


def _targets(item: kube.EndpointSlice) -> list[tuple[str, str]]:
    return [(each.target_kind, each.target_name) for each in item.endpoints]


def selector_of(item: kube.KubeObject | None) -> kube.LabelSelector | None:
    """Return what selects pods of its own namespace, None if nothing does."""
    match item:
        case kube.Service():
            return kube.LabelSelector(item.selector) if item.selector else None
        case kube.PodDisruptionBudget() | kube.NetworkPolicy():
            return item.selector
        case _:
            return None


def selectable(item: kube.KubeObject | None) -> Mapping[str, str] | None:
    """Return the labels by which a pod is selected, None of what is no pod or over."""
    return item.meta.labels if isinstance(item, kube.Pod) and not is_over(item) else None


def _template(
    item: kube.KubeObject,
) -> tuple[tuple[kube.Container, ...], kube.PodSpec | None]:
    match item:
        case kube.Pod() if not is_over(item):
            return item.containers, item.spec
        case kube.Deployment() | kube.StatefulSet() | kube.DaemonSet() | kube.CronJob():
            return item.containers, item.template.spec
        case kube.Job() if not is_over(item):
            return item.containers, item.template.spec
        case kube.ReplicaSet() if item.meta.owner is None:
            return item.containers, item.template.spec
        case _:
            return (), None


def _said(namespace: str, containers: tuple[kube.Container, ...], spec: kube.PodSpec) -> Said:
    needs = [
        (EdgeType.MAY_USE if is_optional else EdgeType.USES, Vertex(kind, namespace, name))
        for kind, name, is_optional in _needs(containers, spec)
        if name
    ]
    values = [env.value for each in containers for env in each.env if env.value]
    wishes = [
        (EdgeType.ADDRESSES, found) for value in values for found in services(value, namespace)
    ]
    return Said(tuple(dict.fromkeys(needs)), tuple(dict.fromkeys(wishes)))


def _needs(
    containers: tuple[kube.Container, ...], spec: kube.PodSpec
) -> Iterator[tuple[str, str, bool]]:
    """Yield kind, name and whether it may be missing."""
    yield Kind.SERVICE_ACCOUNT, spec.service_account, False
    for secret in spec.image_pull_secrets:
        yield SECRET, secret, False
    for volume in spec.volumes:
        if (kind := _VOLUMES.get(volume.type)) is not None:
            yield kind, volume.source, volume.is_optional
    for container in containers:
        for env in container.env:
            source, _, key = env.source.partition(":")
            if (kind := _SOURCES.get(source)) is not None:
                yield kind, key.partition("/")[0], env.is_optional
        for each in container.env_from:
            if (kind := _SOURCES.get(each.source)) is not None:
                yield kind, each.name, each.is_optional


def _own(item: kube.KubeObject) -> Iterator[Reference]:
    """Yield what the object says by itself, without its template."""
    owner = owner_of(item)
    if owner is not None:
        yield EdgeType.OWNED_BY, owner
    yield from _says(item)


@singledispatch
def _says(_: kube.KubeObject) -> Iterator[Reference]:
    return iter(())


def _addressed(item: kube.KubeObject) -> Iterator[Vertex]:
    """Yield the Services that something without a template may address."""
    match item:
        case kube.Service(external_name=name) if name:
            yield from services(name, item.meta.namespace)
        case kube.ValidatingWebhookConfiguration() | kube.MutatingWebhookConfiguration():
            for each in item.webhooks:
                yield from services(each.url, "")
        case _:
            return


@_says.register
def _pod(item: kube.Pod) -> Iterator[Reference]:
    if item.node_name:
        yield EdgeType.RUNS_ON, Vertex(Kind.NODE, "", item.node_name)


@_says.register
def _slice(item: kube.EndpointSlice) -> Iterator[Reference]:
    namespace = item.meta.namespace
    if item.service_name:
        yield EdgeType.BACKS, Vertex(Kind.SERVICE, namespace, item.service_name)
    for each in item.endpoints:
        if each.target_kind == Kind.POD and each.target_name:
            yield EdgeType.LISTS, Vertex(Kind.POD, namespace, each.target_name)


@_says.register
def _ingress(item: kube.Ingress) -> Iterator[Reference]:
    namespace = item.meta.namespace
    backends = [item.default_backend, *(path.backend for path in item.paths)]
    for backend in backends:
        if backend is not None and backend.service:
            yield EdgeType.ROUTES_TO, Vertex(Kind.SERVICE, namespace, backend.service)
    for tls in item.tls:
        if tls.secret:
            yield EdgeType.USES, Vertex(SECRET, namespace, tls.secret)


@_says.register
def _claim(item: kube.PersistentVolumeClaim) -> Iterator[Reference]:
    if item.volume_name:
        yield EdgeType.BOUND_TO, Vertex(Kind.PERSISTENT_VOLUME, "", item.volume_name)
    if item.storage_class:
        # What is bound keeps the name of a class that may never have been there: it names what fits.
        edge_type = EdgeType.OF_CLASS if item.volume_name else EdgeType.USES
        yield edge_type, Vertex(Kind.STORAGE_CLASS, "", item.storage_class)


@_says.register
def _volume(item: kube.PersistentVolume) -> Iterator[Reference]:
    if item.claim_name:
        kind, namespace = Kind.PERSISTENT_VOLUME_CLAIM, item.claim_namespace
        yield EdgeType.BOUND_TO, Vertex(kind, namespace, item.claim_name)
    if item.storage_class:
        yield EdgeType.OF_CLASS, Vertex(Kind.STORAGE_CLASS, "", item.storage_class)


@_says.register
def _autoscaler(item: kube.HorizontalPodAutoscaler) -> Iterator[Reference]:
    if item.target_name:
        yield EdgeType.SCALES, near(item.target_kind, item.meta.namespace, item.target_name)


@_says.register
def _stateful_set(item: kube.StatefulSet) -> Iterator[Reference]:
    if item.service_name:
        yield EdgeType.NAMED_BY, Vertex(Kind.SERVICE, item.meta.namespace, item.service_name)


@_says.register
def _service_account(item: kube.ServiceAccount) -> Iterator[Reference]:
    for name in item.image_pull_secrets:
        if name:
            yield EdgeType.MAY_USE, Vertex(SECRET, item.meta.namespace, name)


@_says.register
def _webhooks(
    item: kube.ValidatingWebhookConfiguration | kube.MutatingWebhookConfiguration,
) -> Iterator[Reference]:
    for each in item.webhooks:
        if each.service_name:
            yield EdgeType.ASKS, Vertex(Kind.SERVICE, each.service_namespace, each.service_name)
