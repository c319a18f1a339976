"""The objects that the contract's checks write, and how they look at what came of them."""

from typing import Any

from tests.contracts.kubernetes.environment import World


def lease(name: str, holder: str = "a", **labels: str) -> dict[str, Any]:
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "labels": labels},
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": 15},
    }


def deployment(world: World, image: str = "shop/web:v1") -> dict[str, Any]:
    container = {
        "name": "web",
        "image": image,
        "resources": {
            "requests": {"cpu": "100m", "memory": "64Mi"},
            "limits": {"memory": "128Mi"},
        },
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 3,
            "progressDeadlineSeconds": world.deadline_seconds,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [container]},
            },
        },
    }


def manifest(**spec: object) -> dict[str, Any]:
    """Return what a manager applies who wants of the Deployment ``web`` nothing but ``spec``."""
    head = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}}
    return head | {"spec": spec}


def budget(name: str = "web", **bound: object) -> dict[str, Any]:
    """Return a budget for the pods of the Deployment ``web``."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": name},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, **bound},
    }


def event(world: World, name: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name},
        "involvedObject": {"kind": "Pod", "namespace": world.namespace, "name": "web-1"},
        "reason": "Probe",
        "type": "Normal",
    }


def condition(item: Any, type_: str) -> dict[str, Any]:
    """Return the condition of ``type_``, {} if there is none."""
    conditions = item.get("status", {}).get("conditions", [])
    return next((one for one in conditions if one["type"] == type_), {})


def revision(item: Any) -> str:
    return item["metadata"].get("annotations", {}).get("deployment.kubernetes.io/revision", "")


def is_rolled_out(item: Any) -> bool:
    status, goal = item.get("status", {}), item["spec"]["replicas"]
    counts = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
    return (
        status.get("observedGeneration") == item["metadata"]["generation"]
        and all(status.get(count) == goal for count in counts)
        and condition(item, "Progressing").get("reason") == "NewReplicaSetAvailable"
    )


async def rolled_out(world: World) -> Any:
    """Wait until the Deployment ``web`` has settled, and return it."""

    async def look() -> Any:
        item = await world.admin.get(world.path("deployments", "web"))
        return item if is_rolled_out(item) else None

    return await world.eventually(look, "the rollout of web completes")


async def running_web(world: World) -> Any:
    """Create the Deployment ``web``, wait until it runs, and return it."""
    await world.admin.create(world.path("deployments"), deployment(world))
    return await rolled_out(world)


async def replica_sets(world: World) -> dict[str, Any]:
    """Return the ReplicaSets by the image that they run."""
    found = await world.admin.get(world.path("replicasets"))
    return {
        item["spec"]["template"]["spec"]["containers"][0]["image"]: item for item in found["items"]
    }
