"""Pods and what they are made of: containers, probes, volumes, where they may run.

Of ``spec`` the containers stand in the object itself, the rest in a :class:`PodSpec`; a workload has its
template likewise. What admission puts into every pod alike (the token volume and its mounts, two tolerations) is
left out.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from opsagent.model.kube_meta import Condition, LabelSelector, ObjectMeta, Requirement


@dataclass(frozen=True, slots=True)
class EnvVar:
    """An environment variable: a literal value (a keyed hash or an address once redacted) or a source reference.

    ``source``, e.g. ``secretKeyRef:db/password``, is empty for a literal.
    """

    name: str
    value: str = ""
    source: str = ""
    is_optional: bool = False


@dataclass(frozen=True, slots=True)
class EnvFrom:
    """envFrom[]: all keys of one object. ``source``: ``configMapRef`` or ``secretRef``."""

    source: str
    name: str
    prefix: str = ""
    is_optional: bool = False


@dataclass(frozen=True, slots=True)
class ContainerPort:
    """ports[] of a container: informative to Kubernetes, but Services and probes name them."""

    port: int
    name: str = ""
    protocol: str = "TCP"
    host_port: int = 0


@dataclass(frozen=True, slots=True)
class Probe:
    """A probe. ``handler``: ``httpGet``, ``tcpSocket``, ``grpc`` or ``exec``; ``port`` a number or a port's name.

    ``scheme``, ``path`` and ``host`` are those of ``httpGet``; ``command`` that of ``exec``.
    """

    handler: str
    port: str = ""
    scheme: str = ""
    path: str = ""
    host: str = ""
    command: tuple[str, ...] = ()
    initial_delay_seconds: int = 0
    period_seconds: int = 10
    timeout_seconds: int = 1
    failure_threshold: int = 3
    success_threshold: int = 1


@dataclass(frozen=True, slots=True)
class VolumeMount:
    """volumeMounts[]: where in the container a volume of the pod appears."""

    volume: str
    path: str
    sub_path: str = ""
    is_read_only: bool = False


@dataclass(frozen=True, slots=True)
class Security:
    """The parts of a pod's or container's securityContext that admission and file permissions depend on.

    None: not said. ``fs_group`` exists for pods alone; ``is_privileged``, ``may_escalate``,
    ``is_root_read_only`` and the capabilities for containers alone.
    """

    user: int | None = None
    group: int | None = None
    fs_group: int | None = None
    must_be_non_root: bool | None = None
    is_privileged: bool | None = None
    may_escalate: bool | None = None
    is_root_read_only: bool | None = None
    capabilities_added: tuple[str, ...] = ()
    capabilities_dropped: tuple[str, ...] = ()
    seccomp: str = ""


@dataclass(frozen=True, slots=True)
class Container:
    """spec.containers[] and spec.initContainers[]. Resource quantities are kept as written (``500m``, ``128Mi``).

    ``restart_policy`` is ``Always`` for an init container that is a sidecar, empty else.
    """

    name: str
    image: str
    env: tuple[EnvVar, ...] = ()
    requests: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, str] = field(default_factory=dict)
    readiness_probe: Probe | None = None
    liveness_probe: Probe | None = None
    startup_probe: Probe | None = None
    ports: tuple[ContainerPort, ...] = ()
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env_from: tuple[EnvFrom, ...] = ()
    mounts: tuple[VolumeMount, ...] = ()
    security: Security | None = None
    pull_policy: str = ""
    restart_policy: str = ""


@dataclass(frozen=True, slots=True)
class Volume:
    """spec.volumes[]; a projected one has an entry for each object that it shows.

    ``type`` is the API's field (``persistentVolumeClaim``, ``configMap``, ``secret``, ``hostPath``, ``emptyDir``, ``csi``, ...);
    ``source`` the name of the claim, ConfigMap or Secret, the path of a ``hostPath``, the driver of ``csi``, else empty.
    """

    name: str
    type: str
    source: str = ""
    is_optional: bool = False


@dataclass(frozen=True, slots=True)
class NodeTerm:
    """One term of the required node affinity: all its requirements hold, for labels and for fields (``metadata.name``)."""

    labels: tuple[Requirement, ...] = ()
    fields: tuple[Requirement, ...] = ()


@dataclass(frozen=True, slots=True)
class PodTerm:
    """One required term of pod affinity or anti-affinity.

    ``namespaces`` is empty for the pod's own; ``namespace_selector`` None if there is none.
    """

    topology_key: str
    selector: LabelSelector | None = None
    namespaces: tuple[str, ...] = ()
    namespace_selector: LabelSelector | None = None


@dataclass(frozen=True, slots=True)
class Toleration:
    """tolerations[]. An empty ``key`` with ``Exists`` tolerates everything, an empty ``effect`` every effect."""

    key: str = ""
    operator: str = "Equal"
    value: str = ""
    effect: str = ""
    seconds: int | None = None


@dataclass(frozen=True, slots=True)
class TopologySpread:
    """topologySpreadConstraints[]."""

    topology_key: str
    max_skew: int
    when_unsatisfiable: str
    selector: LabelSelector | None = None
    domains_min: int = 1


@dataclass(frozen=True, slots=True)
class PodSpec:
    """spec of a pod or of a template, without its containers. Preferences are left out: they keep no pod from running.

    ``node_terms``: any of them is enough; empty if nothing is required.
    """

    service_account: str = ""
    init_containers: tuple[Container, ...] = ()
    volumes: tuple[Volume, ...] = ()
    image_pull_secrets: tuple[str, ...] = ()
    node_selector: Mapping[str, str] = field(default_factory=dict)
    node_terms: tuple[NodeTerm, ...] = ()
    pod_affinity: tuple[PodTerm, ...] = ()
    pod_anti_affinity: tuple[PodTerm, ...] = ()
    tolerations: tuple[Toleration, ...] = ()
    topology_spread: tuple[TopologySpread, ...] = ()
    security: Security | None = None
    uses_host_network: bool = False
    uses_host_pid: bool = False
    uses_host_ipc: bool = False
    restart_policy: str = "Always"
    priority_class: str = ""
    scheduler: str = ""
    runtime_class: str = ""
    dns_policy: str = ""


UNSAID = PodSpec()


@dataclass(frozen=True, slots=True)
class PodTemplate:
    """spec.template of a workload, without its containers."""

    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    spec: PodSpec = UNSAID


NO_TEMPLATE = PodTemplate()


class Phase(StrEnum):
    """Which of the three states a container is in."""

    WAITING = "waiting"
    RUNNING = "running"
    TERMINATED = "terminated"


@dataclass(frozen=True, slots=True)
class ContainerState:
    """state or lastState of a container."""

    phase: Phase
    reason: str = ""
    message: str = ""
    exit_code: int | None = None
    started_at: dt.datetime | None = None
    finished_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class ContainerStatus:
    """status.containerStatuses[] and status.initContainerStatuses[]."""

    name: str
    is_ready: bool
    restart_count: int
    state: ContainerState
    last_state: ContainerState | None = None


@dataclass(frozen=True, slots=True)
class Pod:
    """v1 Pod."""

    meta: ObjectMeta
    node_name: str = ""
    containers: tuple[Container, ...] = ()
    phase: str = ""
    reason: str = ""
    conditions: tuple[Condition, ...] = ()
    container_statuses: tuple[ContainerStatus, ...] = ()
    init_statuses: tuple[ContainerStatus, ...] = ()
    spec: PodSpec = UNSAID
    message: str = ""
    pod_ip: str = ""
    qos_class: str = ""
    started_at: dt.datetime | None = None
