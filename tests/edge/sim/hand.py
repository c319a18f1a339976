"""A client by hand: sends requests to a simulated cluster and moves its time, without any loop."""

import datetime as dt
import json
from typing import Any

from opsagent.ports import KubeAnswer
from opsagent.sim import ADMIN, Cluster, Request, shop
from opsagent.sim.watch import Watch
from tests.fakes.virtual_time import EPOCH

CORE = "/api/v1"
APPS = "/apis/apps/v1"
WEB = f"{APPS}/namespaces/shop/deployments/web"
DEPLOYMENTS = f"{APPS}/namespaces/shop/deployments"
REPLICA_SETS = f"{APPS}/namespaces/shop/replicasets"
PODS = f"{CORE}/namespaces/shop/pods"
EVENTS = f"{CORE}/namespaces/shop/events"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/opsagent/leases"
NODES = f"{CORE}/nodes"


class Hand:
    """``cluster`` as the holder of one user's token."""

    def __init__(self, cluster: Cluster | None = None, user: str = ADMIN) -> None:
        self.cluster = cluster or shop(EPOCH)
        self.token = self.cluster.access.token(user)

    def send(
        self,
        method: str,
        path: str,
        item: object = None,
        content_type: str = "application/json",
        **query: str,
    ) -> tuple[int, Any]:
        """Return (status, object), or (status, text) of an answer that is no JSON."""
        answer = self.raw(method, path, item, content_type, **query)
        assert isinstance(answer, KubeAnswer)
        if answer.headers["content-type"] != "application/json":
            return answer.status, answer.body.decode()
        return answer.status, json.loads(answer.body)

    def raw(
        self,
        method: str,
        path: str,
        item: object = None,
        content_type: str = "application/json",
        **query: str,
    ) -> KubeAnswer | Watch:
        body = (
            item if isinstance(item, bytes) else b"" if item is None else json.dumps(item).encode()
        )
        request = Request(method, path, query, body, content_type, self.token, "hand/1.0")
        return self.cluster.handle(request, self.cluster.now)

    def get(self, path: str, **query: str) -> Any:
        status, item = self.send("GET", path, **query)
        assert status == 200, item
        return item

    def items(self, path: str, **query: str) -> list[Any]:
        found: list[Any] = self.get(path, **query)["items"]
        return found

    def create(self, path: str, item: object) -> Any:
        status, created = self.send("POST", path, item)
        assert status == 201, created
        return created

    def patch(self, path: str, patch: object, **query: str) -> Any:
        """Send a strategic merge patch, which must work."""
        language = "application/strategic-merge-patch+json"
        status, item = self.send("PATCH", path, patch, language, **query)
        assert status == 200, item
        return item

    def watch(self, path: str, **query: str) -> Watch:
        found = self.raw("GET", path, watch="true", **query)
        assert isinstance(found, Watch), found
        return found

    def wait(self, seconds: float) -> None:
        self.cluster.advance(self.cluster.now + dt.timedelta(seconds=seconds))

    def told(self, watch: Watch) -> list[tuple[str, str]]:
        """Return the type and name of each event that is ready."""
        events = [json.loads(line) for line in watch.take(self.cluster.now).splitlines()]
        return [
            (event["type"], event["object"].get("metadata", {}).get("name", "")) for event in events
        ]

    def new_pod(self, image: str) -> Any:
        """Return the one pod that runs ``image``."""
        (pod,) = (pod for pod in self.items(PODS) if pod["spec"]["containers"][0]["image"] == image)
        return pod

    def reasons(self, about: str) -> dict[str, int]:
        """Return how often each reason was reported about objects whose name begins so."""
        found: dict[str, int] = {}
        for event in self.items(EVENTS):
            if event["involvedObject"]["name"].startswith(about):
                count = event.get("count", 1)
                found[event["reason"]] = found.get(event["reason"], 0) + count
        return found
