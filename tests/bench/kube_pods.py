"""Pods as a busy API server sends them: 6.1 KB each, managedFields and all, a thousand workloads' worth of templates.

What pods of one workload share is the same in all of them; names, uids, addresses, stamps, versions and the name of the
token volume are each pod's own.
"""

import json
import random
from collections.abc import Iterator
from typing import Any, TypeAlias

Tree: TypeAlias = dict[str, Any]
REPLICAS = 10
SEED = 1


def pods(number: int) -> Iterator[Tree]:
    """Yield ``number`` pods, those of one workload spread over the whole as in a list by name of a large cluster."""
    rng = random.Random(SEED)
    workloads = max(1, number // REPLICAS)
    for index in range(number):
        yield _pod(rng, index % workloads, index)


def _token(rng: random.Random, length: int) -> str:
    return "".join(rng.choices("bcdfghjklmnpqrstvwxz2456789", k=length))


def _pod(rng: random.Random, workload: int, index: int) -> Tree:
    app = f"service-{workload:04d}"
    template_hash = f"{workload * 7919 % 10**9:09d}"
    name = f"{app}-{template_hash}-{_token(rng, 5)}"
    volume = f"kube-api-access-{_token(rng, 5)}"
    uid = (
        f"{rng.getrandbits(32):08x}-{rng.getrandbits(16):04x}-4000-8000-{rng.getrandbits(48):012x}"
    )
    born = f"2026-01-05T{index // 3600 % 24:02d}:{index // 60 % 60:02d}:{index % 60:02d}Z"
    ready = f"2026-01-05T{index // 3600 % 24:02d}:{index // 60 % 60:02d}:{(index * 7) % 60:02d}Z"
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {
            "name": name,
            "generateName": f"{app}-{template_hash}-",
            "namespace": f"team-{workload % 40:02d}",
            "uid": uid,
            "resourceVersion": str(1_000_000 + index),
            "generation": 1,
            "creationTimestamp": born,
            "labels": {
                "app.kubernetes.io/name": app,
                "app.kubernetes.io/version": "v2.14.3",
                "team": f"team-{workload % 40:02d}",
                "pod-template-hash": template_hash,
            },
            "annotations": {
                "prometheus.io/scrape": "true",
                "prometheus.io/port": "9090",
                "checksum/config": f"{workload * 104_729:064x}",
            },
            "ownerReferences": [
                {
                    "apiVersion": "apps/v1",
                    "kind": "ReplicaSet",
                    "name": f"{app}-{template_hash}",
                    "uid": f"{workload:08x}-0000-4000-8000-000000000000",
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
            "managedFields": _managed_fields(born, ready, uid),
        },
        "spec": _spec(app, workload, volume, index),
        "status": _status(app, workload, born, ready, rng),
    }


def _spec(app: str, workload: int, volume: str, index: int) -> Tree:
    probe = {"periodSeconds": 10, "timeoutSeconds": 1, "successThreshold": 1, "failureThreshold": 3}
    ready = {"httpGet": {"path": "/readyz", "port": "http", "scheme": "HTTP"}, **probe}
    alive = {"httpGet": {"path": "/healthz", "port": "http", "scheme": "HTTP"}, **probe}
    env = [
        {"name": "LOG_LEVEL", "value": "info"},
        {"name": "DATABASE_HOST", "value": f"postgres-{workload % 10}.data.svc.cluster.local"},
        {"name": "DATABASE_PORT", "value": "5432"},
        {
            "name": "DATABASE_PASSWORD",
            "valueFrom": {"secretKeyRef": {"name": f"{app}-db", "key": "password"}},
        },
        {"name": "PAYMENT_URL", "value": "http://payment.shop.svc.cluster.local:8080"},
        {
            "name": "POD_IP",
            "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}},
        },
    ]
    token = {
        "name": volume,
        "readOnly": True,
        "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
    }
    container = {
        "name": "web",
        "image": f"registry.example.com/shop/{app}:v2.14.3",
        "args": ["serve", "--listen=:8080"],
        "ports": [
            {"name": "http", "containerPort": 8080, "protocol": "TCP"},
            {"name": "metrics", "containerPort": 9090, "protocol": "TCP"},
        ],
        "env": env,
        "resources": {
            "limits": {"cpu": "500m", "memory": "512Mi"},
            "requests": {"cpu": "100m", "memory": "256Mi"},
        },
        "volumeMounts": [{"name": "config", "mountPath": "/etc/web"}, token],
        "livenessProbe": alive,
        "readinessProbe": ready,
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "imagePullPolicy": "IfNotPresent",
    }
    forever = {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
    sources = [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {
            "configMap": {
                "name": "kube-root-ca.crt",
                "items": [{"key": "ca.crt", "path": "ca.crt"}],
            }
        },
    ]
    return {
        "volumes": [
            {"name": "config", "configMap": {"name": f"{app}-config", "defaultMode": 420}},
            {"name": volume, "projected": {"sources": sources, "defaultMode": 420}},
        ],
        "containers": [container],
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "serviceAccountName": app,
        "serviceAccount": app,
        "nodeName": f"node-{index % 300:03d}.eu-central-1.compute.internal",
        "securityContext": {},
        "schedulerName": "default-scheduler",
        "tolerations": [
            {"key": "node.kubernetes.io/not-ready", **forever},
            {"key": "node.kubernetes.io/unreachable", **forever},
        ],
        "priority": 0,
        "enableServiceLinks": True,
        "preemptionPolicy": "PreemptLowerPriority",
    }


def _status(app: str, workload: int, born: str, ready: str, rng: random.Random) -> Tree:
    kinds = {
        "PodReadyToStartContainers": ready,
        "Initialized": born,
        "Ready": ready,
        "ContainersReady": ready,
        "PodScheduled": born,
    }
    address = f"10.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(256)}"
    return {
        "phase": "Running",
        "conditions": [
            {"type": kind, "status": "True", "lastProbeTime": None, "lastTransitionTime": at}
            for kind, at in kinds.items()
        ],
        "hostIP": "10.0.0.1",
        "podIP": address,
        "podIPs": [{"ip": address}],
        "startTime": born,
        "containerStatuses": [
            {
                "name": "web",
                "state": {"running": {"startedAt": ready}},
                "lastState": {},
                "ready": True,
                "restartCount": 0,
                "image": f"registry.example.com/shop/{app}:v2.14.3",
                "imageID": f"registry.example.com/shop/{app}@sha256:{workload * 1_299_709:064x}",
                "containerID": f"containerd://{rng.getrandbits(256):064x}",
                "started": True,
            }
        ],
        "qosClass": "Burstable",
    }


def _managed_fields(born: str, ready: str, uid: str) -> list[Tree]:
    leaf: Tree = {}
    env = {
        f'k:{{"name":"{name}"}}': {".": leaf, "f:name": leaf, "f:value": leaf}
        for name in ("LOG_LEVEL", "DATABASE_HOST", "DATABASE_PORT", "PAYMENT_URL")
    }
    container = {
        ".": leaf,
        "f:args": leaf,
        "f:env": {".": leaf, **env},
        "f:image": leaf,
        "f:imagePullPolicy": leaf,
        "f:livenessProbe": {".": leaf, "f:failureThreshold": leaf, "f:httpGet": {".": leaf, "f:path": leaf}},
        "f:name": leaf,
        "f:ports": {'k:{"containerPort":8080,"protocol":"TCP"}': {".": leaf, "f:name": leaf}},
        "f:resources": {".": leaf, "f:limits": {".": leaf, "f:cpu": leaf, "f:memory": leaf}},
        "f:volumeMounts": {".": leaf, 'k:{"mountPath":"/etc/web"}': {".": leaf, "f:name": leaf}},
    }  # fmt: skip
    labels = {"f:app.kubernetes.io/name": leaf, "f:team": leaf, "f:pod-template-hash": leaf}
    condition = {".": leaf, "f:lastProbeTime": leaf, "f:lastTransitionTime": leaf, "f:status": leaf}
    conditions = {
        f'k:{{"type":"{kind}"}}': condition | {"f:type": leaf}
        for kind in ("ContainersReady", "Initialized", "PodReadyToStartContainers", "Ready")
    }
    return [
        {
            "manager": "kube-controller-manager",
            "operation": "Update",
            "apiVersion": "v1",
            "time": born,
            "fieldsType": "FieldsV1",
            "fieldsV1": {
                "f:metadata": {
                    "f:generateName": leaf,
                    "f:labels": {".": leaf, **labels},
                    "f:ownerReferences": {".": leaf, f'k:{{"uid":"{uid}"}}': leaf},
                },
                "f:spec": {
                    "f:containers": {'k:{"name":"web"}': container},
                    "f:dnsPolicy": leaf,
                    "f:restartPolicy": leaf,
                    "f:schedulerName": leaf,
                    "f:serviceAccountName": leaf,
                    "f:terminationGracePeriodSeconds": leaf,
                },
            },
        },
        {
            "manager": "kubelet",
            "operation": "Update",
            "apiVersion": "v1",
            "time": ready,
            "fieldsType": "FieldsV1",
            "fieldsV1": {
                "f:status": {
                    "f:conditions": conditions,
                    "f:containerStatuses": leaf,
                    "f:hostIP": leaf,
                    "f:phase": leaf,
                    "f:podIP": leaf,
                    "f:podIPs": {".": leaf, 'k:{"ip":"10.0.0.1"}': {".": leaf, "f:ip": leaf}},
                    "f:startTime": leaf,
                }
            },
            "subresource": "status",
        },
    ]


def encoded(item: Tree) -> bytes:
    """Return ``item`` as the API server writes it: without blanks."""
    return json.dumps(item, separators=(",", ":")).encode()
