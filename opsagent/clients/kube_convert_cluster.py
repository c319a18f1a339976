"""Nodes, namespaces, quotas, configuration, admission, Leases, Events: from ``kube_struct_cluster`` to the model's values.

See ``kube_convert``. Of a ConfigMap's values nothing is kept but their digests.
"""

import hashlib

from opsagent.clients import kube_struct_cluster as struct
from opsagent.clients.kube_convert import (
    bare_meta,
    conditions,
    meta,
    names,
    selector,
    texts,
    utc,
    whole,
)
from opsagent.model import kube

WEBHOOK_PORT = 443
WEBHOOK_SECONDS = 10


def namespace(item: struct.Namespace) -> kube.Namespace:
    """Convert a v1 Namespace."""
    return kube.Namespace(meta(item.metadata), (item.status and item.status.phase) or "Active")


def node(item: struct.Node) -> kube.Node:
    """Convert a v1 Node."""
    spec = item.spec or struct.NodeSpec()
    status = item.status or struct.NodeStatus()
    software = status.node_info or struct.NodeInfo()
    return kube.Node(
        meta(item.metadata),
        bool(spec.unschedulable),
        conditions(status.conditions),
        tuple(
            kube.Taint(taint.key, taint.effect, taint.value or "", utc(taint.time_added))
            for taint in spec.taints or ()
        ),
        texts(status.capacity),
        texts(status.allocatable),
        tuple(entry.address for entry in status.addresses or ()),
        software.kubelet_version or "",
        software.container_runtime_version or "",
    )


def config_map(item: struct.ConfigMap) -> kube.ConfigMap:
    """Convert a v1 ConfigMap: names of keys and digests of values, as the server wrote them."""
    values = [*(item.data or {}).items(), *(item.binary_data or {}).items()]
    digests = {key: hashlib.sha256(value).hexdigest() for key, value in values}
    return kube.ConfigMap(meta(item.metadata), digests, bool(item.immutable))


def resource_quota(item: struct.ResourceQuota) -> kube.ResourceQuota:
    """Convert a v1 ResourceQuota."""
    spec = item.spec or struct.QuotaSpec()
    used = texts(item.status.used if item.status else None)
    return kube.ResourceQuota(meta(item.metadata), texts(spec.hard), used, tuple(spec.scopes or ()))


def limit_range(item: struct.LimitRange) -> kube.LimitRange:
    """Convert a v1 LimitRange."""
    limits = (item.spec and item.spec.limits) or ()
    return kube.LimitRange(
        meta(item.metadata),
        tuple(
            kube.Limit(
                each.type,
                texts(each.max),
                texts(each.min),
                texts(each.default),
                texts(each.default_request),
            )
            for each in limits
        ),
    )


def service_account(item: struct.ServiceAccount) -> kube.ServiceAccount:
    """Convert a v1 ServiceAccount."""
    return kube.ServiceAccount(meta(item.metadata), names(item.image_pull_secrets))


def validating_webhook(item: struct.WebhookConfiguration) -> kube.ValidatingWebhookConfiguration:
    """Convert an admissionregistration.k8s.io/v1 ValidatingWebhookConfiguration."""
    webhooks = tuple(_webhook(each) for each in item.webhooks or ())
    return kube.ValidatingWebhookConfiguration(meta(item.metadata), webhooks)


def mutating_webhook(item: struct.WebhookConfiguration) -> kube.MutatingWebhookConfiguration:
    """Convert an admissionregistration.k8s.io/v1 MutatingWebhookConfiguration."""
    webhooks = tuple(_webhook(each) for each in item.webhooks or ())
    return kube.MutatingWebhookConfiguration(meta(item.metadata), webhooks)


def _webhook(item: struct.Webhook) -> kube.Webhook:
    client = item.client_config or struct.WebhookClient()
    service = client.service or struct.WebhookService()
    return kube.Webhook(
        item.name,
        failure_policy=item.failure_policy or "Fail",
        service_namespace=service.namespace,
        service_name=service.name,
        service_port=whole(service.port, WEBHOOK_PORT),
        url=client.url or "",
        timeout_seconds=whole(item.timeout_seconds, WEBHOOK_SECONDS),
        rules=tuple(
            kube.WebhookRule(
                tuple(rule.operations or ()),
                tuple(rule.api_groups or ()),
                tuple(rule.resources or ()),
                rule.scope or "*",
            )
            for rule in item.rules or ()
        ),
        namespace_selector=selector(item.namespace_selector) or kube.EVERYTHING,
        object_selector=selector(item.object_selector) or kube.EVERYTHING,
    )


def lease(item: struct.Lease) -> kube.Lease:
    """Convert a coordination.k8s.io/v1 Lease."""
    spec = item.spec or struct.LeaseSpec()
    return kube.Lease(
        bare_meta(item.metadata),
        holder=spec.holder_identity or "",
        duration_seconds=spec.lease_duration_seconds or 0,
        acquired_at=utc(spec.acquire_time),
        renewed_at=utc(spec.renew_time),
        transitions=spec.lease_transitions or 0,
    )


def event(item: struct.Event) -> kube.KubeEvent:
    """Convert a v1 Event of either style: counted (first, last) or a series (event time, last observed)."""
    about = item.involved_object or struct.ObjectReference()
    series = item.series or struct.EventSeries()
    return kube.KubeEvent(
        bare_meta(item.metadata),
        regarding_kind=about.kind or "",
        regarding_namespace=about.namespace or "",
        regarding_name=about.name or "",
        regarding_uid=about.uid or "",
        type=item.type or "Normal",
        reason=item.reason or "",
        message=item.message or "",
        count=series.count or item.count or 1,
        first_at=utc(item.first_timestamp or item.event_time),
        last_at=utc(series.last_observed_time or item.last_timestamp or item.event_time),
        source=(item.source and item.source.component) or item.reporting_component or "",
    )
