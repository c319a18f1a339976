"""The API server: bytes, objects, logs, the one writing hand, who somebody is, who leads."""

import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from opsagent.model.entity import Entity, Kind
from opsagent.model.kube import Deployment, KubeObject
from opsagent.model.signal import LogRecord, RowType


@dataclass(frozen=True, slots=True)
class KubeAnswer:
    """One answer of an API server. ``headers`` have lower-case names."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class KubeTransport(Protocol):
    """Authenticated access to one API server as one identity: the real one, or the sim's two faces.

    Neither method raises on an HTTP status; connection trouble and time-outs are ``Transient``.
    """

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = "application/json",
    ) -> KubeAnswer:
        """Send one request and read the whole answer."""
        ...

    def stream(
        self,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        idle_seconds: float | None = None,
    ) -> AbstractAsyncContextManager[tuple[int, AsyncIterator[bytes]]]:
        """GET and yield (status, chunks as they arrive); for watches and logs.

        ``idle_seconds``: of silence after which the connection counts as lost; None for what suits a watch.
        """
        ...

    async def aclose(self) -> None:
        """Close connections."""
        ...


@dataclass(frozen=True, slots=True)
class ListPage:
    """One page of a list. ``continue_token`` is empty on the last page."""

    items: tuple[KubeObject, ...]
    resource_version: str
    continue_token: str
    malformed: int = 0


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One watch event. ``type`` is None for a bookmark, which has no item."""

    type: RowType | None
    resource_version: str
    item: KubeObject | None = None


class ClusterReader(Protocol):
    """Read access to objects and logs.

    Raises (all methods): Transient, Forbidden, NotFound; list and watch also Gone.
    """

    async def list_page(
        self, kind: Kind, *, namespace: str = "", continue_token: str = "", limit: int = 500
    ) -> ListPage:
        """Return one page; an empty ``namespace`` means all."""
        ...

    def watch(
        self, kind: Kind, resource_version: str, *, namespace: str = ""
    ) -> AsyncIterator[WatchEvent]:
        """Yield events after ``resource_version`` until the server ends the watch; malformed ones are counted and skipped."""
        ...

    async def get(self, entity: Entity) -> KubeObject:
        """Return one object."""
        ...

    async def pod_log(
        self, pod: Entity, container: str, *, previous: bool = False, tail_lines: int = 100
    ) -> tuple[LogRecord, ...]:
        """Return the last lines, oldest first; at most 256 KiB are read."""
        ...

    @property
    def malformed_total(self) -> int:
        """Objects that could not be decoded so far."""
        ...


class LogSource(Protocol):
    """Containers' logs as they are written, each line behind the stamp that its container runtime gave it.

    Raises: Transient, also while chunks are read; at the start also Forbidden, Terminal, and NotFound: no such
    pod, or its container has no such log.
    """

    def follow_log(
        self,
        pod: Entity,
        container: str,
        since: dt.datetime | None = None,
        *,
        is_previous: bool = False,
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Yield chunks as they arrive, cut anywhere, until the container ends or the server closes.

        What is rotated away is not there any more, unless it is followed already.

        Args:
            pod: whose.
            container: which of its containers.
            since: lines of that second and later; None means all there are.
            is_previous: the log of the container's life before this one.
        """
        ...


@dataclass(frozen=True, slots=True)
class RawDeployment:
    """A Deployment as the server sent it, for those who write: canonical JSON texts, unredacted."""

    decoded: Deployment
    template_json: str = field(repr=False)
    object_json: str = field(repr=False)


class ClusterWriter(Protocol):
    """The executor's hands. Every write carries the field manager ``opsagent-executor``.

    Raises: Transient, Forbidden, NotFound, Conflict, Terminal (the server calls the write invalid).
    """

    async def read_deployment(self, entity: Entity) -> RawDeployment:
        """Return the Deployment with its whole pod template."""
        ...

    async def template_of_revision(self, deployment: Entity, uid: str, revision: int) -> str:
        """Return the canonical JSON of the template that the owned ReplicaSet of ``revision`` holds, without pod-template-hash."""
        ...

    async def replace_template(
        self,
        deployment: Entity,
        *,
        template_json: str,
        resource_version: str,
        action_id: str,
        is_dry_run: bool,
    ) -> RawDeployment:
        """Replace spec.template and set the annotation ``opsagent.io/action-id`` in one write; Conflict if the version is stale."""
        ...


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a token belongs to, as TokenReview says."""

    username: str
    groups: tuple[str, ...] = ()


class AccessReviewer(Protocol):
    """TokenReview and SubjectAccessReview. Raises Transient when the server cannot answer."""

    async def identify(self, token: str) -> Identity | None:
        """Return the identity behind ``token``, None if it is not valid."""
        ...

    async def may_approve(self, identity: Identity, namespace: str) -> bool:
        """Return whether the identity may ``approve`` ``actionrequests.opsagent.io`` in ``namespace``."""
        ...


class Leadership(Protocol):
    """One active leader. ``run`` calls ``lead`` while the Lease is held and cancels it when it is lost."""

    async def run(self, lead: Callable[[], Awaitable[None]]) -> None:
        """Hold or wait for the Lease until cancelled."""
        ...

    @property
    def is_leader(self) -> bool:
        """Whether the Lease is held now."""
        ...

    @property
    def problem(self) -> str:
        """Why nobody knows who holds it; empty while the Lease can be read and written."""
        ...
