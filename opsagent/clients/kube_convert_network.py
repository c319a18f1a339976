"""Services, endpoints, Ingresses and policies: from ``kube_struct_network`` to the model's values. See ``kube_convert``."""

from collections.abc import Iterator, Sequence

from opsagent.clients import kube_struct_network as struct
from opsagent.clients.kube_convert import bare_meta, meta, selector, text, texts
from opsagent.model import kube

SERVICE_NAME_LABEL = "kubernetes.io/service-name"
CLASS_ANNOTATION = "kubernetes.io/ingress.class"


def service(item: struct.Service) -> kube.Service:
    """Convert a v1 Service."""
    spec = item.spec or struct.ServiceSpec()
    return kube.Service(
        meta(item.metadata),
        type=spec.type or "ClusterIP",
        selector=texts(spec.selector),
        ports=tuple(_service_port(port) for port in spec.ports or ()),
        cluster_ip=spec.cluster_ip or "",
        external_name=spec.external_name or "",
        publishes_not_ready=bool(spec.publish_not_ready_addresses),
        external_traffic=spec.external_traffic_policy or "",
        internal_traffic=spec.internal_traffic_policy or "",
        addresses=_addresses(item.status),
    )


def _service_port(port: struct.ServicePort) -> kube.ServicePort:
    return kube.ServicePort(
        port.port,
        text(port.target_port) or str(port.port),
        port.name or "",
        port.protocol or "TCP",
        port.node_port or 0,
        port.app_protocol or "",
    )


def _addresses(status: struct.BalancedStatus | None) -> tuple[str, ...]:
    found = (status and status.load_balancer and status.load_balancer.ingress) or ()
    return tuple(entry.ip or entry.hostname or "" for entry in found)


def endpoint_slice(item: struct.EndpointSlice) -> kube.EndpointSlice:
    """Convert a discovery.k8s.io/v1 EndpointSlice."""
    about = bare_meta(item.metadata)
    return kube.EndpointSlice(
        about,
        service_name=about.labels.get(SERVICE_NAME_LABEL, ""),
        address_type=item.address_type or "",
        ports=tuple(
            kube.EndpointPort(port.port or 0, port.name or "", port.protocol or "TCP")
            for port in item.ports or ()
        ),
        endpoints=tuple([_endpoint(entry) for entry in item.endpoints or ()]),
    )


def _endpoint(entry: struct.Endpoint) -> kube.Endpoint:
    """Convert an endpoint. The API: an unknown ``ready`` counts as true, an unknown ``serving`` as ``ready``."""
    conditions = entry.conditions or struct.EndpointConditions()
    target = entry.target_ref or struct.EndpointTarget()
    is_ready = conditions.ready is not False
    return kube.Endpoint(
        tuple(entry.addresses or ()),
        is_ready,
        is_ready if conditions.serving is None else conditions.serving,
        bool(conditions.terminating),
        target.kind or "",
        target.name or "",
        entry.node_name or "",
    )


def ingress(item: struct.Ingress) -> kube.Ingress:
    """Convert a networking.k8s.io/v1 Ingress."""
    about = meta(item.metadata)
    spec = item.spec or struct.IngressSpec()
    return kube.Ingress(
        about,
        class_name=spec.ingress_class_name or about.annotations.get(CLASS_ANNOTATION, ""),
        default_backend=_backend(spec.default_backend) if spec.default_backend else None,
        paths=tuple(_paths(spec.rules)),
        tls=tuple(
            kube.IngressTls(tuple(entry.hosts or ()), entry.secret_name or "")
            for entry in spec.tls or ()
        ),
        addresses=_addresses(item.status),
    )


def _paths(rules: Sequence[struct.IngressRule] | None) -> Iterator[kube.IngressPath]:
    for rule in rules or ():
        for entry in (rule.http and rule.http.paths) or ():
            yield kube.IngressPath(
                rule.host or "", entry.path or "", entry.path_type or "", _backend(entry.backend)
            )


def _backend(backend: struct.Backend | None) -> kube.IngressBackend:
    match backend:
        case struct.Backend(service=struct.BackendService() as to):
            port = to.port or struct.BackendPort()
            return kube.IngressBackend(to.name, port.name or text(port.number))
        case struct.Backend(resource=struct.BackendResource() as other):
            return kube.IngressBackend(resource=f"{other.kind}/{other.name}")
        case _:
            return kube.IngressBackend()


def network_policy(item: struct.NetworkPolicy) -> kube.NetworkPolicy:
    """Convert a networking.k8s.io/v1 NetworkPolicy. Without types: Ingress, and Egress if it has rules for it."""
    spec = item.spec or struct.PolicySpec()
    types = spec.policy_types or ["Ingress", *(["Egress"] if spec.egress else [])]
    return kube.NetworkPolicy(
        meta(item.metadata),
        selector=selector(spec.pod_selector) or kube.EVERYTHING,
        types=tuple(types),
        ingress=tuple(_rule(rule, rule.sources) for rule in spec.ingress or ()),
        egress=tuple(_rule(rule, rule.targets) for rule in spec.egress or ()),
    )


def _rule(rule: struct.PolicyRule, peers: Sequence[struct.Peer] | None) -> kube.PolicyRule:
    return kube.PolicyRule(
        tuple(_peer(peer) for peer in peers or ()),
        tuple(
            kube.PolicyPort(port.protocol or "TCP", text(port.port), port.end_port or 0)
            for port in rule.ports or ()
        ),
    )


def _peer(peer: struct.Peer) -> kube.PolicyPeer:
    block = peer.ip_block or struct.IpBlock()
    return kube.PolicyPeer(
        selector(peer.pod_selector),
        selector(peer.namespace_selector),
        block.cidr,
        tuple(block.excepted or ()),
    )
