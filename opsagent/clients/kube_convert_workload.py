"""Workloads and what scales them: from ``kube_struct_workload`` to the model's values. See ``kube_convert``."""

import hashlib
from typing import NamedTuple

import msgspec

from opsagent.clients import kube_struct_workload as struct
from opsagent.clients.kube_convert import (
    bare_meta,
    conditions,
    meta,
    selector,
    text,
    texts,
    utc,
    whole,
)
from opsagent.clients.kube_convert_spec import containers, pod_spec
from opsagent.clients.kube_known import Known
from opsagent.clients.kube_struct_pod import PodSpec, Template, TemplateMeta
from opsagent.model import kube
from opsagent.model.quick import quick

PROGRESS_DEADLINE_SECONDS = 600
BACKOFF_LIMIT = 6
REVISION_ANNOTATION = "deployment.kubernetes.io/revision"
TEMPLATES_MAX = 2_048  # known at a time: some 15 MiB with what became of them
TEMPLATE_BYTES_MAX = 16_384
_REVISION_DIGITS_MAX = 18  # int64
_template = msgspec.json.Decoder(Template)
_Deployment, _ReplicaSet = quick(kube.Deployment), quick(kube.ReplicaSet)
_PodTemplate = quick(kube.PodTemplate)


class _Templated(NamedTuple):
    """A pod template as the model has it; the digest is empty if there is none."""

    containers: tuple[kube.Container, ...] = ()
    digest: str = ""
    template: kube.PodTemplate = kube.NO_TEMPLATE


def replica_set(item: struct.ReplicaSet) -> kube.ReplicaSet:
    """Convert an apps/v1 ReplicaSet."""
    about = bare_meta(item.metadata)
    spec = item.spec or struct.ReplicaSetSpec()
    status = item.status or struct.ReplicaSetStatus()
    found = _templated(spec.template)
    return _ReplicaSet(
        about,
        _revision(about),
        whole(spec.replicas, 1),
        status.replicas or 0,
        status.ready_replicas or 0,
        found.containers,
        found.digest,
        found.template,
        conditions(status.conditions),
    )


def deployment(item: struct.Deployment) -> kube.Deployment:
    """Convert an apps/v1 Deployment."""
    about = meta(item.metadata)
    spec = item.spec or struct.DeploymentSpec()
    status = item.status or struct.DeploymentStatus()
    strategy = spec.strategy or struct.Strategy()
    rolling = strategy.rolling_update or struct.RollingUpdate()
    found = _templated(spec.template)
    return _Deployment(
        about,
        revision=_revision(about),
        replicas_desired=whole(spec.replicas, 1),
        is_paused=bool(spec.paused),
        progress_deadline_seconds=whole(spec.progress_deadline_seconds, PROGRESS_DEADLINE_SECONDS),
        selector=texts(spec.selector.match_labels if spec.selector else None),
        containers=found.containers,
        template_digest=found.digest,
        observed_generation=status.observed_generation or 0,
        replicas=status.replicas or 0,
        replicas_updated=status.updated_replicas or 0,
        replicas_ready=status.ready_replicas or 0,
        replicas_available=status.available_replicas or 0,
        conditions=conditions(status.conditions),
        template=found.template,
        strategy=strategy.type or "RollingUpdate",
        max_surge=text(rolling.max_surge),
        max_unavailable=text(rolling.max_unavailable),
    )


def stateful_set(item: struct.StatefulSet) -> kube.StatefulSet:
    """Convert an apps/v1 StatefulSet."""
    spec = item.spec or struct.StatefulSetSpec()
    status = item.status or struct.StatefulSetStatus()
    strategy = spec.update_strategy or struct.Strategy()
    rolling = strategy.rolling_update or struct.RollingUpdate()
    found = _templated(spec.template)
    return kube.StatefulSet(
        meta(item.metadata),
        replicas_desired=whole(spec.replicas, 1),
        selector=selector(spec.selector) or kube.EVERYTHING,
        service_name=spec.service_name or "",
        containers=found.containers,
        template_digest=found.digest,
        template=found.template,
        claims=tuple(_claim(entry) for entry in spec.volume_claim_templates or ()),
        strategy=strategy.type or "RollingUpdate",
        partition=rolling.partition or 0,
        pod_management=spec.pod_management_policy or "OrderedReady",
        observed_generation=status.observed_generation or 0,
        replicas=status.replicas or 0,
        replicas_ready=status.ready_replicas or 0,
        replicas_updated=status.updated_replicas or 0,
        replicas_available=status.available_replicas or 0,
        current_revision=status.current_revision or "",
        update_revision=status.update_revision or "",
        conditions=conditions(status.conditions),
    )


def _claim(entry: struct.ClaimTemplate) -> kube.ClaimTemplate:
    spec = entry.spec or struct.ClaimSpec()
    return kube.ClaimTemplate(
        entry.metadata.name if entry.metadata else "",
        spec.storage_class_name,
        tuple(spec.access_modes or ()),
        texts(spec.resources.requests if spec.resources else None),
    )


def daemon_set(item: struct.DaemonSet) -> kube.DaemonSet:
    """Convert an apps/v1 DaemonSet."""
    spec = item.spec or struct.DaemonSetSpec()
    status = item.status or struct.DaemonSetStatus()
    found = _templated(spec.template)
    return kube.DaemonSet(
        meta(item.metadata),
        selector=selector(spec.selector) or kube.EVERYTHING,
        containers=found.containers,
        template_digest=found.digest,
        template=found.template,
        strategy=(spec.update_strategy and spec.update_strategy.type) or "RollingUpdate",
        observed_generation=status.observed_generation or 0,
        replicas_desired=status.desired_number_scheduled or 0,
        replicas=status.current_number_scheduled or 0,
        replicas_ready=status.number_ready or 0,
        replicas_updated=status.updated_number_scheduled or 0,
        replicas_available=status.number_available or 0,
        replicas_misscheduled=status.number_misscheduled or 0,
        conditions=conditions(status.conditions),
    )


def job(item: struct.Job) -> kube.Job:
    """Convert a batch/v1 Job."""
    spec = item.spec or struct.JobSpec()
    status = item.status or struct.JobStatus()
    found = _templated(spec.template)
    return kube.Job(
        meta(item.metadata),
        parallelism=whole(spec.parallelism, 1),
        completions=spec.completions,
        backoff_limit=whole(spec.backoff_limit, BACKOFF_LIMIT),
        active_deadline_seconds=spec.active_deadline_seconds,
        is_suspended=bool(spec.suspend),
        containers=found.containers,
        template_digest=found.digest,
        template=found.template,
        active=status.active or 0,
        succeeded=status.succeeded or 0,
        failed=status.failed or 0,
        started_at=utc(status.start_time),
        completed_at=utc(status.completion_time),
        conditions=conditions(status.conditions),
    )


def cron_job(item: struct.CronJob) -> kube.CronJob:
    """Convert a batch/v1 CronJob."""
    spec = item.spec or struct.CronJobSpec()
    status = item.status or struct.CronJobStatus()
    template = (spec.job_template and spec.job_template.spec) or struct.JobSpec()
    found = _templated(template.template)
    return kube.CronJob(
        meta(item.metadata),
        schedule=spec.schedule,
        time_zone=spec.time_zone or "",
        is_suspended=bool(spec.suspend),
        concurrency=spec.concurrency_policy or "Allow",
        starting_deadline_seconds=spec.starting_deadline_seconds,
        containers=found.containers,
        template_digest=found.digest,
        template=found.template,
        active=tuple(entry.name or "" for entry in status.active or ()),
        scheduled_at=utc(status.last_schedule_time),
        succeeded_at=utc(status.last_successful_time),
    )


def horizontal_pod_autoscaler(item: struct.HorizontalPodAutoscaler) -> kube.HorizontalPodAutoscaler:
    """Convert an autoscaling/v2 HorizontalPodAutoscaler."""
    spec = item.spec or struct.AutoscalerSpec()
    status = item.status or struct.AutoscalerStatus()
    target = spec.scale_target_ref or struct.ScaleTarget()
    current = {_metric_key(each): _source(each).current for each in status.current_metrics or ()}
    return kube.HorizontalPodAutoscaler(
        meta(item.metadata),
        target_kind=target.kind,
        target_name=target.name,
        replicas_min=whole(spec.min_replicas, 1),
        replicas_max=spec.max_replicas,
        replicas=status.current_replicas or 0,
        replicas_desired=status.desired_replicas or 0,
        metrics=tuple(
            kube.ScalingMetric(
                *_metric_key(each),
                _quantity(_source(each).target),
                _quantity(current.get(_metric_key(each))),
            )
            for each in spec.metrics or ()
        ),
        scaled_at=utc(status.last_scale_time),
        conditions=conditions(status.conditions),
    )


def _source(metric: struct.Metric) -> struct.MetricSource:
    found = (
        metric.resource
        or metric.container_resource
        or metric.pods
        or metric.object
        or metric.external
    )
    return found or struct.MetricSource()


def _metric_key(metric: struct.Metric) -> tuple[str, str]:
    """Return the type and the name, of a container's resource with the container: ``cpu of web``."""
    source = _source(metric)
    name = source.metric.name if source.metric else source.name or ""
    return metric.type, f"{name} of {source.container}" if source.container else name


def _quantity(value: struct.MetricValue | None) -> str:
    if value is None:
        return ""
    if value.average_utilization is not None:
        return f"{value.average_utilization}%"
    return value.average_value or value.value or ""


def pod_disruption_budget(item: struct.PodDisruptionBudget) -> kube.PodDisruptionBudget:
    """Convert a policy/v1 PodDisruptionBudget."""
    spec = item.spec or struct.BudgetSpec()
    status = item.status or struct.BudgetStatus()
    return kube.PodDisruptionBudget(
        meta(item.metadata),
        selector=selector(spec.selector),
        available_min=text(spec.min_available),
        unavailable_max=text(spec.max_unavailable),
        disruptions_allowed=status.disruptions_allowed or 0,
        healthy=status.current_healthy or 0,
        healthy_desired=status.desired_healthy or 0,
        pods=status.expected_pods or 0,
        conditions=conditions(status.conditions),
    )


def _templated(raw: msgspec.Raw) -> _Templated:
    """Return what a template says; one that came before is not decoded again, and what is shared is never changed."""
    return _templates[bytes(raw)]


def _decoded(content: bytes) -> _Templated:
    """Decode a template; its digest is the SHA-256 of it exactly as the server wrote it."""
    if content == b"null":
        return _Templated()
    found = _template.decode(content)
    about, spec = found.metadata or TemplateMeta(), found.spec or PodSpec()
    template = _PodTemplate(texts(about.labels), texts(about.annotations), pod_spec(spec))
    return _Templated(containers(spec.containers), hashlib.sha256(content).hexdigest(), template)


_templates = Known(_decoded, TEMPLATES_MAX, TEMPLATE_BYTES_MAX)


def _revision(about: kube.ObjectMeta) -> int:
    words = about.annotations.get(REVISION_ANNOTATION, "")
    is_number = words.isascii() and words.isdigit() and len(words) <= _REVISION_DIGITS_MAX
    return int(words) if is_number else 0
