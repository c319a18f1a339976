"""The daemon's REST: probes, status, incidents, and the approvals that wait for a person.

Theory of operation. Everything is read through ``DeskView``, which the composition root implements, and
shown by ``views``. The one thing that a caller can change is a waiting plan, by a click that carries the
plan's hash and the person's own cluster token; the desk judges it. The token lives in one request and goes
nowhere else: validation messages leave out what was sent, and nothing here logs a body.

Bodies are read up to 64 KiB within ten seconds.
"""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Protocol

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from opsagent.api.gate import LOOPBACK_NAMES, Gate
from opsagent.api.replies import failure, reply
from opsagent.api.views import Tree, answer_tree, incident_tree, plan_tree
from opsagent.model.incident import Incident
from opsagent.model.plan import ApprovalAnswer, ApprovalRequest, ApprovalVerdict, PlanRecord
from opsagent.ports import Conflict, Forbidden, NotFound, Terminal, Transient

BODY_BYTES_MAX = 64 * 1024
BODY_TIMEOUT_SECONDS = 10
LIMIT_DEFAULT = 100
LIMIT_MAX = 1000

STATUS_OF = {Transient: 503, Terminal: 500, NotFound: 404, Forbidden: 403, Conflict: 409}


class DeskView(Protocol):
    """What the API may see and pass on. Raises (all coroutines): the exceptions of ports.py."""

    def overdue(self) -> Sequence[str]:
        """Return the tasks whose heartbeat is overdue; empty: the process is alive."""
        ...

    def unready(self) -> Sequence[str]:
        """Return why the daemon cannot do its work now; empty: it is ready."""
        ...

    async def status(self) -> Tree:
        """Return what is watched, how fresh it is and what is degraded."""
        ...

    async def incidents(self, limit: int) -> tuple[Incident, ...]:
        """Return incidents, newest first."""
        ...

    async def incident(self, incident_id: str) -> Incident | None:
        """Return one incident."""
        ...

    async def approvals(self) -> tuple[PlanRecord, ...]:
        """Return the plans that wait for a person, oldest first."""
        ...

    async def decide(self, request: ApprovalRequest) -> ApprovalAnswer:
        """Pass a click on to the desk. Raises NotFound for an unknown plan."""
        ...


class Click(BaseModel):
    """The body of a decision."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    verdict: ApprovalVerdict
    plan_hash: Annotated[str, Field(min_length=1, max_length=128)]
    token: Annotated[SecretStr, Field(min_length=1, max_length=16_384)]
    reason: Annotated[str, Field(max_length=4096)] = ""  # Source: the bound that Teleport sets


class _Endpoints:
    def __init__(self, view: DeskView) -> None:
        self._view = view

    async def healthz(self, _request: Request) -> Response:
        return _probe(self._view.overdue())

    async def readyz(self, _request: Request) -> Response:
        return _probe(self._view.unready())

    async def status(self, _request: Request) -> Response:
        return reply(await self._view.status())

    async def incidents(self, request: Request) -> Response:
        found = await self._view.incidents(_limit(request))
        return reply({"incidents": [incident_tree(item) for item in found]})

    async def incident(self, request: Request) -> Response:
        found = await self._view.incident(request.path_params["incident_id"])
        if found is None:
            raise HTTPException(404, "No such incident; GET /v1/incidents lists those that exist.")
        return reply(incident_tree(found))

    async def approvals(self, _request: Request) -> Response:
        return reply({"approvals": [plan_tree(item) for item in await self._view.approvals()]})

    async def decide(self, request: Request) -> Response:
        click = _click(await _body(request))
        answer = await self._view.decide(
            ApprovalRequest(
                plan_id=request.path_params["plan_id"],
                plan_hash=click.plan_hash,
                verdict=click.verdict,
                token=click.token.get_secret_value(),
                reason=click.reason,
            )
        )
        return reply(answer_tree(answer))


def create_app(view: DeskView, token: str, *, hosts: frozenset[str] = LOOPBACK_NAMES) -> Starlette:
    """Return the ASGI application.

    Args:
        view: what is shown.
        token: the bearer token that every path under /v1 asks for.
        hosts: the names it answers under; empty for any, when it is not bound to loopback.
    """
    ends = _Endpoints(view)
    return Starlette(
        routes=[
            Route("/healthz", ends.healthz),
            Route("/readyz", ends.readyz),
            Route("/v1/status", ends.status),
            Route("/v1/incidents", ends.incidents),
            Route("/v1/incidents/{incident_id}", ends.incident),
            Route("/v1/approvals", ends.approvals),
            Route("/v1/approvals/{plan_id}", ends.decide, methods=["POST"]),
        ],
        middleware=[Middleware(Gate, token=token, hosts=hosts)],
        exception_handlers={
            HTTPException: _http_failure,
            **dict.fromkeys(STATUS_OF, _port_failure),
            500: _unforeseen,
        },
    )


async def _http_failure(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return failure(error.status_code, error.detail)


async def _port_failure(_request: Request, error: Exception) -> Response:
    return failure(STATUS_OF[type(error)], str(error))


async def _unforeseen(_request: Request, _error: Exception) -> Response:
    # The error itself goes on to the server's log; its words may quote what a caller should not see.
    return failure(500, "The daemon failed to answer; its log says why.")


def _probe(reasons: Sequence[str]) -> Response:
    return reply({"is_ok": not reasons, "reasons": list(reasons)}, 503 if reasons else 200)


def _limit(request: Request) -> int:
    text = request.query_params.get("limit", str(LIMIT_DEFAULT))
    limit = int(text) if text.isascii() and text.isdigit() and len(text) < 5 else 0  # noqa: PLR2004 - digits of LIMIT_MAX
    if not 1 <= limit <= LIMIT_MAX:
        raise HTTPException(400, f"limit: give a whole number from 1 to {LIMIT_MAX}.")
    return limit


async def _body(request: Request) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > BODY_BYTES_MAX:
                    raise HTTPException(413, f"Send at most {BODY_BYTES_MAX} bytes.")
    except TimeoutError as error:
        raise HTTPException(408, f"Send the whole body within {BODY_TIMEOUT_SECONDS} s.") from error
    return bytes(body)


def _click(body: bytes) -> Click:
    try:
        return Click.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        # A key that we do not know is not named: it was typed by a caller who holds a token.
        known = [str(part) for part in first["loc"] if part in Click.model_fields]
        raise HTTPException(400, ": ".join([*known, first["msg"]])) from None
