"""JSON shapes of workloads and what scales them; see ``kube_struct``.

Templates are kept undecoded, because their digest is taken of the server's own bytes.
Source: Kubernetes API reference, apps/v1, batch/v1, autoscaling/v2, policy/v1.
"""

# ruff: noqa: D101 - the classes are the API's own; its reference describes them
import msgspec

from opsagent.clients.kube_struct import (
    ABSENT,
    Condition,
    Instant,
    Int,
    IntOrText,
    LabelSelector,
    Object,
    Struct,
    Texts,
)


class ReplicaSetSpec(Struct):
    replicas: Int | None = None
    template: msgspec.Raw = ABSENT


class ReplicaSetStatus(Struct):
    replicas: Int | None = None
    ready_replicas: Int | None = None
    conditions: list[Condition] | None = None


class ReplicaSet(Object):
    spec: ReplicaSetSpec | None = None
    status: ReplicaSetStatus | None = None


class RollingUpdate(Struct):
    max_surge: IntOrText | None = None
    max_unavailable: IntOrText | None = None
    partition: Int | None = None


class Strategy(Struct):
    type: str | None = None
    rolling_update: RollingUpdate | None = None


class DeploymentSpec(Struct):
    replicas: Int | None = None
    paused: bool | None = None
    progress_deadline_seconds: Int | None = None
    selector: LabelSelector | None = None
    template: msgspec.Raw = ABSENT
    strategy: Strategy | None = None


class DeploymentStatus(Struct):
    observed_generation: Int | None = None
    replicas: Int | None = None
    updated_replicas: Int | None = None
    ready_replicas: Int | None = None
    available_replicas: Int | None = None
    conditions: list[Condition] | None = None


class Deployment(Object):
    spec: DeploymentSpec | None = None
    status: DeploymentStatus | None = None


class ClaimMeta(Struct):
    name: str = ""


class ClaimResources(Struct):
    requests: Texts | None = None


class ClaimSpec(Struct):
    storage_class_name: str | None = None
    access_modes: list[str] | None = None
    resources: ClaimResources | None = None


class ClaimTemplate(Struct):
    metadata: ClaimMeta | None = None
    spec: ClaimSpec | None = None


class StatefulSetSpec(Struct):
    replicas: Int | None = None
    selector: LabelSelector | None = None
    service_name: str | None = None
    template: msgspec.Raw = ABSENT
    volume_claim_templates: list[ClaimTemplate] | None = None
    update_strategy: Strategy | None = None
    pod_management_policy: str | None = None


class StatefulSetStatus(DeploymentStatus):
    current_revision: str | None = None
    update_revision: str | None = None


class StatefulSet(Object):
    spec: StatefulSetSpec | None = None
    status: StatefulSetStatus | None = None


class DaemonSetSpec(Struct):
    selector: LabelSelector | None = None
    template: msgspec.Raw = ABSENT
    update_strategy: Strategy | None = None


class DaemonSetStatus(Struct):
    observed_generation: Int | None = None
    desired_number_scheduled: Int | None = None
    current_number_scheduled: Int | None = None
    number_ready: Int | None = None
    updated_number_scheduled: Int | None = None
    number_available: Int | None = None
    number_misscheduled: Int | None = None
    conditions: list[Condition] | None = None


class DaemonSet(Object):
    spec: DaemonSetSpec | None = None
    status: DaemonSetStatus | None = None


class JobSpec(Struct):
    parallelism: Int | None = None
    completions: Int | None = None
    backoff_limit: Int | None = None
    active_deadline_seconds: Int | None = None
    suspend: bool | None = None
    template: msgspec.Raw = ABSENT


class JobStatus(Struct):
    active: Int | None = None
    succeeded: Int | None = None
    failed: Int | None = None
    start_time: Instant | None = None
    completion_time: Instant | None = None
    conditions: list[Condition] | None = None


class Job(Object):
    spec: JobSpec | None = None
    status: JobStatus | None = None


class JobTemplate(Struct):
    spec: JobSpec | None = None


class CronJobSpec(Struct):
    schedule: str = ""
    time_zone: str | None = None
    suspend: bool | None = None
    concurrency_policy: str | None = None
    starting_deadline_seconds: Int | None = None
    job_template: JobTemplate | None = None


class JobReference(Struct):
    name: str | None = None


class CronJobStatus(Struct):
    active: list[JobReference] | None = None
    last_schedule_time: Instant | None = None
    last_successful_time: Instant | None = None


class CronJob(Object):
    spec: CronJobSpec | None = None
    status: CronJobStatus | None = None


class MetricValue(Struct):
    average_utilization: Int | None = None
    average_value: str | None = None
    value: str | None = None


class MetricName(Struct):
    name: str = ""


class MetricSource(Struct):
    """Any of the five sources, wished for (``target``) or found (``current``)."""

    name: str | None = None
    container: str | None = None
    metric: MetricName | None = None
    target: MetricValue | None = None
    current: MetricValue | None = None


class Metric(Struct):
    type: str = ""
    resource: MetricSource | None = None
    container_resource: MetricSource | None = None
    pods: MetricSource | None = None
    object: MetricSource | None = None
    external: MetricSource | None = None


class ScaleTarget(Struct):
    kind: str = ""
    name: str = ""


class AutoscalerSpec(Struct):
    scale_target_ref: ScaleTarget | None = None
    min_replicas: Int | None = None
    max_replicas: Int = 0
    metrics: list[Metric] | None = None


class AutoscalerStatus(Struct):
    current_replicas: Int | None = None
    desired_replicas: Int | None = None
    current_metrics: list[Metric] | None = None
    last_scale_time: Instant | None = None
    conditions: list[Condition] | None = None


class HorizontalPodAutoscaler(Object):
    spec: AutoscalerSpec | None = None
    status: AutoscalerStatus | None = None


class BudgetSpec(Struct):
    selector: LabelSelector | None = None
    min_available: IntOrText | None = None
    max_unavailable: IntOrText | None = None


class BudgetStatus(Struct):
    disruptions_allowed: Int | None = None
    current_healthy: Int | None = None
    desired_healthy: Int | None = None
    expected_pods: Int | None = None
    conditions: list[Condition] | None = None


class PodDisruptionBudget(Object):
    spec: BudgetSpec | None = None
    status: BudgetStatus | None = None
