"""JSON shapes of Services, EndpointSlices, Ingresses and NetworkPolicies; see ``kube_struct``.

Source: Kubernetes API reference, core/v1 Service, discovery.k8s.io/v1, networking.k8s.io/v1.
"""

# ruff: noqa: D101 - the classes are the API's own; its reference describes them
import msgspec

from opsagent.clients.kube_struct import Int, IntOrText, LabelSelector, Object, Struct, Texts


class ServicePort(Struct):
    port: Int = 0
    target_port: IntOrText | None = None
    name: str | None = None
    protocol: str | None = None
    node_port: Int | None = None
    app_protocol: str | None = None


class ServiceSpec(Struct):
    type: str | None = None
    selector: Texts | None = None
    ports: list[ServicePort] | None = None
    cluster_ip: str | None = msgspec.field(default=None, name="clusterIP")
    external_name: str | None = None
    publish_not_ready_addresses: bool | None = None
    external_traffic_policy: str | None = None
    internal_traffic_policy: str | None = None


class Address(Struct):
    ip: str | None = None
    hostname: str | None = None


class LoadBalancer(Struct):
    ingress: list[Address] | None = None


class BalancedStatus(Struct):
    """The status of a Service or of an Ingress."""

    load_balancer: LoadBalancer | None = None


class Service(Object):
    spec: ServiceSpec | None = None
    status: BalancedStatus | None = None


class EndpointPort(Struct):
    port: Int | None = None
    name: str | None = None
    protocol: str | None = None


class EndpointConditions(Struct):
    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class EndpointTarget(Struct):
    kind: str | None = None
    name: str | None = None


class Endpoint(Struct):
    addresses: list[str] | None = None
    conditions: EndpointConditions | None = None
    target_ref: EndpointTarget | None = None
    node_name: str | None = None


class EndpointSlice(Object):
    address_type: str | None = None
    ports: list[EndpointPort] | None = None
    endpoints: list[Endpoint] | None = None


class BackendPort(Struct):
    name: str | None = None
    number: Int | None = None


class BackendService(Struct):
    name: str = ""
    port: BackendPort | None = None


class BackendResource(Struct):
    kind: str = ""
    name: str = ""


class Backend(Struct):
    service: BackendService | None = None
    resource: BackendResource | None = None


class HttpPath(Struct):
    path: str | None = None
    path_type: str | None = None
    backend: Backend | None = None


class HttpRule(Struct):
    paths: list[HttpPath] | None = None


class IngressRule(Struct):
    host: str | None = None
    http: HttpRule | None = None


class IngressTls(Struct):
    hosts: list[str] | None = None
    secret_name: str | None = None


class IngressSpec(Struct):
    ingress_class_name: str | None = None
    default_backend: Backend | None = None
    rules: list[IngressRule] | None = None
    tls: list[IngressTls] | None = None


class Ingress(Object):
    spec: IngressSpec | None = None
    status: BalancedStatus | None = None


class IpBlock(Struct):
    cidr: str = ""
    excepted: list[str] | None = msgspec.field(default=None, name="except")


class Peer(Struct):
    pod_selector: LabelSelector | None = None
    namespace_selector: LabelSelector | None = None
    ip_block: IpBlock | None = None


class PolicyPort(Struct):
    protocol: str | None = None
    port: IntOrText | None = None
    end_port: Int | None = None


class PolicyRule(Struct):
    """A rule for what comes in (``sources``) or for what goes out (``targets``)."""

    sources: list[Peer] | None = msgspec.field(default=None, name="from")
    targets: list[Peer] | None = msgspec.field(default=None, name="to")
    ports: list[PolicyPort] | None = None


class PolicySpec(Struct):
    pod_selector: LabelSelector | None = None
    policy_types: list[str] | None = None
    ingress: list[PolicyRule] | None = None
    egress: list[PolicyRule] | None = None


class NetworkPolicy(Object):
    spec: PolicySpec | None = None
