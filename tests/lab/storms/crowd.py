"""A crowd of pods that comes and goes: Deployments on nodes of their own, changed without pause."""

import asyncio
import json
import random
from collections.abc import Mapping

from opsagent.clients.kube_read import KubeReader
from opsagent.clients.kube_status import raise_for_status
from opsagent.model.canonical import JsonValue, canonical
from opsagent.model.entity import Kind
from opsagent.model.kube import Deployment
from opsagent.ports import Conflict, Gone, KubeTransport, NotFound, Transient

NODES = 3
NODE_SIZE = {"cpu": "64", "memory": "256Gi", "pods": "1000"}


class Crowd:
    """``deployments`` times ``replicas`` pods in one namespace, through a connection of its own."""

    def __init__(
        self, transport: KubeTransport, namespace: str, deployments: int, replicas: int
    ) -> None:
        self._transport = transport
        self._reader = KubeReader(transport)
        self._namespace = namespace
        self._names = [f"app-{number}" for number in range(deployments)]
        self._replicas = replicas
        self._random = random.Random(20260105)
        self._turns = 0

    async def gather(self) -> None:
        """Create everything; does not wait for the pods."""
        for number in range(NODES):
            await self._write("POST", "/api/v1/nodes", _node(f"crowd-{number}"))
        for name in self._names:
            await self._write("POST", self._deployments(), _deployment(name, self._replicas))

    async def is_there(self) -> bool:
        """Return whether every pod runs and is ready."""
        page = await self._reader.list_page(Kind.DEPLOYMENT, namespace=self._namespace)
        ready = sum(each.replicas_ready for each in page.items if isinstance(each, Deployment))
        return ready == len(self._names) * self._replicas

    async def churn(self, seconds: float) -> None:
        """Change something each ``seconds``, until cancelled; what a storm makes impossible is left out."""
        while True:
            await asyncio.sleep(seconds)
            try:
                await self._change()
            except (Transient, Conflict, NotFound, Gone):
                continue

    async def _change(self) -> None:
        """End a few pods; now and then scale one Deployment, more seldom roll one on.

        That is as much as two busy cores keep up with: a backlog would have to be waited for in the end.
        """
        self._turns += 1
        name = self._random.choice(self._names)
        if self._turns % 10 == 0:
            image = {"containers": [{"name": "web", "image": f"crowd/web:v{self._turns}"}]}
            await self._patch(name, {"template": {"spec": image}})
        elif self._turns % 5 == 0:
            size = self._replicas - self._turns // 5 % 2 * self._replicas // 5
            await self._patch(name, {"replicas": size})
        else:
            await self._end_pods(name, 5)

    async def _end_pods(self, name: str, count: int) -> None:
        pods = f"/api/v1/namespaces/{self._namespace}/pods"
        query = {"labelSelector": f"app={name}", "limit": str(count)}
        answer = await self._transport.request("GET", pods, query=query)
        raise_for_status(answer, pods)
        for item in json.loads(answer.body)["items"]:
            path = f"{pods}/{item['metadata']['name']}"
            raise_for_status(await self._transport.request("DELETE", path), path)

    async def _patch(self, name: str, spec: Mapping[str, JsonValue]) -> None:
        kind = "application/strategic-merge-patch+json"
        await self._write("PATCH", f"{self._deployments()}/{name}", {"spec": spec}, kind)

    async def _write(
        self, method: str, path: str, body: Mapping[str, JsonValue], kind: str = "application/json"
    ) -> None:
        answer = await self._transport.request(
            method, path, body=canonical(body), content_type=kind
        )
        raise_for_status(answer, f"{method} {path}")

    def _deployments(self) -> str:
        return f"/apis/apps/v1/namespaces/{self._namespace}/deployments"


def _node(name: str) -> Mapping[str, JsonValue]:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"type": "kwok", "for": "crowd"}},
        "status": {"capacity": NODE_SIZE, "allocatable": NODE_SIZE},
    }


def _deployment(name: str, replicas: int) -> Mapping[str, JsonValue]:
    labels = {"app": name, "team": "crowd", "tier": "backend"}
    container = {
        "name": "web",
        "image": "crowd/web:v0",
        "env": [
            {"name": "DATABASE_HOST", "value": "db.crowd.svc"},
            {"name": "DATABASE_PASSWORD", "value": "correct horse battery staple"},
        ],
        "resources": {"requests": {"cpu": "1m", "memory": "1Mi"}},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "nodeSelector": {"for": "crowd"},
                    "containers": [container],
                    "terminationGracePeriodSeconds": 1,
                },
            },
        },
    }
