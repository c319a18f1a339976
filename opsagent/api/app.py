"""The daemon's server: probes, REST for the command line, pages for people.

Theory of operation. Everything is read through ``DeskView`` and shown by ``views``. The one thing that a
caller can change is a waiting plan, by a click that carries the plan's hash and the person's own cluster
token; the desk judges it. The token lives in one request and goes nowhere else: validation messages leave
out what was sent, and nothing here logs a body.

REST answers in JSON, its refusals too; what is not under /v1 and no probe belongs to ``pages``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from opsagent.api import alertmanager
from opsagent.api.desk import DeskView
from opsagent.api.gate import BEARER_PATH, Gate
from opsagent.api.inputs import click_of, number, read_body
from opsagent.api.pages import create_pages
from opsagent.api.replies import STATUS_OF, failure, reply
from opsagent.api.session import Sessions
from opsagent.api.transcripts import investigation_tree
from opsagent.api.views import answer_tree, incident_tree, plan_tree
from opsagent.ports import AlertIntake

LIMIT_DEFAULT = 100
LIMIT_MAX = 1000


@dataclass(frozen=True, slots=True)
class Alerts:
    """What an Alertmanager reports to, and the bearer token that it sends."""

    intake: AlertIntake
    token: str = field(repr=False)


class _Endpoints:
    def __init__(self, view: DeskView, sessions: Sessions) -> None:
        self._view = view
        self._sessions = sessions

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

    async def investigation(self, request: Request) -> Response:
        name, entries = await self._view.investigation(request.path_params["incident_id"])
        if not entries:
            raise HTTPException(404, "No investigation of this incident by a model is kept.")
        return reply(investigation_tree(name, entries))

    async def approvals(self, _request: Request) -> Response:
        return reply({"approvals": [plan_tree(item) for item in await self._view.approvals()]})

    async def decide(self, request: Request) -> Response:
        click = click_of(await read_body(request))
        return reply(answer_tree(await self._view.decide(click.of(request.path_params["plan_id"]))))

    async def link(self, _request: Request) -> Response:
        return reply({"path": link_path(self._sessions)}, 201)


def create_app(
    view: DeskView, token: str, sessions: Sessions, alerts: Alerts | None = None
) -> Starlette:
    """Return the ASGI application.

    Args:
        view: what is shown.
        token: the bearer token that every path under /v1 asks for.
        sessions: who may look at the pages.
        alerts: where an Alertmanager may report to; without it there is no such path.
    """
    ends = _Endpoints(view, sessions)
    hooks, tokens = [], {}
    if alerts is not None:
        hooks.append(
            Route(alertmanager.PATH, alertmanager.webhook(alerts.intake), methods=["POST"])
        )
        tokens[BEARER_PATH + alertmanager.PATH] = alerts.token
    return Starlette(
        routes=[
            Route("/healthz", ends.healthz),
            Route("/readyz", ends.readyz),
            Mount(
                BEARER_PATH,
                routes=[
                    *hooks,
                    Route("/status", ends.status),
                    Route("/incidents", ends.incidents),
                    Route("/incidents/{incident_id}", ends.incident),
                    Route("/incidents/{incident_id}/investigation", ends.investigation),
                    Route("/approvals", ends.approvals),
                    Route("/approvals/{plan_id}", ends.decide, methods=["POST"]),
                    Route("/links", ends.link, methods=["POST"]),
                ],
            ),
            Mount("/", app=create_pages(view, sessions)),
        ],
        middleware=[Middleware(Gate, token=token, others=tokens)],
        exception_handlers={
            HTTPException: _http_failure,
            **dict.fromkeys(STATUS_OF, _port_failure),
            500: _unforeseen,
        },
    )


def link_path(sessions: Sessions) -> str:
    """Return the path of a fresh one-time link to the pages."""
    return f"/open/{sessions.link()}"


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
    limit = number(request.query_params.get("limit", str(LIMIT_DEFAULT)), LIMIT_MAX)
    if not limit:
        raise HTTPException(400, f"limit: give a whole number from 1 to {LIMIT_MAX}.")
    return limit
