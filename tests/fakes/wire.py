"""API objects as an API server writes them, whole, as plain JSON values."""

from typing import Any

STAMP = "2026-01-05T00:00:00Z"


def metadata(name: str, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "namespace": "shop",
        "uid": f"uid-{name}",
        "resourceVersion": "7",
        "creationTimestamp": STAMP,
    } | more


def pod(name: str = "web-1", **more: Any) -> dict[str, Any]:
    """Return a running pod that was restarted once, with managedFields and everything we do not read."""
    container = {
        "name": "web",
        "image": "registry.example/shop/web:v2",
        "ports": [{"containerPort": 8080, "protocol": "TCP"}],
        "env": [
            {"name": "DATABASE", "value": "postgres.shop.svc:5432"},
            {"name": "EMPTY"},
            {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}},
            {"name": "LEVEL", "valueFrom": {"configMapKeyRef": {"name": "web", "key": "level"}}},
            {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
            {"name": "NEW", "valueFrom": {"fileKeyRef": {"path": "x"}}},
        ],
        "resources": {"limits": {"memory": "128Mi"}, "requests": {"cpu": "100m"}},
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080}, "periodSeconds": 10},
        "terminationMessagePolicy": "File",
    }
    exited = {"exitCode": 137, "reason": "OOMKilled", "startedAt": STAMP, "finishedAt": STAMP}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata(
            name,
            labels={"app": "web"},
            annotations={"checksum": "x"},
            ownerReferences=[
                {"kind": "Node", "name": "n1", "uid": "u0"},
                {"kind": "ReplicaSet", "name": "web-abc", "uid": "u1", "controller": True},
            ],
            managedFields=[
                {
                    "manager": "kubelet",
                    "operation": "Update",
                    "apiVersion": "v1",
                    "time": STAMP,
                    "fieldsType": "FieldsV1",
                    "fieldsV1": {"f:status": {"f:phase": {}}},
                    "subresource": "status",
                }
            ],
        ),
        "spec": {
            "nodeName": "n1",
            "volumes": [{"name": "v", "emptyDir": {}}],
            "containers": [container],
        },
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": STAMP}],
            "containerStatuses": [
                {
                    "name": "web",
                    "ready": True,
                    "restartCount": 1,
                    "state": {"running": {"startedAt": STAMP}},
                    "lastState": {"terminated": exited},
                }
            ],
        },
    } | more


def deployment(name: str = "web", **spec: Any) -> dict[str, Any]:
    """Return a Deployment in the middle of a rollout."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(
            name, generation=2, annotations={"deployment.kubernetes.io/revision": "2"}
        ),
        "spec": {
            "replicas": 3,
            "paused": True,
            "progressDeadlineSeconds": 20,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"spec": {"containers": [{"name": "web", "image": "shop/web:v2"}]}},
        }
        | spec,
        "status": {
            "observedGeneration": 2,
            "replicas": 4,
            "updatedReplicas": 1,
            "readyReplicas": 3,
            "availableReplicas": 3,
            "conditions": [
                {
                    "type": "Progressing",
                    "status": "False",
                    "reason": "ProgressDeadlineExceeded",
                    "message": "has timed out",
                    "lastTransitionTime": STAMP,
                }
            ],
        },
    }


def event(name: str = "web-1.17a8", **more: Any) -> dict[str, Any]:
    """Return a counted core/v1 Event about a pod."""
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": metadata(name),
        "involvedObject": {"kind": "Pod", "namespace": "shop", "name": "web-1", "uid": "uid-web-1"},
        "type": "Warning",
        "reason": "BackOff",
        "message": "Back-off restarting failed container",
        "count": 5,
        "firstTimestamp": STAMP,
        "lastTimestamp": "2026-01-05T00:05:00Z",
        "eventTime": None,
        "source": {"component": "kubelet", "host": "n1"},
        "reportingComponent": "",
    } | more
