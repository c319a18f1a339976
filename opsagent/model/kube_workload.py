"""Workloads, what scales them and what limits their disruption.

``template_digest`` covers every field of the pod template, also undecoded ones.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

from opsagent.model.kube_meta import EVERYTHING, Condition, LabelSelector, ObjectMeta
from opsagent.model.kube_pod import NO_TEMPLATE, Container, PodTemplate


@dataclass(frozen=True, slots=True)
class ReplicaSet:
    """apps/v1 ReplicaSet. ``revision`` is the deployment.kubernetes.io/revision annotation, 0 if absent."""

    meta: ObjectMeta
    revision: int = 0
    replicas_desired: int = 1
    replicas: int = 0
    replicas_ready: int = 0
    containers: tuple[Container, ...] = ()
    template_digest: str = ""
    template: PodTemplate = NO_TEMPLATE
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class Deployment:
    """apps/v1 Deployment. ``selector`` holds matchLabels; ``strategy`` is ``RollingUpdate`` or ``Recreate``."""

    meta: ObjectMeta
    revision: int = 0
    replicas_desired: int = 1
    is_paused: bool = False
    progress_deadline_seconds: int = 600
    selector: Mapping[str, str] = field(default_factory=dict)
    containers: tuple[Container, ...] = ()
    template_digest: str = ""
    observed_generation: int = 0
    replicas: int = 0
    replicas_updated: int = 0
    replicas_ready: int = 0
    replicas_available: int = 0
    conditions: tuple[Condition, ...] = ()
    template: PodTemplate = NO_TEMPLATE
    strategy: str = "RollingUpdate"
    max_surge: str = ""
    max_unavailable: str = ""


@dataclass(frozen=True, slots=True)
class ClaimTemplate:
    """volumeClaimTemplates[]. ``storage_class`` None: the cluster's default."""

    name: str
    storage_class: str | None = None
    access_modes: tuple[str, ...] = ()
    requests: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StatefulSet:
    """apps/v1 StatefulSet. ``service_name`` is the headless Service of its pods' names."""

    meta: ObjectMeta
    replicas_desired: int = 1
    selector: LabelSelector = EVERYTHING
    service_name: str = ""
    containers: tuple[Container, ...] = ()
    template_digest: str = ""
    template: PodTemplate = NO_TEMPLATE
    claims: tuple[ClaimTemplate, ...] = ()
    strategy: str = "RollingUpdate"
    partition: int = 0
    pod_management: str = "OrderedReady"
    observed_generation: int = 0
    replicas: int = 0
    replicas_ready: int = 0
    replicas_updated: int = 0
    replicas_available: int = 0
    current_revision: str = ""
    update_revision: str = ""
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class DaemonSet:
    """apps/v1 DaemonSet. ``replicas_desired`` and the other counts are of nodes, and from its status."""

    meta: ObjectMeta
    selector: LabelSelector = EVERYTHING
    containers: tuple[Container, ...] = ()
    template_digest: str = ""
    template: PodTemplate = NO_TEMPLATE
    strategy: str = "RollingUpdate"
    observed_generation: int = 0
    replicas_desired: int = 0
    replicas: int = 0
    replicas_ready: int = 0
    replicas_updated: int = 0
    replicas_available: int = 0
    replicas_misscheduled: int = 0
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class Job:
    """batch/v1 Job. ``completions`` None: done when any pod succeeded."""

    meta: ObjectMeta
    parallelism: int = 1
    completions: int | None = None
    backoff_limit: int = 6
    active_deadline_seconds: int | None = None
    is_suspended: bool = False
    containers: tuple[Container, ...] = ()
    template_digest: str = ""
    template: PodTemplate = NO_TEMPLATE
    active: int = 0
    succeeded: int = 0
    failed: int = 0
    started_at: dt.datetime | None = None
    completed_at: dt.datetime | None = None
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class CronJob:
    """batch/v1 CronJob. ``active``: names of its running Jobs. ``time_zone`` empty: the controller's own."""

    meta: ObjectMeta
    schedule: str = ""
    time_zone: str = ""
    is_suspended: bool = False
    concurrency: str = "Allow"
    starting_deadline_seconds: int | None = None
    containers: tuple[Container, ...] = ()
    template_digest: str = ""
    template: PodTemplate = NO_TEMPLATE
    active: tuple[str, ...] = ()
    scheduled_at: dt.datetime | None = None
    succeeded_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class ScalingMetric:
    """One metric of an autoscaler. ``type`` is the API's (``Resource``, ``Pods``, ...), ``name`` e.g. ``cpu``.

    ``target`` and ``current`` are as written: ``80%`` of the requests, or a quantity; empty if unknown.
    """

    type: str
    name: str
    target: str = ""
    current: str = ""


@dataclass(frozen=True, slots=True)
class HorizontalPodAutoscaler:
    """autoscaling/v2 HorizontalPodAutoscaler. ``target_kind``, ``target_name``: what it scales, in its own namespace."""

    meta: ObjectMeta
    target_kind: str = ""
    target_name: str = ""
    replicas_min: int = 1
    replicas_max: int = 0
    replicas: int = 0
    replicas_desired: int = 0
    metrics: tuple[ScalingMetric, ...] = ()
    scaled_at: dt.datetime | None = None
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class PodDisruptionBudget:
    """policy/v1 PodDisruptionBudget. ``available_min``, ``unavailable_max``: a number or a percentage, empty if not said.

    ``selector`` None selects no pod.
    """

    meta: ObjectMeta
    selector: LabelSelector | None = None
    available_min: str = ""
    unavailable_max: str = ""
    disruptions_allowed: int = 0
    healthy: int = 0
    healthy_desired: int = 0
    pods: int = 0
    conditions: tuple[Condition, ...] = ()
