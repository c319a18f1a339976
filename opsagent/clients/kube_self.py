"""What an identity may do, asked of the API server by itself (SelfSubjectAccessReview), and who answers.

Everybody may ask about themselves (role ``system:basic-user``), so these questions need no right. An
answer other than a clear yes is a no. Source: authorization.k8s.io/v1 reference.
"""

import datetime as dt
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TypeVar

import msgspec

from opsagent.clients.kube_path import collection_path
from opsagent.clients.kube_status import raise_for_status
from opsagent.model.entity import Kind
from opsagent.ports import KubeTransport, Transient

SELF_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


@dataclass(frozen=True, slots=True)
class Right:
    """One verb on one resource; an empty ``namespace`` means all of them."""

    verb: str
    resource: str
    group: str = ""
    subresource: str = ""
    namespace: str = ""

    def __str__(self) -> str:
        """``list deployments.apps in shop``."""
        whole = ".".join(part for part in (self.resource, self.group) if part)
        what = f"{whole}/{self.subresource}" if self.subresource else whole
        return f"{self.verb} {what} in {self.namespace or 'all namespaces'}"


def right_on(kind: Kind, verb: str, namespace: str = "") -> Right:
    """Return the right to ``verb`` objects of ``kind``."""
    _, root, *group, _, resource = collection_path(kind).split("/")
    assert root in ("api", "apis")
    return Right(verb, resource, group[0] if group else "", namespace=namespace)


@dataclass(frozen=True, slots=True)
class Server:
    """Who answered. ``at`` is the server's own clock in whole seconds, None if it does not say."""

    version: str
    at: dt.datetime | None


class _Status(msgspec.Struct):
    allowed: bool = False
    denied: bool = False


class _Review(msgspec.Struct):
    status: _Status


class _Version(msgspec.Struct, rename="camel"):
    git_version: str = ""


T = TypeVar("T", _Review, _Version)


class KubeSelf:
    """Asks as the transport's identity.

    Raises (all methods): Transient, Forbidden (the identity is not known), Terminal.
    """

    def __init__(self, transport: KubeTransport) -> None:
        self._transport = transport

    async def may(self, right: Right) -> bool:
        """Return whether the identity has ``right``."""
        attributes = {
            "verb": right.verb,
            "group": right.group,
            "resource": right.resource,
            "subresource": right.subresource,
            "namespace": right.namespace,
        }
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        answer = await self._transport.request(
            "POST", SELF_REVIEWS, body=msgspec.json.encode(review)
        )
        raise_for_status(answer, f"POST {SELF_REVIEWS}")
        status = _decoded(answer.body, _Review).status
        return status.allowed and not status.denied

    async def server(self) -> Server:
        """Return the server's version and clock."""
        answer = await self._transport.request("GET", "/version")
        raise_for_status(answer, "GET /version")
        try:
            at = parsedate_to_datetime(answer.headers.get("date", "")).astimezone(dt.UTC)
        except ValueError:
            at = None
        return Server(_decoded(answer.body, _Version).git_version[:80], at)


def _decoded(body: bytes, shape: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Transient("the answer is not that of a Kubernetes API server") from error
