"""``ports.ClusterWriter`` over any ``KubeTransport``: the one client that writes to a cluster.

Theory of operation. A write is one JSON patch, so the API server applies it whole or not at all. Its
first operation puts the resourceVersion of the read into the object: if that is no longer the current
one, the server answers 409 and writes nothing. The same patch replaces the pod template and leaves
the action id on the object, so whether a write arrived can be read from the object itself.
Source: API conventions, "Concurrency Control and Consistency"; RFC 6902, RFC 6901 (``~1`` is ``/``).

Only the executor imports this module. It refuses whatever it cannot read completely: a Deployment that
does not decode, a template that is no object, a revision that two ReplicaSets claim.
"""

import json
from collections.abc import AsyncIterator, Mapping

from opsagent.clients.kube_convert_workload import REVISION_ANNOTATION
from opsagent.clients.kube_path import collection_path, object_path
from opsagent.clients.kube_status import raise_for_status
from opsagent.clients.kube_wire import Malformed, decode_object
from opsagent.model.canonical import JsonValue, canonical
from opsagent.model.entity import Entity, Kind
from opsagent.model.kube import Deployment
from opsagent.ports import KubeTransport, NotFound, RawDeployment, Terminal

FIELD_MANAGER = "opsagent-executor"
JSON_PATCH = "application/json-patch+json"
ACTION_ID_POINTER = "/metadata/annotations/opsagent.io~1action-id"
TEMPLATE_HASH_LABEL = "pod-template-hash"  # the controller's; it must not return to a Deployment
PAGE_ITEMS = 500
PAGES_MAX = 20  # 10,000 ReplicaSets in one namespace: more is not a namespace that we can judge


class KubeWriter:
    """Reads and writes Deployments as the transport's identity."""

    def __init__(self, transport: KubeTransport) -> None:
        self._transport = transport

    async def read_deployment(self, entity: Entity) -> RawDeployment:
        """Return the Deployment with its whole pod template.

        Raises:
            NotFound, Forbidden, Transient: see ``kube_status``.
            Terminal: the server's answer is no Deployment.
        """
        path = object_path(entity)
        answer = await self._transport.request("GET", path)
        raise_for_status(answer, f"get {entity}")
        return _raw(answer.body, entity)

    async def template_of_revision(self, deployment: Entity, uid: str, revision: int) -> str:
        """Return the canonical template of the ReplicaSet of ``revision``, without pod-template-hash.

        Raises:
            NotFound: the Deployment owns no such ReplicaSet.
            Terminal: it owns several, or it has no readable template.
        """
        what = f"revision {revision} of {deployment}"
        found = [
            item
            async for item in self._replica_sets(deployment.namespace)
            if _is_revision(item, uid, revision)
        ]
        if not found:
            raise NotFound(f"{what} is not stored")
        template = _part(_part(found[0], "spec"), "template")
        if len(found) > 1 or not template:
            raise Terminal(f"{what} is claimed {len(found)} times, or has no template")
        return canonical(_without_hash(template)).decode()

    async def replace_template(
        self,
        deployment: Entity,
        *,
        template_json: str,
        resource_version: str,
        action_id: str,
        is_dry_run: bool,
    ) -> RawDeployment:
        """Replace spec.template and mark the object in one patch; return it as the server left it.

        The annotations must exist to be added to; a Deployment with a stored revision has them, for
        the controller keeps its number there.

        Raises:
            Conflict: ``resource_version`` is not the current one; nothing was written.
            Terminal: the server calls the result invalid; nothing was written.
            NotFound, Forbidden: nothing was written. Transient: it may have been written.
        """
        patch: JsonValue = [
            {"op": "replace", "path": "/metadata/resourceVersion", "value": resource_version},
            {"op": "replace", "path": "/spec/template", "value": json.loads(template_json)},
            {"op": "add", "path": ACTION_ID_POINTER, "value": action_id},
        ]
        query = {"fieldManager": FIELD_MANAGER} | ({"dryRun": "All"} if is_dry_run else {})
        answer = await self._transport.request(
            "PATCH",
            object_path(deployment),
            query=query,
            body=canonical(patch),
            content_type=JSON_PATCH,
        )
        raise_for_status(answer, f"patch {deployment}")
        return _raw(answer.body, deployment)

    async def _replica_sets(self, namespace: str) -> AsyncIterator[Mapping[str, JsonValue]]:
        """Yield every ReplicaSet of ``namespace`` as JSON, page by page."""
        path = collection_path(Kind.REPLICA_SET, namespace)
        query = {"limit": str(PAGE_ITEMS)}
        for _ in range(PAGES_MAX):
            answer = await self._transport.request("GET", path, query=query)
            raise_for_status(answer, f"list {path}")
            page = _json(answer.body, path)
            items = page.get("items")
            for item in items if isinstance(items, list) else ():
                if isinstance(item, Mapping):
                    yield item
            token = _part(page, "metadata").get("continue")
            if not isinstance(token, str) or not token:
                return
            query = {"limit": str(PAGE_ITEMS), "continue": token}
        raise Terminal(f"list {path}: more than {PAGES_MAX * PAGE_ITEMS} objects")


def _raw(body: bytes, entity: Entity) -> RawDeployment:
    try:
        decoded = decode_object(Kind.DEPLOYMENT, body)
    except Malformed as error:
        raise Terminal(f"{entity} cannot be decoded: {error}") from error
    content = _json(body, str(entity))
    template = _part(_part(content, "spec"), "template")
    if not isinstance(decoded, Deployment) or not template:
        raise Terminal(f"{entity} has no pod template")
    return RawDeployment(decoded, canonical(template).decode(), canonical(content).decode())


def _json(body: bytes, what: str) -> Mapping[str, JsonValue]:
    """Decode a whole object.

    Raises:
        Terminal: it is none.
    """
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Terminal(f"{what} is not JSON") from error
    if not isinstance(content, dict):
        raise Terminal(f"{what} is not an object")
    return content


def _part(content: Mapping[str, JsonValue], key: str) -> Mapping[str, JsonValue]:
    """Return the object under ``key``, an empty one if there is none."""
    part = content.get(key)
    return part if isinstance(part, Mapping) else {}


def _is_revision(item: Mapping[str, JsonValue], uid: str, revision: int) -> bool:
    meta = _part(item, "metadata")
    owners = meta.get("ownerReferences")
    is_owned = any(
        isinstance(owner, Mapping) and owner.get("controller") is True and owner.get("uid") == uid
        for owner in (owners if isinstance(owners, list) else ())
    )
    return is_owned and _part(meta, "annotations").get(REVISION_ANNOTATION) == str(revision)


def _without_hash(template: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
    meta = _part(template, "metadata")
    labels = {
        key: value for key, value in _part(meta, "labels").items() if key != TEMPLATE_HASH_LABEL
    }
    return {**template, "metadata": {**meta, "labels": labels}}
