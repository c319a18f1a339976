"""The standard example: a small shop that has run quietly for an hour, and the people around it."""

import datetime as dt

from opsagent.sim.access import ANY, Rule
from opsagent.sim.cluster import Cluster
from opsagent.sim.images import ImageRegistry
from opsagent.sim.ownership import Write
from opsagent.sim.resources import DEPLOYMENTS, DISRUPTION_BUDGETS, NAMESPACES, NODES, PASSIVE
from opsagent.sim.values import Obj

OPSAGENT = "system:serviceaccount:opsagent:opsagent"
EXECUTOR = "system:serviceaccount:opsagent:opsagent-executor"
ALICE = "alice"  # may approve in the shop
BOB = "bob"  # may look, not approve
ADMIN = "admin"
SHOP = "shop"
AGE = dt.timedelta(hours=1)

_READ = frozenset({"get", "list", "watch"})
_CORE_KINDS = frozenset({"namespaces", "nodes", "pods", "pods/log", "events"})
_APPS = frozenset({"deployments.apps", "replicasets.apps"})
_OTHERS = frozenset(resource.qualified for resource in (DISRUPTION_BUDGETS, *PASSIVE))
_IN_SHOP = frozenset({SHOP})

RULES = (
    Rule(frozenset({ADMIN}), frozenset({ANY}), frozenset({ANY})),
    Rule(  # everybody may ask what they may do: the API server's own role system:basic-user
        frozenset({"system:authenticated"}),
        frozenset({"create"}),
        frozenset({"selfsubjectaccessreviews.authorization.k8s.io"}),
    ),
    Rule(frozenset({OPSAGENT, ALICE, BOB}), _READ, _CORE_KINDS | _APPS | _OTHERS),
    Rule(
        frozenset({OPSAGENT}),
        frozenset({"get", "create", "update", "patch"}),
        frozenset({"leases.coordination.k8s.io"}),
        frozenset({"opsagent"}),
    ),
    Rule(frozenset({EXECUTOR}), frozenset({"get", "list"}), _APPS | {"pods", "events"}, _IN_SHOP),
    Rule(frozenset({EXECUTOR}), frozenset({"get"}), frozenset({"namespaces"})),
    Rule(frozenset({EXECUTOR}), frozenset({"patch"}), frozenset({"deployments.apps"}), _IN_SHOP),
    Rule(
        frozenset({EXECUTOR}),
        frozenset({"create"}),
        frozenset(
            {"tokenreviews.authentication.k8s.io", "subjectaccessreviews.authorization.k8s.io"}
        ),
    ),
    Rule(
        frozenset({ALICE}),
        frozenset({"approve"}),
        frozenset({"actionrequests.opsagent.io"}),
        _IN_SHOP,
    ),
)


def deployment(name: str, image: str, replicas: int) -> Obj:
    """Return a web server's Deployment as a person would write it."""
    labels = {"app": name}
    container = {
        "name": name,
        "image": image,
        "resources": {
            "requests": {"cpu": "100m", "memory": "64Mi"},
            "limits": {"memory": "128Mi"},
        },
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 5},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": SHOP, "labels": labels},
        "spec": {
            "replicas": replicas,
            "progressDeadlineSeconds": 20,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def _node(name: str) -> Obj:
    capacity = {"cpu": "8", "memory": "32Gi", "pods": "110"}
    labels = {"kubernetes.io/hostname": name, "type": "sim"}
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": {},
        "status": {"capacity": capacity, "allocatable": dict(capacity)},
    }


def shop_registry() -> ImageRegistry:
    """Return the shop's images: any tag runs well unless its ending says otherwise."""
    return ImageRegistry(repositories=frozenset({"shop/web", "shop/cart"}))


def shop(now: dt.datetime, *, seed: str = "shop", registry: ImageRegistry | None = None) -> Cluster:
    """Return the shop as it is at ``now``: 3 nodes, ``web`` 3/3 and ``cart`` 2/2, an hour old."""
    born = now - AGE
    cluster = Cluster(born, registry or shop_registry(), seed)
    cluster.access.rules.extend(RULES)
    for username in (ADMIN, OPSAGENT, EXECUTOR, ALICE, BOB):
        cluster.access.token(username)
    write = Write("kubectl-create", born)
    for namespace in ("default", "kube-system", "opsagent", SHOP):
        cluster.store.create(NAMESPACES, {"metadata": {"name": namespace}}, write)
    for number in (1, 2, 3):
        cluster.store.create(NODES, _node(f"node-{number}"), write)
    for item in (deployment("web", "shop/web:v1", 3), deployment("cart", "shop/cart:v1", 2)):
        cluster.store.create(DEPLOYMENTS, item, write)
    cluster.advance(now)
    return cluster
