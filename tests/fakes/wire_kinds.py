"""One API object of every kind beside those in ``wire``, as an API server writes them, as plain JSON values."""

from typing import Any

from tests.fakes.wire import STAMP, metadata

CONDITION = {
    "type": "X",
    "status": "False",
    "reason": "Why",
    "message": "because",
    "lastTransitionTime": STAMP,
}
SELECTOR = {
    "matchLabels": {"app": "web"},
    "matchExpressions": [{"key": "tier", "operator": "In", "values": ["front", "edge"]}],
}
NODE_TERMS = {
    "nodeSelectorTerms": [
        {
            "matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}],
            "matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}],
        }
    ]
}
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def container(**more: Any) -> dict[str, Any]:
    """Return a container that says all it can."""
    return {
        "name": "web",
        "image": "shop/web:v2",
        "imagePullPolicy": "Always",
        "command": ["/bin/web", "--verbose"],
        "args": ["--listen", "8080"],
        "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP", "hostPort": 80}],
        "envFrom": [
            {"prefix": "X_", "configMapRef": {"name": "settings", "optional": True}},
            {"secretRef": {"name": "db"}},
        ],
        "livenessProbe": {
            "tcpSocket": {"port": "http"},
            "initialDelaySeconds": 5,
            "periodSeconds": 3,
            "timeoutSeconds": 2,
            "failureThreshold": 1,
            "successThreshold": 1,
        },
        "startupProbe": {"exec": {"command": ["cat", "/ready"]}},
        "readinessProbe": {"grpc": {"port": 9090, "service": ""}},
        "volumeMounts": [
            {"name": "kube-api-access-x2b9k", "mountPath": "/var/run/secrets"},
            {"name": "disk", "mountPath": "/data", "subPath": "web", "readOnly": True},
        ],
        "securityContext": {
            "runAsUser": 1000,
            "runAsGroup": 1000,
            "runAsNonRoot": True,
            "privileged": False,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    } | more


def pod_spec(**more: Any) -> dict[str, Any]:
    """Return the spec of a pod that says all it can."""
    term = {
        "topologyKey": "kubernetes.io/hostname",
        "labelSelector": SELECTOR,
        "namespaces": ["shop"],
        "namespaceSelector": {},
    }
    return {
        "containers": [container()],
        "initContainers": [container(name="init", restartPolicy="Always")],
        "serviceAccountName": "web",
        "imagePullSecrets": [{"name": "registry"}],
        "nodeSelector": {"disk": "ssd"},
        "affinity": {
            "nodeAffinity": {REQUIRED: NODE_TERMS},
            "podAffinity": {REQUIRED: [term]},
            "podAntiAffinity": {REQUIRED: [{"topologyKey": "zone"}]},
        },
        "tolerations": [
            {"key": "gpu", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300},
            {"key": "team", "value": "shop"},
        ],
        "topologySpreadConstraints": [
            {
                "maxSkew": 2,
                "topologyKey": "zone",
                "whenUnsatisfiable": "DoNotSchedule",
                "labelSelector": SELECTOR,
                "minDomains": 3,
            }
        ],
        "securityContext": {"fsGroup": 2000},
        "hostNetwork": True,
        "hostPID": True,
        "hostIPC": True,
        "restartPolicy": "Never",
        "priorityClassName": "high",
        "schedulerName": "default-scheduler",
        "runtimeClassName": "gvisor",
        "dnsPolicy": "None",
        "volumes": [
            {"name": "disk", "persistentVolumeClaim": {"claimName": "web-0"}},
            {"name": "conf", "configMap": {"name": "settings", "optional": True}},
            {"name": "cert", "secret": {"secretName": "tls"}},
            {"name": "host", "hostPath": {"path": "/var/log"}},
            {"name": "csi", "csi": {"driver": "secrets.example"}},
            {"name": "both", "projected": {"sources": [
                {"configMap": {"name": "a"}}, {"secret": {"name": "b"}}, {"serviceAccountToken": {}}]}},
            {"name": "kube-api-access-x2b9k", "projected": {"sources": [
                {"configMap": {"name": "kube-root-ca.crt"}}]}},
            {"name": "scratch", "emptyDir": {}},
            {"name": "odd", "futureVolume": {}},
        ],
    } | more  # fmt: skip


def template(**more: Any) -> dict[str, Any]:
    """Return a pod template with a few of these fields."""
    meta = {"labels": {"app": "web"}, "annotations": {"kubectl.kubernetes.io/restartedAt": STAMP}}
    containers = [{"name": "web", "image": "shop/web:v2"}]
    return {"metadata": meta, "spec": {"containers": containers} | more}


def _whole(api_version: str, kind: str, **parts: Any) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata("x"), **parts}


def stateful_set() -> dict[str, Any]:
    claim = {
        "metadata": {"name": "disk"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "fast",
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    spec = {
        "replicas": 3,
        "selector": SELECTOR,
        "serviceName": "db",
        "template": template(),
        "volumeClaimTemplates": [claim, {}],
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}},
        "podManagementPolicy": "Parallel",
    }
    status = {
        "observedGeneration": 2,
        "replicas": 3,
        "readyReplicas": 2,
        "updatedReplicas": 1,
        "availableReplicas": 2,
        "currentRevision": "db-1",
        "updateRevision": "db-2",
        "conditions": [CONDITION],
    }
    return _whole("apps/v1", "StatefulSet", spec=spec, status=status)


def daemon_set() -> dict[str, Any]:
    status = {
        "observedGeneration": 2,
        "desiredNumberScheduled": 5,
        "currentNumberScheduled": 4,
        "numberReady": 3,
        "updatedNumberScheduled": 2,
        "numberAvailable": 1,
        "numberMisscheduled": 6,
    }
    spec = {
        "selector": SELECTOR,
        "template": template(),
        "updateStrategy": {"type": "OnDelete"},
    }
    return _whole("apps/v1", "DaemonSet", spec=spec, status=status)


def job() -> dict[str, Any]:
    spec = {
        "parallelism": 2,
        "completions": 4,
        "backoffLimit": 0,
        "activeDeadlineSeconds": 60,
        "suspend": True,
        "template": template(),
    }
    status = {
        "active": 1,
        "succeeded": 2,
        "failed": 3,
        "startTime": STAMP,
        "completionTime": STAMP,
        "conditions": [CONDITION],
    }
    return _whole("batch/v1", "Job", spec=spec, status=status)


def cron_job() -> dict[str, Any]:
    spec = {
        "schedule": "*/5 * * * *",
        "timeZone": "Europe/Berlin",
        "suspend": True,
        "concurrencyPolicy": "Forbid",
        "startingDeadlineSeconds": 10,
        "jobTemplate": {"spec": {"template": template()}},
    }
    status = {
        "active": [{"kind": "Job", "name": "x-1"}],
        "lastScheduleTime": STAMP,
        "lastSuccessfulTime": STAMP,
    }
    return _whole("batch/v1", "CronJob", spec=spec, status=status)


def autoscaler() -> dict[str, Any]:
    cpu = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}
    queue = {"metric": {"name": "queue_length"}, "target": {"type": "Value", "value": "30"}}
    sidecar = {"name": "memory", "container": "web", "target": {"averageValue": "100Mi"}}
    metrics = [
        {"type": "Resource", "resource": cpu},
        {"type": "External", "external": queue},
        {"type": "ContainerResource", "containerResource": sidecar},
        {"type": "Future"},
    ]
    current = {
        "type": "Resource",
        "resource": {"name": "cpu", "current": {"averageUtilization": 95, "averageValue": "95m"}},
    }
    spec = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        "minReplicas": 2,
        "maxReplicas": 5,
        "metrics": metrics,
    }
    status = {
        "currentReplicas": 5,
        "desiredReplicas": 5,
        "currentMetrics": [current],
        "lastScaleTime": STAMP,
        "conditions": [CONDITION],
    }
    return _whole("autoscaling/v2", "HorizontalPodAutoscaler", spec=spec, status=status)


def budget() -> dict[str, Any]:
    spec = {"selector": SELECTOR, "minAvailable": "50%", "maxUnavailable": 1}
    status = {
        "disruptionsAllowed": 1,
        "currentHealthy": 3,
        "desiredHealthy": 2,
        "expectedPods": 4,
        "conditions": [CONDITION],
    }
    return _whole("policy/v1", "PodDisruptionBudget", spec=spec, status=status)


def claim() -> dict[str, Any]:
    spec = {
        "storageClassName": "",
        "accessModes": ["ReadWriteMany"],
        "resources": {"requests": {"storage": "5Gi"}},
        "selector": SELECTOR,
        "volumeName": "pv-1",
        "volumeMode": "Block",
    }
    status = {"phase": "Pending", "capacity": {"storage": "4Gi"}, "conditions": [CONDITION]}
    return _whole("v1", "PersistentVolumeClaim", spec=spec, status=status)


def volume() -> dict[str, Any]:
    spec = {
        "storageClassName": "fast",
        "accessModes": ["ReadWriteOnce"],
        "capacity": {"storage": "5Gi"},
        "volumeMode": "Block",
        "persistentVolumeReclaimPolicy": "Delete",
        "hostPath": {"path": "/mnt"},
        "nodeAffinity": {"required": NODE_TERMS},
        "claimRef": {"namespace": "shop", "name": "web-0", "uid": "u"},
    }
    status = {"phase": "Released", "reason": "Why", "message": "because"}
    return _whole("v1", "PersistentVolume", spec=spec, status=status)


def storage_class() -> dict[str, Any]:
    item = _whole(
        "storage.k8s.io/v1",
        "StorageClass",
        provisioner="csi.example",
        reclaimPolicy="Retain",
        volumeBindingMode="WaitForFirstConsumer",
        allowVolumeExpansion=True,
    )
    marks = {"storageclass.kubernetes.io/is-default-class": "true"}
    return item | {"metadata": metadata("fast", annotations=marks)}


def service() -> dict[str, Any]:
    ports = [
        {"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP", "nodePort": 30080},
        {"port": 53, "protocol": "UDP", "appProtocol": "dns"},
        {"port": 81, "targetPort": 8081},
    ]
    spec = {
        "type": "LoadBalancer",
        "selector": {"app": "web"},
        "ports": ports,
        "clusterIP": "10.0.0.1",
        "externalName": "web.example",
        "publishNotReadyAddresses": True,
        "externalTrafficPolicy": "Local",
        "internalTrafficPolicy": "Cluster",
    }
    status = {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}, {"hostname": "lb.example"}]}}
    return _whole("v1", "Service", spec=spec, status=status)


def endpoint_slice() -> dict[str, Any]:
    ready = {"ready": True, "serving": True, "terminating": False}
    leaving = {"ready": False, "serving": True, "terminating": True}
    target = {"kind": "Pod", "name": "web-1"}
    item = _whole(
        "discovery.k8s.io/v1",
        "EndpointSlice",
        addressType="IPv4",
        ports=[{"name": "http", "port": 8080, "protocol": "TCP"}, {}],
        endpoints=[
            {"addresses": ["10.1.0.1"], "conditions": ready, "targetRef": target, "nodeName": "n1"},
            {"addresses": ["10.1.0.2"], "conditions": leaving},
            {"addresses": ["10.1.0.3"]},
        ],
    )
    return item | {"metadata": metadata("web-abc", labels={"kubernetes.io/service-name": "web"})}


def ingress() -> dict[str, Any]:
    def to(name: str, port: dict[str, Any]) -> dict[str, Any]:
        return {"service": {"name": name, "port": port}}

    paths = [
        {"path": "/", "pathType": "Prefix", "backend": to("web", {"number": 80})},
        {"path": "/api", "pathType": "Exact", "backend": to("api", {"name": "http"})},
        {"backend": {"resource": {"kind": "StorageBucket", "name": "static"}}},
        {},
    ]
    spec = {
        "ingressClassName": "nginx",
        "defaultBackend": to("web", {"number": 80}),
        "rules": [{"host": "shop.example", "http": {"paths": paths}}, {"host": "empty.example"}],
        "tls": [{"hosts": ["shop.example"], "secretName": "tls"}],
    }
    status = {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}}
    return _whole("networking.k8s.io/v1", "Ingress", spec=spec, status=status)


def network_policy() -> dict[str, Any]:
    block = {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}
    ingress = {
        "from": [{"podSelector": SELECTOR, "namespaceSelector": {}}, {"ipBlock": block}],
        "ports": [{"protocol": "TCP", "port": 8080, "endPort": 8090}, {"port": "http"}, {}],
    }
    spec = {
        "podSelector": {},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [ingress],
        "egress": [{"to": [{"podSelector": {"matchLabels": {"app": "db"}}}]}],
    }
    return _whole("networking.k8s.io/v1", "NetworkPolicy", spec=spec)


def config_map() -> dict[str, Any]:
    return _whole(
        "v1",
        "ConfigMap",
        data={"level": "debug", "other": "x"},
        binaryData={"blob": "AAEC"},
        immutable=True,
    )


def quota() -> dict[str, Any]:
    spec = {"hard": {"pods": "10", "requests.cpu": "4"}, "scopes": ["BestEffort"]}
    status = {"hard": {"pods": "10"}, "used": {"pods": "10"}}
    return _whole("v1", "ResourceQuota", spec=spec, status=status)


def limit_range() -> dict[str, Any]:
    limit = {
        "type": "Container",
        "max": {"cpu": "2"},
        "min": {"cpu": "10m"},
        "default": {"cpu": "500m"},
        "defaultRequest": {"cpu": "100m"},
    }
    return _whole("v1", "LimitRange", spec={"limits": [limit]})


def service_account() -> dict[str, Any]:
    secrets = {"imagePullSecrets": [{"name": "registry"}], "secrets": [{"name": "web-token"}]}
    return _whole("v1", "ServiceAccount", **secrets)


def webhooks(kind: str) -> dict[str, Any]:
    rule = {
        "operations": ["CREATE"],
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "resources": ["pods"],
        "scope": "Namespaced",
    }
    first = {
        "name": "a.example",
        "failurePolicy": "Ignore",
        "clientConfig": {
            "service": {"namespace": "kube-system", "name": "hook", "path": "/x", "port": 8443},
            "caBundle": "QUJD",
        },
        "timeoutSeconds": 5,
        "rules": [rule],
        "namespaceSelector": SELECTOR,
        "objectSelector": {},
    }
    second = {"name": "b.example", "clientConfig": {"url": "https://hooks.example/v1"}}
    return _whole("admissionregistration.k8s.io/v1", kind, webhooks=[first, second])


def lease() -> dict[str, Any]:
    spec = {
        "holderIdentity": "n1",
        "leaseDurationSeconds": 40,
        "acquireTime": STAMP,
        "renewTime": "2026-01-05T00:00:00.000000Z",
        "leaseTransitions": 3,
    }
    return _whole("coordination.k8s.io/v1", "Lease", spec=spec)


def node() -> dict[str, Any]:
    taint = {"key": "gpu", "value": "yes", "effect": "NoSchedule", "timeAdded": STAMP}
    status = {
        "conditions": [CONDITION],
        "capacity": {"cpu": "8", "nvidia.com/gpu": "1"},
        "allocatable": {"cpu": "7500m"},
        "addresses": [{"type": "InternalIP", "address": "10.0.0.2"}],
        "nodeInfo": {"kubeletVersion": "v1.37.2", "containerRuntimeVersion": "containerd://2.1"},
    }
    return _whole("v1", "Node", spec={"unschedulable": True, "taints": [taint]}, status=status)


def everything() -> tuple[dict[str, Any], ...]:
    """Return one object of each of these kinds."""
    return (
        node(),
        stateful_set(),
        daemon_set(),
        job(),
        cron_job(),
        autoscaler(),
        budget(),
        claim(),
        volume(),
        storage_class(),
        service(),
        endpoint_slice(),
        ingress(),
        network_policy(),
        config_map(),
        quota(),
        limit_range(),
        service_account(),
        webhooks("ValidatingWebhookConfiguration"),
        webhooks("MutatingWebhookConfiguration"),
        lease(),
        {"kind": "Pod", "metadata": metadata("x"), "spec": pod_spec()},
    )
