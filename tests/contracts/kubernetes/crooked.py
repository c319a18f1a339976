"""Clusters that differ from Kubernetes in one way each: a sim behind a transport that changes what is said.

``ask`` changes a request before the sim gets it, ``tell`` an answer and ``event`` an event of a watch before
the check gets it. One difference is one class, which says so in one line.
"""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from opsagent.ports import KubeAnswer, KubeTransport


@dataclass(frozen=True)
class Sent:
    """One request; ``item`` is its body, None if it has none."""

    method: str
    path: str
    query: Mapping[str, str]
    item: Any = None
    content_type: str = "application/json"

    def with_query(self, **values: str) -> "Sent":
        """Return it with other parameters; an empty one is as good as none."""
        return replace(self, query={**self.query, **values})


class Crooked:
    """No difference yet: everything is passed on as it is."""

    def __init__(self, honest: KubeTransport) -> None:
        self.honest = honest

    async def ask(self, sent: Sent) -> Sent:
        return sent

    def tell(self, _sent: Sent, status: int, item: Any) -> tuple[int, Any]:
        return status, item

    def event(self, event: Any) -> Any:
        """Return the event as it is told, None if it is not."""
        return event

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = "application/json",
    ) -> KubeAnswer:
        item = json.loads(body) if body else None
        sent = await self.ask(Sent(method, path, query or {}, item, content_type))
        answer = await self.honest.request(
            sent.method,
            sent.path,
            query=sent.query,
            body=None if sent.item is None else json.dumps(sent.item).encode(),
            content_type=sent.content_type,
        )
        if not answer.headers["content-type"].startswith("application/json"):
            return answer
        status, told = self.tell(sent, answer.status, json.loads(answer.body))
        return KubeAnswer(status, json.dumps(told).encode(), answer.headers)

    @asynccontextmanager
    async def stream(
        self,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        idle_seconds: float | None = None,
    ) -> AsyncIterator[tuple[int, AsyncIterator[bytes]]]:
        sent = await self.ask(Sent("GET", path, query or {}))
        honest = self.honest.stream(sent.path, query=sent.query, idle_seconds=idle_seconds)
        async with honest as (status, chunks):
            yield status, self._told(chunks)

    async def _told(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for chunk in chunks:  # whole lines, from the sim
            for line in chunk.splitlines():
                if (event := self.event(json.loads(line))) is not None:
                    yield json.dumps(event).encode() + b"\n"

    async def aclose(self) -> None:
        await self.honest.aclose()


def _meta(item: Any) -> Any:
    return item.get("metadata", {}) if isinstance(item, dict) else {}


class AnyVersionWins(Crooked):
    """A write for an old resourceVersion is carried out."""

    async def ask(self, sent: Sent) -> Sent:
        if sent.method != "PUT" or not _meta(sent.item).get("resourceVersion"):
            return sent
        answer = await self.honest.request("GET", sent.path)
        current = json.loads(answer.body)["metadata"]["resourceVersion"]
        return replace(
            sent, item=sent.item | {"metadata": _meta(sent.item) | {"resourceVersion": current}}
        )


class DryRunWrites(Crooked):
    """A dry run is carried out."""

    async def ask(self, sent: Sent) -> Sent:
        return sent.with_query(dryRun="")


class DryRunSaysYes(Crooked):
    """A dry run is answered without a look at the rules."""

    def tell(self, sent: Sent, status: int, item: Any) -> tuple[int, Any]:
        return (200, sent.item) if sent.query.get("dryRun") else (status, item)


class BudgetIgnored(Crooked):
    """An eviction is a delete."""

    async def ask(self, sent: Sent) -> Sent:
        is_eviction = sent.path.endswith("/eviction")
        path = sent.path.removesuffix("/eviction")
        return Sent("DELETE", path, {}) if is_eviction else sent

    def tell(self, sent: Sent, status: int, item: Any) -> tuple[int, Any]:
        return (201 if sent.method == "DELETE" and status == 200 else status), item


class BudgetMiscounted(Crooked):
    """A budget allows every healthy pod to go."""

    def tell(self, _sent: Sent, status: int, item: Any) -> tuple[int, Any]:
        if item.get("kind") == "PodDisruptionBudget":
            item["status"]["disruptionsAllowed"] = item["status"]["currentHealthy"]
        return status, item


class NoBookmarks(Crooked):
    """A watch never sends a bookmark."""

    def event(self, event: Any) -> Any:
        return None if event["type"] == "BOOKMARK" else event


class DeletionsLost(Crooked):
    """A watch never says that an object is gone."""

    def event(self, event: Any) -> Any:
        return None if event["type"] == "DELETED" else event


class WatchFromNow(Crooked):
    """A watch begins with what is there now, whatever version it was asked to go on from."""

    async def ask(self, sent: Sent) -> Sent:
        return sent.with_query(resourceVersion="") if sent.query.get("watch") else sent


class WatchUnfiltered(Crooked):
    """A watch forgets its label selector."""

    async def ask(self, sent: Sent) -> Sent:
        return sent.with_query(labelSelector="") if sent.query.get("watch") else sent


class PagesUnlimited(Crooked):
    """A list is one page, whatever limit was asked for."""

    async def ask(self, sent: Sent) -> Sent:
        return sent.with_query(limit="")


class AppliesNeverConflict(Crooked):
    """Every apply is forced."""

    async def ask(self, sent: Sent) -> Sent:
        return sent.with_query(force="true") if "apply-patch" in sent.content_type else sent


class AppliesAreMerges(Crooked):
    """An apply merges what it names: what it names no more stays."""

    async def ask(self, sent: Sent) -> Sent:
        if "apply-patch" not in sent.content_type:
            return sent
        answer = await self.honest.request("GET", sent.path)
        if answer.status == 404:
            return sent
        return replace(sent, content_type="application/strategic-merge-patch+json")


class OneGeneration(Crooked):
    """The generation of an object is not raised by a change of its spec."""

    def tell(self, _sent: Sent, status: int, item: Any) -> tuple[int, Any]:
        if "generation" in _meta(item):
            item["metadata"]["generation"] = 1
            item["status"]["observedGeneration"] = 1
        return status, item


class WrongReason(Crooked):
    """What exists already is refused as any other conflict."""

    def tell(self, _sent: Sent, status: int, item: Any) -> tuple[int, Any]:
        is_there = item.get("reason") == "AlreadyExists"
        return status, item | ({"reason": "Conflict"} if is_there else {})


class ScaleUnconditional(Crooked):
    """A Scale is written over any version."""

    async def ask(self, sent: Sent) -> Sent:
        if sent.method != "PUT" or not sent.path.endswith("/scale"):
            return sent
        meta = {key: value for key, value in _meta(sent.item).items() if key != "resourceVersion"}
        return replace(sent, item=sent.item | {"metadata": meta})


class HistoryUnlimited(Crooked):
    """Old ReplicaSets are kept whatever the limit."""

    async def ask(self, sent: Sent) -> Sent:
        if isinstance(sent.item, dict) and "spec" in sent.item:
            sent.item["spec"].pop("revisionHistoryLimit", None)
        return sent


class RevisionsForgotten(Crooked):
    """A ReplicaSet does not remember the revisions that it had before."""

    def tell(self, _sent: Sent, status: int, item: Any) -> tuple[int, Any]:
        for one in item.get("items", ()):
            _meta(one).get("annotations", {}).pop("deployment.kubernetes.io/revision-history", None)
        return status, item


class RestartsUncounted(Crooked):
    """A container is never restarted, as far as one can see."""

    def tell(self, _sent: Sent, status: int, item: Any) -> tuple[int, Any]:
        for one in item.get("items", ()):
            for container in one.get("status", {}).get("containerStatuses", ()):
                container["restartCount"] = 0
        return status, item
