"""Make identities for a test: a service account, exactly the rights it is given, and its kubeconfig."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.lab.cluster import Cluster

_RBAC = "rbac.authorization.k8s.io"


@dataclass(frozen=True, slots=True)
class Rule:
    """One right: verbs on resources of an API group ("" is the core group)."""

    group: str
    resources: tuple[str, ...]
    verbs: tuple[str, ...]


def create_identity(cluster: Cluster, namespace: str, name: str, rules: Sequence[Rule]) -> Path:
    """Create a service account with ``rules`` in ``namespace`` only; return its kubeconfig."""
    meta = {"name": name, "namespace": namespace}
    role = {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "Role",
        "metadata": meta,
        "rules": [
            {"apiGroups": [rule.group], "resources": rule.resources, "verbs": rule.verbs}
            for rule in rules
        ],
    }
    binding = {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": meta,
        "roleRef": {"apiGroup": _RBAC, "kind": "Role", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
    }
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta}
    items = {"apiVersion": "v1", "kind": "List", "items": [account, role, binding]}
    cluster.kubectl("create", "-f", "-", stdin=json.dumps(items))
    return cluster.write_kubeconfig(f"{namespace}.{name}", cluster.token(name, namespace))
