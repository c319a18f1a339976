"""The pages: what a person sees, and the one form in which a person decides. Server-rendered, useful without scripts.

Theory of operation. Every page is rendered anew from ``DeskView`` and never cached; ``render`` says how it
stays harmless. Who looks needs a session, see ``session``. A decision needs in addition: an ``Origin`` that is
ours, the session's form token, the hash of the plan as it was shown, and the person's own cluster token. That
token is passed on in the same request; it is not stored, logged, repeated or put into an address. A decision
that did not count shows the plan as it stands now.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from opsagent.api import shown, transcripts
from opsagent.api.desk import DeskView
from opsagent.api.gate import is_own_post
from opsagent.api.inputs import form_of, number, read_body
from opsagent.api.live import Live
from opsagent.api.render import BOUNDS, HEADERS, Renderer
from opsagent.api.replies import STATUS_OF
from opsagent.api.session import SESSION_SECONDS, Sessions
from opsagent.model.plan import PlanRecord, PlanState
from opsagent.model.transcript import Entry

LOOKED_AT_MAX = 1000  # incidents, to count those that are open
SEQ_MAX = 2**63 - 1

ANOTHER_PLAN = frozenset({"plan.hash", "plan.decided", "plan.expired"})
UNKNOWN_PLAN = "plan.unknown"

NO_SESSION = "This browser has no session here, or it has ended."
NO_LINK = "This link was used already, is too old, or was never ours."
FRESH_LINK = "Run 'opsagent open' where the daemon runs; it prints a fresh link that opens once."
NOT_OURS = "This did not come from a page of ours. Nothing was done."
NOT_THIS_FORM = "The form is not of this session. Load the page and decide again."

Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]

log = structlog.get_logger(__name__)


class _Pages:
    def __init__(self, view: DeskView, sessions: Sessions) -> None:
        self._view = view
        self._sessions = sessions
        self._render = Renderer(view.now)
        self._live = Live(view)

    def routes(self) -> list[Route]:
        """Return every page; all but two need a session."""
        inside: dict[str, Endpoint] = {
            "/": self._overview,
            "/incidents": self._incidents,
            "/incidents/{incident_id}": self._incident,
            "/incidents/{incident_id}/investigation": self._newest_investigation,
            "/investigations/{investigation_id}": self._investigation,
            "/approvals": self._approvals,
            "/approvals/{plan_id}": self._approval,
            "/rows/{seq}": self._row,
            "/news": self._live.news,
        }
        return [
            _get("/open/{link}", self._open),
            _get("/static/{name}", self._asset),
            *(_get(path, self._inside(endpoint)) for path, endpoint in inside.items()),
            Route("/approvals/{plan_id}", self._inside(self._decide), methods=["POST"]),
        ]

    def _inside(self, endpoint: Endpoint) -> Endpoint:
        """Return ``endpoint`` for those who have a session, and for posts from our own pages."""

        async def checked(request: Request) -> Response:
            if request.method == "POST" and not is_own_post(request.headers):
                raise _refusal("origin", NOT_OURS)
            session = self._sessions.find(request.cookies.get(_cookie(request), ""))
            if session is None:
                raise _refusal("session", f"{NO_SESSION} {FRESH_LINK}")
            request.state.session = session
            return await endpoint(request)

        return checked

    async def _open(self, request: Request) -> Response:
        secret = self._sessions.redeem(request.path_params["link"])
        if secret is None:
            raise _refusal("link", f"{NO_LINK} {FRESH_LINK}")
        log.info("page.session_opened")
        answer = RedirectResponse("/", 303, HEADERS)
        age = int(SESSION_SECONDS)
        answer.set_cookie(_cookie(request), secret, max_age=age, httponly=True, samesite="strict")
        return answer

    async def _asset(self, request: Request) -> Response:
        asset = self._render.asset(request.path_params["name"])
        if asset is None:
            raise HTTPException(404, "There is no such file.")
        return asset

    async def _overview(self, request: Request) -> Response:
        news, incidents = self._view.news(), await self._view.incidents(LOOKED_AT_MAX)
        waiting = await self._view.approvals()
        open_now = [each for each in incidents if shown.is_open(each)]
        status = await self._view.status()
        return await self._page(
            request,
            "overview.html",
            news=news,
            waiting=waiting,
            overview=shown.overview(status, open_now, len(waiting), self._view.overdue()),
            incidents=open_now,
            last=next((each for each in incidents if not shown.is_open(each)), None),
        )

    async def _incidents(self, request: Request) -> Response:
        news, incidents = self._view.news(), await self._view.incidents(BOUNDS["INCIDENTS_MAX"])
        return await self._page(request, "incidents.html", news=news, incidents=incidents)

    async def _incident(self, request: Request) -> Response:
        incident_id = request.path_params["incident_id"]
        news = self._view.news(incident_id)
        incident = await self._view.incident(incident_id)
        if incident is None:
            raise HTTPException(404, "There is no such incident.")
        plans = tuple(reversed(await self._view.plans(incident_id)))
        newest = incident.timeline[-BOUNDS["TIMELINE_MAX"] :]
        return await self._page(
            request,
            "incident.html",
            news=news,
            incident=incident,
            plans=plans,
            is_asking=any(each.state is PlanState.PENDING for each in plans),
            phases=shown.phases(newest),
            lines_left_out=len(incident.timeline) - len(newest),
            is_investigated=bool((await self._view.investigation(incident_id))[0]),
        )

    async def _newest_investigation(self, request: Request) -> Response:
        incident_id = request.path_params["incident_id"]
        name, entries = await self._view.investigation(incident_id)
        return await self._transcript(request, name, entries, incident_id)

    async def _investigation(self, request: Request) -> Response:
        name = request.path_params["investigation_id"]
        return await self._transcript(request, name, await self._view.transcript(name))

    async def _transcript(
        self, request: Request, name: str, entries: Sequence[Entry], incident_id: str = ""
    ) -> Response:
        if not entries:
            raise HTTPException(404, "There is no such investigation; old ones are dropped.")
        rows = transcripts.rows(entries)
        newest = transcripts.newest(rows)
        texts = sum(len(row.said) for row in newest)
        return await self._page(
            request,
            "investigation.html",
            investigation_id=name,
            incident_id=incident_id,
            began_at=entries[0].at,
            summary=transcripts.summary(entries),
            rows=newest,
            rows_left_out=len(rows) - len(newest),
            bytes_max=BOUNDS["TRANSCRIPT_BYTES_MAX"] // max(texts, 1),
        )

    async def _approvals(self, request: Request) -> Response:
        return await self._page(request, "approvals.html", news=self._view.news())

    async def _approval(self, request: Request) -> Response:
        news, record = self._view.news(), await self._plan(request.path_params["plan_id"])
        return await self._page(request, "approval.html", news=news, record=record)

    async def _decide(self, request: Request) -> Response:
        form = form_of(request.headers.get("content-type", ""), await read_body(request))
        if not request.state.session.has_form(form.form_token.get_secret_value()):
            raise _refusal("form", NOT_THIS_FORM)
        plan_id = request.path_params["plan_id"]
        news, answer = self._view.news(), await self._view.decide(form.of(plan_id))
        if answer.rule == UNKNOWN_PLAN:
            raise HTTPException(404, "There is no such plan.")
        record = await self._plan(plan_id)
        if answer.is_accepted:
            return RedirectResponse(f"/incidents/{record.plan.proposal.incident_id}", 303, HEADERS)
        log.warning("page.refused", rule=answer.rule)
        return await self._page(
            request,
            "approval.html",
            409 if answer.rule in ANOTHER_PLAN else 403,
            news=news,
            record=await self._newest(record),
            refusal=answer,
        )

    async def _row(self, request: Request) -> Response:
        row = await self._view.row(number(request.path_params["seq"], SEQ_MAX) or 0)
        if row is None:
            raise HTTPException(404, "There is no such raw row; old ones are dropped.")
        return await self._page(request, "row.html", row=row, text=shown.row_text(row))

    async def _plan(self, plan_id: str) -> PlanRecord:
        for record in await self._view.plans():
            if record.plan.plan_id == plan_id:
                return record
        raise HTTPException(404, "There is no such plan.")

    async def _newest(self, record: PlanRecord) -> PlanRecord:
        """Return the plan that waits now for the same incident, else ``record``."""
        plans = await self._view.plans(record.plan.proposal.incident_id)
        waiting = [each for each in plans if each.state is PlanState.PENDING]
        return waiting[-1] if waiting else record

    async def _page(
        self, request: Request, template: str, status: int = 200, **values: object
    ) -> Response:
        if "waiting" not in values:
            values["waiting"] = await self._view.approvals()
        form_token = request.state.session.form_token
        return self._render.page(
            template, status, path=request.url.path, form_token=form_token, **values
        )

    async def trouble(self, _request: Request, error: Exception) -> Response:
        """Return the page of a refusal: what is the matter and what to do."""
        if isinstance(error, HTTPException):
            return self._render.trouble(error.status_code, error.detail)
        return self._render.trouble(STATUS_OF[type(error)], str(error))

    async def unforeseen(self, _request: Request, _error: Exception) -> Response:
        """Return the page of our own failure; the error itself goes on to the log."""
        return self._render.trouble(500, "The daemon failed to answer; its log says why.")


def create_pages(view: DeskView, sessions: Sessions) -> Starlette:
    """Return the ASGI application of the pages; the host name is checked in front of it."""
    pages = _Pages(view, sessions)
    return Starlette(
        routes=pages.routes(),
        exception_handlers={
            HTTPException: pages.trouble,
            **dict.fromkeys(STATUS_OF, pages.trouble),
            500: pages.unforeseen,
        },
    )


def _get(path: str, endpoint: Endpoint) -> Route:
    route = Route(path, endpoint, methods=["GET"])
    route.methods = {"GET"}  # not HEAD as well: it would spend a link and hold a stream
    return route


def _cookie(request: Request) -> str:
    """Return the cookie's name, one for each port: browsers share cookies among all ports of a host."""
    return f"opsagent_{request.url.port or ''}"


def _refusal(reason: str, text: str) -> HTTPException:
    log.warning("page.refused", rule=f"page.{reason}")
    return HTTPException(403, text)
