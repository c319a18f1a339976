"""JSON shapes of pods and pod templates; see ``kube_struct``. Source: Kubernetes API reference, core/v1 Pod."""

# ruff: noqa: D101 - the classes are the API's own; its reference describes them
import msgspec

from opsagent.clients.kube_struct import (
    ABSENT,
    Condition,
    Instant,
    Int,
    IntOrText,
    LabelSelector,
    Named,
    Object,
    Requirement,
    Struct,
    Texts,
)


class KeyRef(Struct):
    name: str | None = None
    key: str = ""
    optional: bool | None = None


class FieldRef(Struct):
    field_path: str = ""


class ResourceRef(Struct):
    resource: str = ""


class EnvSource(Struct):
    secret_key_ref: KeyRef | None = None
    config_map_key_ref: KeyRef | None = None
    field_ref: FieldRef | None = None
    resource_field_ref: ResourceRef | None = None


class EnvVar(Struct):
    name: str = ""
    value: str | None = None
    value_from: EnvSource | None = None


class EnvFrom(Struct):
    prefix: str | None = None
    config_map_ref: KeyRef | None = None
    secret_ref: KeyRef | None = None


class Resources(Struct):
    requests: Texts | None = None
    limits: Texts | None = None


class Port(Struct):
    container_port: Int = 0
    name: str | None = None
    protocol: str | None = None
    host_port: Int | None = None


class Handler(Struct):
    """Any of the four handlers of a probe."""

    port: IntOrText | None = None
    scheme: str | None = None
    path: str | None = None
    host: str | None = None
    command: list[str] | None = None


class Probe(Struct):
    http_get: Handler | None = None
    tcp_socket: Handler | None = None
    grpc: Handler | None = None
    exec: Handler | None = None
    initial_delay_seconds: Int | None = None
    period_seconds: Int | None = None
    timeout_seconds: Int | None = None
    failure_threshold: Int | None = None
    success_threshold: Int | None = None


class Mount(Struct):
    name: str = ""
    mount_path: str = ""
    sub_path: str | None = None
    sub_path_expr: str | None = None
    read_only: bool | None = None


class Capabilities(Struct):
    add: list[str] | None = None
    drop: list[str] | None = None


class Seccomp(Struct):
    type: str = ""


class Security(Struct):
    """The securityContext of a pod or of a container."""

    run_as_user: Int | None = None
    run_as_group: Int | None = None
    fs_group: Int | None = None
    run_as_non_root: bool | None = None
    privileged: bool | None = None
    allow_privilege_escalation: bool | None = None
    read_only_root_filesystem: bool | None = None
    capabilities: Capabilities | None = None
    seccomp_profile: Seccomp | None = None


class Container(Struct):
    name: str = ""
    image: str | None = None
    env: list[EnvVar] | None = None
    resources: Resources | None = None
    readiness_probe: Probe | None = None
    liveness_probe: Probe | None = None
    startup_probe: Probe | None = None
    ports: list[Port] | None = None
    command: list[str] | None = None
    args: list[str] | None = None
    env_from: list[EnvFrom] | None = None
    volume_mounts: list[Mount] | None = None
    security_context: Security | None = None
    image_pull_policy: str | None = None
    restart_policy: str | None = None


class ClaimSource(Struct):
    claim_name: str = ""


class ConfigMapSource(Struct):
    name: str | None = None
    optional: bool | None = None


class SecretSource(Struct):
    secret_name: str | None = None
    optional: bool | None = None


class PathSource(Struct):
    path: str = ""


class DriverSource(Struct):
    driver: str = ""


class Projection(Struct):
    config_map: ConfigMapSource | None = None
    secret: ConfigMapSource | None = None


class Projected(Struct):
    sources: list[Projection] | None = None


class Anything(Struct):
    """A part of which only matters that it is there."""


class Volume(Struct):
    name: str = ""
    persistent_volume_claim: ClaimSource | None = None
    config_map: ConfigMapSource | None = None
    secret: SecretSource | None = None
    host_path: PathSource | None = None
    csi: DriverSource | None = None
    projected: Projected | None = None
    empty_dir: Anything | None = None
    ephemeral: Anything | None = None
    nfs: Anything | None = None
    downward_api: Anything | None = msgspec.field(default=None, name="downwardAPI")


class NodeTerm(Struct):
    match_expressions: list[Requirement] | None = None
    match_fields: list[Requirement] | None = None


class NodeSelector(Struct):
    node_selector_terms: list[NodeTerm] | None = None


class NodeAffinity(Struct):
    required: NodeSelector | None = msgspec.field(
        default=None, name="requiredDuringSchedulingIgnoredDuringExecution"
    )


class PodTerm(Struct):
    topology_key: str = ""
    label_selector: LabelSelector | None = None
    namespaces: list[str] | None = None
    namespace_selector: LabelSelector | None = None


class PodAffinity(Struct):
    required: list[PodTerm] | None = msgspec.field(
        default=None, name="requiredDuringSchedulingIgnoredDuringExecution"
    )


class Affinity(Struct):
    node_affinity: NodeAffinity | None = None
    pod_affinity: PodAffinity | None = None
    pod_anti_affinity: PodAffinity | None = None


class Toleration(Struct):
    key: str | None = None
    operator: str | None = None
    value: str | None = None
    effect: str | None = None
    toleration_seconds: Int | None = None


class TopologySpread(Struct):
    topology_key: str = ""
    max_skew: Int = 1
    when_unsatisfiable: str = ""
    label_selector: LabelSelector | None = None
    min_domains: Int | None = None


class PodSpec(Struct):
    node_name: str | None = None
    containers: list[Container] | None = None
    init_containers: list[Container] | None = None
    service_account_name: str | None = None
    volumes: list[Volume] | None = None
    image_pull_secrets: list[Named] | None = None
    node_selector: Texts | None = None
    affinity: Affinity | None = None
    tolerations: list[Toleration] | None = None
    topology_spread_constraints: list[TopologySpread] | None = None
    security_context: Security | None = None
    host_network: bool | None = None
    host_pid: bool | None = msgspec.field(default=None, name="hostPID")
    host_ipc: bool | None = msgspec.field(default=None, name="hostIPC")
    restart_policy: str | None = None
    priority_class_name: str | None = None
    scheduler_name: str | None = None
    runtime_class_name: str | None = None
    dns_policy: str | None = None


class TemplateMeta(Struct):
    labels: Texts | None = None
    annotations: Texts | None = None


class Template(Struct):
    metadata: TemplateMeta | None = None
    spec: PodSpec | None = None


class StateDetail(Struct):
    reason: str | None = None
    message: str | None = None
    exit_code: Int | None = None
    started_at: Instant | None = None
    finished_at: Instant | None = None


class ContainerState(Struct):
    waiting: StateDetail | None = None
    running: StateDetail | None = None
    terminated: StateDetail | None = None


class ContainerStatus(Struct):
    name: str = ""
    ready: bool | None = None
    restart_count: Int | None = None
    state: ContainerState | None = None
    last_state: ContainerState | None = None


class PodStatus(Struct):
    phase: str | None = None
    reason: str | None = None
    message: str | None = None
    conditions: list[Condition] | None = None
    container_statuses: list[ContainerStatus] | None = None
    init_container_statuses: list[ContainerStatus] | None = None
    pod_ip: str | None = msgspec.field(default=None, name="podIP")
    qos_class: str | None = None
    start_time: Instant | None = None


class Pod(Object):
    """The spec stays undecoded: see ``kube_shared_spec``."""

    spec: msgspec.Raw = ABSENT
    status: PodStatus | None = None
