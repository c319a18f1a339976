"""The API server: who asks, may they, and then the verb.

Sans-IO: a request comes in with the time, an answer or an open watch goes out. Every refusal is a
``v1 Status``. Bodies are checked as far as the sim uses them, not against the whole API.
"""

import datetime as dt
import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from opsagent.ports import Identity, KubeAnswer
from opsagent.sim.access import Access, Attempt, attempt_of, forbidden, forbidden_path
from opsagent.sim.applying import applied, configuration, named_fields
from opsagent.sim.audit import AuditEntry
from opsagent.sim.deletion import delete
from opsagent.sim.errors import (
    StatusError,
    bad_request,
    conflict,
    invalid,
    method_not_allowed,
    no_such_path,
    success,
    unauthorized,
    unprocessable,
)
from opsagent.sim.eviction import evict
from opsagent.sim.listing import list_page
from opsagent.sim.logs import LogFollow, LogQuery
from opsagent.sim.ownership import Write
from opsagent.sim.patching import patched
from opsagent.sim.requests import WRITES, Request, bad_version
from opsagent.sim.resources import LEASES, NAMESPACES, PODS, REVIEWS, Route, route
from opsagent.sim.scaling import scale_of, scaled
from opsagent.sim.selection import selection
from opsagent.sim.shape import misshapen
from opsagent.sim.store import ObjectStore
from opsagent.sim.values import Obj, encode
from opsagent.sim.watch import TIMEOUT_SECONDS, Watch, WatchOptions

Stream: TypeAlias = Watch | LogFollow  # what is fed as it comes
Answer: TypeAlias = KubeAnswer | Stream

VERSION = {"major": "1", "minor": "37", "gitVersion": "v1.37.2+sim", "platform": "sim/none"}
_OPEN_PATHS = frozenset({"/readyz", "/livez", "/healthz", "/version"})
_EVICTED = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
_JSON = {"content-type": "application/json"}
_TEXT = {"content-type": "text/plain; charset=utf-8"}


def _answer(status: int, item: Obj) -> KubeAnswer:
    return KubeAnswer(status, encode(item), _JSON)


def _refusal(error: StatusError) -> KubeAnswer:
    seconds = error.details.get("retryAfterSeconds")
    headers = _JSON | ({"retry-after": str(seconds)} if seconds else {})
    return KubeAnswer(error.code, encode(error.status()), headers)


def _body(request: Request) -> Obj:
    try:
        found = json.loads(request.body)
    except ValueError as error:
        raise bad_request(f"couldn't get version/kind; json parse error: {error}") from error
    if not isinstance(found, dict) or not isinstance(found.get("metadata", {}), dict):
        raise bad_request("the body must be an object with metadata")
    return found


def _placed(sent: Obj, place: Route) -> Obj:
    """Return ``sent`` with the names that its path gives.

    Raises:
        StatusError: 400, body and path contradict each other, or a field has a wrong type.
    """
    if path := misshapen(sent):
        raise bad_request(f"json: cannot unmarshal the value of {path}")
    meta = dict(sent.get("metadata", {}))
    if sent.get("kind", place.resource.kind) != place.resource.kind:
        raise bad_request(f"{sent['kind']} does not match the path of {place.resource.kind}")
    for field_name, value in (("namespace", place.namespace), ("name", place.name)):
        if value and meta.setdefault(field_name, value) != value:
            message = f"the {field_name} of the object ({meta[field_name]}) does not match the URL"
            raise bad_request(message)
    return sent | {"metadata": meta}


@dataclass(slots=True)
class Api:
    """The front door of one cluster."""

    store: ObjectStore
    access: Access
    follow_log: Callable[[Obj, LogQuery], LogFollow | None]
    audit: list[AuditEntry] = field(default_factory=list)
    refusals: deque[int] = field(default_factory=deque)

    def handle(self, request: Request, now: dt.datetime) -> Answer:
        """Answer one request."""
        if request.path in _OPEN_PATHS:
            is_version = request.path == "/version"
            return _answer(200, VERSION) if is_version else KubeAnswer(200, b"ok", _TEXT)
        place = route(request.path)
        identity = self.access.identify(request.token)
        try:
            answer = self._judged(request, place, identity, now)
        except StatusError as error:
            answer = _refusal(error)
        if place is not None:
            self._keep(request, place, identity, answer, now)
        return answer

    def _judged(
        self, request: Request, place: Route | None, identity: Identity | None, now: dt.datetime
    ) -> Answer:
        """Let a known and entitled client through to the verb.

        Raises:
            StatusError: any refusal.
        """
        if self.refusals:
            code = self.refusals.popleft()
            reason = {401: "Unauthorized", 429: "TooManyRequests"}.get(code, "InternalError")
            details = {"retryAfterSeconds": 1} if reason == "TooManyRequests" else {}
            raise StatusError(code, reason, "refused on purpose by the simulation", details)
        if identity is None:
            raise unauthorized()
        if place is None:
            if not self.access.allows(identity, Attempt("get", request.path)):
                raise forbidden_path(identity, request.path)
            raise no_such_path()
        attempt = attempt_of(place, request.verb(place))
        if not self.access.allows(identity, attempt):
            raise forbidden(identity, attempt)
        if place.resource in REVIEWS:
            if attempt.verb != "create":
                raise method_not_allowed()
            return _answer(201, self.access.review(place, _body(request), identity))
        write = Write(request.manager, now, place.subresource, request.is_dry_run(place))
        return self._served(request, place, attempt, write)

    def _served(self, request: Request, place: Route, attempt: Attempt, write: Write) -> Answer:
        if attempt.verb in WRITES:
            return self._written(request, place, attempt, write)
        match attempt.verb:
            case "watch":
                return self._watch(request, place, write.at)
            case "list":
                return self._list(request, place)
            case _:
                return self._get(request, place, write.at)

    def _written(
        self, request: Request, place: Route, attempt: Attempt, write: Write
    ) -> KubeAnswer:
        match attempt.verb:
            case "create" if not place.name:
                sent = _placed(_body(request), place)
                return _answer(201, self.store.create(place.resource, sent, write))
            case "create" if place.subresource == "eviction":
                pod = self.store.get(PODS, place.namespace, place.name)
                evict(self.store, pod, _body(request), write)
                return _answer(201, _EVICTED)
            case "update" | "patch" if place.subresource == "scale":
                return self._scale(request, place, write)
            case "update" if place.name:
                return self._update(_placed(_body(request), place), place, write)
            case "patch" if place.name:
                request.check_patch_options()
                carry_out = self._apply if request.is_apply else self._patch
                return carry_out(request, place, write)
            case "delete" if place.name and not place.subresource:
                return self._delete(request, place, write)
            case _:
                raise method_not_allowed()

    def _update(self, sent: Obj, place: Route, write: Write) -> KubeAnswer:
        """Replace an object. A Lease that is not there is created, unless one with a uid is meant."""
        if place.resource is LEASES and not self.store.find(LEASES, place.namespace, place.name):
            if sent["metadata"].get("uid"):
                raise conflict(LEASES, place.name)
            return _answer(201, self.store.create(LEASES, sent, write))
        return _answer(200, self.store.update(place.resource, sent, write))

    def _get(self, request: Request, place: Route, now: dt.datetime) -> Answer:
        item = self.store.get(place.resource, place.namespace, place.name)
        match place.subresource:
            case "log":
                return self._log(request, item, now)
            case "scale":
                return _answer(200, scale_of(item))
            case "eviction":
                raise method_not_allowed()
            case _:
                return _answer(200, item)

    def _log(self, request: Request, pod: Obj, now: dt.datetime) -> Answer:
        query = request.log_query()
        follow = self.follow_log(pod, query)
        if follow is not None and query.is_followed:
            return follow
        return KubeAnswer(200, follow.take(now) if follow else b"", _TEXT)

    def _list(self, request: Request, place: Route) -> KubeAnswer:
        wanted = selection(place.resource, place.namespace, request.query)
        if (version := request.number("resourceVersion") or 0) > self.store.version:
            raise bad_version(version, self.store.version)
        limit = request.number("limit") or 0
        token = request.query.get("continue", "")
        return _answer(200, list_page(self.store, wanted, limit, token))

    def _watch(self, request: Request, place: Route, now: dt.datetime) -> Watch:
        options = WatchOptions(
            request.number("resourceVersion") or None,
            wants_bookmarks=request.query.get("allowWatchBookmarks") in {"true", "1"},
            timeout_seconds=request.number("timeoutSeconds") or TIMEOUT_SECONDS,
        )
        wanted = selection(place.resource, place.namespace, request.query)
        return Watch(self.store, wanted, options, now)

    def _patch(self, request: Request, place: Route, write: Write) -> KubeAnswer:
        old = self.store.get(place.resource, place.namespace, place.name)
        new = patched(old, request.body, request.content_type)
        if "metadata" not in new:
            raise bad_request(f"the name of the object ({place.name} in the URL) was taken away")
        if path := misshapen(new):
            raise unprocessable(f"the patch leaves an invalid value at {path}")
        if new["metadata"].get("uid", old["metadata"]["uid"]) != old["metadata"]["uid"]:
            causes = [("metadata.uid", "Invalid value: field is immutable")]
            raise invalid(place.resource, place.name, causes)
        return _answer(200, self.store.update(place.resource, _placed(new, place), write))

    def _apply(self, request: Request, place: Route, write: Write) -> KubeAnswer:
        """Create or change an object by server-side apply."""
        sent = _placed(configuration(request.body), place)
        write = replace(write, applied=named_fields(sent))
        old = self.store.find(place.resource, place.namespace, place.name)
        if old is None:
            return _answer(201, self.store.create(place.resource, sent, write))
        new = applied(old, sent, write, is_forced=request.is_forced)
        return _answer(200, self.store.update(place.resource, new, write))

    def _scale(self, request: Request, place: Route, write: Write) -> KubeAnswer:
        """Change the replicas alone; a Scale without a version is written over any."""
        old = self.store.get(place.resource, place.namespace, place.name)
        if request.method == "PATCH":
            sent = patched(scale_of(old), request.body, request.content_type)
        else:
            sent = _body(request)
        new = self.store.update(place.resource, scaled(old, sent), write)
        return _answer(200, scale_of(new))

    def _delete(self, request: Request, place: Route, write: Write) -> KubeAnswer:
        item = self.store.get(place.resource, place.namespace, place.name)
        options = _body(request) if request.body else {}
        meta = item["metadata"]
        for field_name, value in (options.get("preconditions") or {}).items():
            if meta.get(field_name) != value:
                raise conflict(place.resource, place.name)
        grace = options.get("gracePeriodSeconds", request.number("gracePeriodSeconds"))
        if not write.is_dry_run:
            item = delete(self.store, place.resource, item, write.at, grace)
        shows_it = place.resource in {PODS, NAMESPACES}
        return _answer(200, item if shows_it else success(place.resource, item))

    def _keep(
        self,
        request: Request,
        place: Route,
        identity: Identity | None,
        answer: Answer,
        now: dt.datetime,
    ) -> None:
        """Write the audit entry of a write or review."""
        attempt = attempt_of(place, request.verb(place))
        if attempt.verb not in WRITES:
            return
        assert isinstance(answer, KubeAnswer)
        self.audit.append(
            AuditEntry(
                at=now,
                user=identity.username if identity else "",
                verb=attempt.verb,
                resource=attempt.resource,
                namespace=attempt.namespace,
                name=attempt.name or _name_in(answer),
                is_dry_run=request.query.get("dryRun") == "All",
                status=answer.status,
            )
        )


def _name_in(answer: KubeAnswer) -> str:
    """Return the name of a created object; reviews have none."""
    return str(json.loads(answer.body).get("metadata", {}).get("name", ""))
