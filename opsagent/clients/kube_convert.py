"""From the API's shapes (``kube_struct``) to the model's values: defaults filled in, instants in UTC.

Pure. Defaults are the API's documented ones (one replica, 600 s progress deadline). Text is taken as
it comes: it is untrusted and is redacted later, before it is stored.
"""

import datetime as dt
import hashlib
from collections.abc import Sequence

import msgspec

from opsagent.clients import kube_struct as struct
from opsagent.model import kube

PROGRESS_DEADLINE_SECONDS = 600
REVISION_ANNOTATION = "deployment.kubernetes.io/revision"
_REVISION_DIGITS_MAX = 18  # int64

_template = msgspec.json.Decoder(struct.Template)


def namespace(item: struct.Namespace) -> kube.Namespace:
    """Convert a v1 Namespace."""
    return kube.Namespace(_meta(item.metadata), (item.status and item.status.phase) or "Active")


def node(item: struct.Node) -> kube.Node:
    """Convert a v1 Node."""
    status = item.status or struct.NodeStatus()
    return kube.Node(
        _meta(item.metadata),
        bool(item.spec and item.spec.unschedulable),
        _conditions(status.conditions),
    )


def pod(item: struct.Pod) -> kube.Pod:
    """Convert a v1 Pod."""
    spec = item.spec or struct.PodSpec()
    status = item.status or struct.PodStatus()
    return kube.Pod(
        _meta(item.metadata),
        spec.node_name or "",
        _containers(spec.containers),
        status.phase or "",
        status.reason or "",
        _conditions(status.conditions),
        tuple([_container_status(entry) for entry in status.container_statuses or ()]),
    )


def replica_set(item: struct.ReplicaSet) -> kube.ReplicaSet:
    """Convert an apps/v1 ReplicaSet."""
    meta = _meta(item.metadata)
    spec = item.spec or struct.ReplicaSetSpec()
    status = item.status or struct.ReplicaSetStatus()
    containers, digest = _template_of(spec.template)
    return kube.ReplicaSet(
        meta,
        _revision(meta),
        1 if spec.replicas is None else spec.replicas,
        status.replicas or 0,
        status.ready_replicas or 0,
        containers,
        digest,
    )


def deployment(item: struct.Deployment) -> kube.Deployment:
    """Convert an apps/v1 Deployment."""
    meta = _meta(item.metadata)
    spec = item.spec or struct.DeploymentSpec()
    status = item.status or struct.DeploymentStatus()
    containers, digest = _template_of(spec.template)
    deadline = spec.progress_deadline_seconds
    return kube.Deployment(
        meta,
        revision=_revision(meta),
        replicas_desired=1 if spec.replicas is None else spec.replicas,
        is_paused=bool(spec.paused),
        progress_deadline_seconds=PROGRESS_DEADLINE_SECONDS if deadline is None else deadline,
        selector=(spec.selector and spec.selector.match_labels) or {},
        containers=containers,
        template_digest=digest,
        observed_generation=status.observed_generation or 0,
        replicas=status.replicas or 0,
        replicas_updated=status.updated_replicas or 0,
        replicas_ready=status.ready_replicas or 0,
        replicas_available=status.available_replicas or 0,
        conditions=_conditions(status.conditions),
    )


def event(item: struct.Event) -> kube.KubeEvent:
    """Convert a v1 Event of either style: counted (first, last) or a series (event time, last observed)."""
    about = item.involved_object or struct.ObjectReference()
    series = item.series or struct.EventSeries()
    return kube.KubeEvent(
        _meta(item.metadata),
        regarding_kind=about.kind or "",
        regarding_namespace=about.namespace or "",
        regarding_name=about.name or "",
        regarding_uid=about.uid or "",
        type=item.type or "Normal",
        reason=item.reason or "",
        message=item.message or "",
        count=series.count or item.count or 1,
        first_at=_utc(item.first_timestamp or item.event_time),
        last_at=_utc(series.last_observed_time or item.last_timestamp or item.event_time),
        source=(item.source and item.source.component) or item.reporting_component or "",
    )


def _utc(at: dt.datetime | None) -> dt.datetime | None:
    return at if at is None or at.tzinfo is dt.UTC else at.astimezone(dt.UTC)


def _meta(meta: struct.Meta) -> kube.ObjectMeta:
    return kube.ObjectMeta(
        meta.namespace or "",
        meta.name,
        meta.uid,
        meta.resource_version,
        meta.generation or 0,
        _utc(meta.creation_timestamp),
        _utc(meta.deletion_timestamp),
        meta.labels or {},
        meta.annotations or {},
        _owner(meta.owner_references),
        tuple(
            [
                kube.FieldManager(
                    entry.manager, entry.operation, _utc(entry.time), entry.subresource or ""
                )
                for entry in meta.managed_fields or ()
            ]
        ),
    )


def _owner(references: Sequence[struct.OwnerReference] | None) -> kube.OwnerRef | None:
    for reference in references or ():
        if reference.controller:
            return kube.OwnerRef(reference.kind, reference.name, reference.uid)
    return None


def _conditions(conditions: Sequence[struct.Condition] | None) -> tuple[kube.Condition, ...]:
    return tuple(
        [
            kube.Condition(
                entry.type,
                entry.status,
                entry.reason or "",
                entry.message or "",
                _utc(entry.last_transition_time),
            )
            for entry in conditions or ()
        ]
    )


def _containers(containers: Sequence[struct.Container] | None) -> tuple[kube.Container, ...]:
    return tuple([_container(entry) for entry in containers or ()])


def _container(entry: struct.Container) -> kube.Container:
    resources = entry.resources or struct.Resources()
    return kube.Container(
        entry.name,
        entry.image or "",
        tuple(
            [
                kube.EnvVar(variable.name, variable.value or "", _env_source(variable.value_from))
                for variable in entry.env or ()
            ]
        ),
        resources.requests or {},
        resources.limits or {},
        entry.readiness_probe is not None,
    )


def _env_source(source: struct.EnvSource | None) -> str:
    """Return where a value comes from, e.g. ``secretKeyRef:db/password``; empty for a literal."""
    match source:
        case struct.EnvSource(secret_key_ref=struct.KeyRef() as ref):
            return f"secretKeyRef:{ref.name or ''}/{ref.key}"
        case struct.EnvSource(config_map_key_ref=struct.KeyRef() as ref):
            return f"configMapKeyRef:{ref.name or ''}/{ref.key}"
        case struct.EnvSource(field_ref=struct.FieldRef() as field):
            return f"fieldRef:{field.field_path}"
        case struct.EnvSource(resource_field_ref=struct.ResourceRef() as resource):
            return f"resourceFieldRef:{resource.resource}"
        case _:
            return ""


def _container_status(entry: struct.ContainerStatus) -> kube.ContainerStatus:
    return kube.ContainerStatus(
        entry.name,
        bool(entry.ready),
        entry.restart_count or 0,
        # The API: "If none of them is specified, the default one is ContainerStateWaiting."
        _state(entry.state) or kube.ContainerState(kube.Phase.WAITING),
        _state(entry.last_state),
    )


def _state(state: struct.ContainerState | None) -> kube.ContainerState | None:
    if state is None:
        return None
    if state.terminated is not None:
        return _state_detail(kube.Phase.TERMINATED, state.terminated)
    if state.running is not None:
        return _state_detail(kube.Phase.RUNNING, state.running)
    if state.waiting is not None:
        return _state_detail(kube.Phase.WAITING, state.waiting)
    return None


def _state_detail(phase: kube.Phase, detail: struct.StateDetail) -> kube.ContainerState:
    return kube.ContainerState(
        phase,
        detail.reason or "",
        detail.message or "",
        detail.exit_code,
        _utc(detail.started_at),
        _utc(detail.finished_at),
    )


def _template_of(raw: msgspec.Raw) -> tuple[tuple[kube.Container, ...], str]:
    """Return the containers and the SHA-256 of the template exactly as the server wrote it, empty if none."""
    content = bytes(raw)
    if content == b"null":
        return (), ""
    spec = _template.decode(content).spec or struct.PodSpec()
    return _containers(spec.containers), hashlib.sha256(content).hexdigest()


def _revision(meta: kube.ObjectMeta) -> int:
    text = meta.annotations.get(REVISION_ANNOTATION, "")
    is_number = text.isascii() and text.isdigit() and len(text) <= _REVISION_DIGITS_MAX
    return int(text) if is_number else 0
