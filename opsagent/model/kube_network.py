"""How traffic finds pods: Services, their endpoints, Ingresses, policies.

A port is a text where the API takes a number or a name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from opsagent.model.kube_meta import EVERYTHING, LabelSelector, ObjectMeta


@dataclass(frozen=True, slots=True)
class ServicePort:
    """spec.ports[] of a Service. ``target`` is a number or the name of a container's port."""

    port: int
    target: str
    name: str = ""
    protocol: str = "TCP"
    node_port: int = 0
    app_protocol: str = ""


@dataclass(frozen=True, slots=True)
class Service:
    """v1 Service. ``cluster_ip`` is ``None`` (the text) for a headless one; an empty selector selects nothing.

    ``addresses``: of its load balancer, once it has one.
    """

    meta: ObjectMeta
    type: str = "ClusterIP"
    selector: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[ServicePort, ...] = ()
    cluster_ip: str = ""
    external_name: str = ""
    publishes_not_ready: bool = False
    external_traffic: str = ""
    internal_traffic: str = ""
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EndpointPort:
    """ports[] of an EndpointSlice. ``port`` 0: all."""

    port: int
    name: str = ""
    protocol: str = "TCP"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """endpoints[]: a backend. ``target_kind``, ``target_name``: the pod behind it, empty if it is none."""

    addresses: tuple[str, ...]
    is_ready: bool = True
    is_serving: bool = True
    is_terminating: bool = False
    target_kind: str = ""
    target_name: str = ""
    node_name: str = ""


@dataclass(frozen=True, slots=True)
class EndpointSlice:
    """discovery.k8s.io/v1 EndpointSlice; ``service_name`` is its kubernetes.io/service-name label."""

    meta: ObjectMeta
    service_name: str = ""
    address_type: str = ""
    ports: tuple[EndpointPort, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()


@dataclass(frozen=True, slots=True)
class IngressBackend:
    """Where an Ingress sends requests: a Service and one of its ports (number or name), or another object."""

    service: str = ""
    port: str = ""
    resource: str = ""


@dataclass(frozen=True, slots=True)
class IngressPath:
    """One path of one host's rule; an empty ``host`` is every host."""

    host: str
    path: str
    path_type: str
    backend: IngressBackend


@dataclass(frozen=True, slots=True)
class IngressTls:
    """tls[]: which Secret holds the certificate of ``hosts``."""

    hosts: tuple[str, ...]
    secret: str = ""


@dataclass(frozen=True, slots=True)
class Ingress:
    """networking.k8s.io/v1 Ingress. ``class_name`` is also read from the old annotation."""

    meta: ObjectMeta
    class_name: str = ""
    default_backend: IngressBackend | None = None
    paths: tuple[IngressPath, ...] = ()
    tls: tuple[IngressTls, ...] = ()
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PolicyPeer:
    """from[] or to[] of a rule. What is None is not said; a peer with nothing said is nobody."""

    pods: LabelSelector | None = None
    namespaces: LabelSelector | None = None
    cidr: str = ""
    cidr_except: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PolicyPort:
    """ports[] of a rule. An empty ``port`` is every port; ``end_port`` 0: no range."""

    protocol: str = "TCP"
    port: str = ""
    end_port: int = 0


@dataclass(frozen=True, slots=True)
class PolicyRule:
    """One ingress or egress rule: no peers means everybody, no ports means all of them."""

    peers: tuple[PolicyPeer, ...] = ()
    ports: tuple[PolicyPort, ...] = ()


@dataclass(frozen=True, slots=True)
class NetworkPolicy:
    """networking.k8s.io/v1 NetworkPolicy. What a type in ``types`` has no rule for is denied."""

    meta: ObjectMeta
    selector: LabelSelector = EVERYTHING
    types: tuple[str, ...] = ("Ingress",)
    ingress: tuple[PolicyRule, ...] = ()
    egress: tuple[PolicyRule, ...] = ()
