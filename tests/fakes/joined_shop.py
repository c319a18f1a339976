"""A small shop in which everything that can hang together does, and builders of its objects, for tests of the topology."""

from collections.abc import Mapping, Sequence
from typing import Any

from opsagent.model import kube
from opsagent.model.entity import Kind
from opsagent.model.topology import Vertex
from opsagent.signals.topology import Topology
from tests.fakes.objects import meta

WEB = Vertex(Kind.DEPLOYMENT, "shop", "web")
CART = Vertex(Kind.DEPLOYMENT, "shop", "cart")


def vertex(kind: str, name: str, namespace: str = "shop") -> Vertex:
    """Return a vertex of the shop."""
    return Vertex(kind, namespace, name)


def env(**values: str) -> tuple[kube.EnvVar, ...]:
    """Return literal environment values."""
    return tuple(kube.EnvVar(name, value) for name, value in values.items())


def box(*variables: kube.EnvVar, **fields: Any) -> kube.Container:
    """Return a container with an environment."""
    return kube.Container("main", "shop/main:v1", env=variables, **fields)


def owner(kind: str, name: str) -> kube.OwnerRef:
    """Return a reference to a controller."""
    return kube.OwnerRef(kind, name, f"uid-{name}")


def a_pod(name: str, labels: Mapping[str, str] | None = None, **fields: Any) -> kube.Pod:
    """Return a running pod; ``owner`` and ``namespace`` go into its metadata."""
    about = {key: fields.pop(key) for key in ("owner", "namespace", "uid") if key in fields}
    return kube.Pod(meta(name, labels=labels or {}, **about), **({"phase": "Running"} | fields))


def a_service(name: str, selector: Mapping[str, str] | None = None, **fields: Any) -> kube.Service:
    """Return a Service."""
    return kube.Service(meta(name), selector=selector or {}, **fields)


def topology_of(*items: kube.KubeObject, listed: Sequence[Kind] = tuple(Kind)) -> Topology:
    """Return the topology of ``items``, by default of a cluster that was listed whole."""
    made = Topology()
    for item in items:
        made.update(item)
    for kind in listed:
        made.listed(kind)
    return made


def told(topology: Topology, about: Vertex) -> list[str]:
    """Return the edges at a vertex as short lines: ``Service/web selects Pod/web-1``."""
    return [
        f"{_short(each.source)} {each.type.value} {_short(each.target)}"
        for each in topology.edges(about)
    ]


def _short(of: Vertex) -> str:
    return f"{of.kind}/{of.name}"


SPEC = kube.PodSpec(
    service_account="web",
    image_pull_secrets=("registry",),
    volumes=(
        kube.Volume("data", "persistentVolumeClaim", "data"),
        kube.Volume("settings", "configMap", "settings"),
        kube.Volume("extra", "configMap", "extra", is_optional=True),
        kube.Volume("tls", "secret", "tls"),
        kube.Volume("scratch", "emptyDir"),
    ),
)
BOX = box(
    kube.EnvVar("PASSWORD", source="secretKeyRef:db/password"),
    kube.EnvVar("LEVEL", source="configMapKeyRef:levels/web"),
    kube.EnvVar("IP", source="fieldRef:status.podIP"),
    *env(CART_URL="http://cart.shop.svc:8080", DB_HOST="db"),
    env_from=(kube.EnvFrom("configMapRef", "common"), kube.EnvFrom("secretRef", "keys")),
)
SHOP: tuple[kube.KubeObject, ...] = (
    kube.Deployment(
        meta("web"),
        selector={"app": "web"},
        containers=(BOX,),
        template=kube.PodTemplate({"app": "web"}, spec=SPEC),
    ),
    kube.ReplicaSet(meta("web-1", owner=owner("Deployment", "web"))),
    a_pod(
        "web-1-a",
        {"app": "web", "tier": "front"},
        owner=owner("ReplicaSet", "web-1"),
        node_name="node-1",
        containers=(BOX,),
        spec=SPEC,
    ),
    kube.Deployment(meta("cart"), selector={"app": "cart"}),
    kube.ReplicaSet(meta("cart-1", owner=owner("Deployment", "cart"))),
    a_pod("cart-1-a", {"app": "cart"}, owner=owner("ReplicaSet", "cart-1"), node_name="node-1"),
    a_service("web", {"app": "web"}),
    a_service("cart", {"app": "cart"}),
    kube.EndpointSlice(
        meta("cart-x", owner=owner("Service", "cart")),
        service_name="cart",
        endpoints=(kube.Endpoint(("10.0.0.1",), target_kind="Pod", target_name="cart-1-a"),),
    ),
    kube.Ingress(
        meta("front"),
        paths=(kube.IngressPath("", "/", "Prefix", kube.IngressBackend("web", "80")),),
        tls=(kube.IngressTls(("shop.example",), "front-tls"),),
    ),
    kube.Node(meta("node-1", namespace="")),
    kube.PersistentVolumeClaim(meta("data"), storage_class="fast", volume_name="pv-1"),
    kube.PersistentVolume(
        meta("pv-1", namespace=""),
        storage_class="fast",
        claim_namespace="shop",
        claim_name="data",
    ),
    kube.StorageClass(meta("fast", namespace="")),
    kube.ConfigMap(meta("settings")),
    kube.ConfigMap(meta("levels")),
    kube.ConfigMap(meta("common")),
    kube.ServiceAccount(meta("web"), image_pull_secrets=("registry",)),
    kube.HorizontalPodAutoscaler(meta("web"), target_kind="Deployment", target_name="web"),
    kube.PodDisruptionBudget(meta("web"), selector=kube.LabelSelector({"app": "web"})),
    kube.NetworkPolicy(meta("deny")),
    kube.ValidatingWebhookConfiguration(
        meta("checks", namespace=""),
        webhooks=(kube.Webhook("a", service_namespace="shop", service_name="web"),),
    ),
    kube.StatefulSet(meta("db"), service_name="db"),
)
