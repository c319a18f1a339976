"""The pages: what a person sees, and the one form in which a person decides. Server-rendered, useful without scripts.

Theory of operation. Every page is rendered anew from ``DeskView`` and never cached. Templates escape each
expression and lose what cannot be printed (``shown.harmless``), so telemetry is text whatever it says; it
stands in a box of its own and is cut. The content security policy allows our own style sheet, icon and
script, forms to ourselves, and nothing else: no inline code, no other host, no frame around us.

Who looks needs a session, see ``session``. A decision needs in addition: an ``Origin`` that is ours, the
session's form token, the hash of the plan as it was shown, and the person's own cluster token. That token
is passed on in the same request; it is not stored, logged, repeated or put into an address. A decision that
did not count shows the plan as it stands now.

News come as server-sent events that only say "something changed": a page never moves under a reader's hand.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from http import HTTPStatus
from importlib.resources import files
from typing import TypeAlias

import structlog
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from opsagent.api import shown
from opsagent.api.body import form_of, read_body
from opsagent.api.desk import DeskView
from opsagent.api.gate import is_own_post
from opsagent.api.replies import STATUS_OF
from opsagent.api.session import SESSION_SECONDS, Session, Sessions
from opsagent.api.views import plan_tree
from opsagent.incidents.words import action_text, short
from opsagent.model.canonical import digest, instant
from opsagent.model.plan import PlanRecord, PlanState

INCIDENTS_MAX = 50  # on one page
TIMELINE_MAX = 60
EVIDENCE_MAX = 10
EVIDENCE_OPEN = 3  # the others are folded
TELEMETRY_BYTES_MAX = 400  # of one piece, as HTML spends them
ROW_BYTES_MAX = 64 * 1024
STREAMS_MAX = 16  # of news; a tab that is not looked at has none
STREAM_SILENT_SECONDS = 15.0  # then a comment is sent, which finds out who left

POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    # Not "no-referrer": with it browsers hide the origin of a form, which is checked here.
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}
STATIC = {"opsagent.css": "text/css", "news.js": "text/javascript", "icon.svg": "image/svg+xml"}

ANOTHER_PLAN = frozenset({"plan.hash", "plan.decided", "plan.expired"})
UNKNOWN_PLAN = "plan.unknown"
NO_SESSION = "This browser has no session here, or it has ended."
NO_LINK = "This link was used already, is too old, or was never ours."
FRESH_LINK = "Run 'opsagent open' where the daemon runs; it prints a fresh link that opens once."
HEADLINES = {
    400: "That could not be read",
    403: "Not allowed",
    404: "Nothing is here",
    409: "It has changed meanwhile",
    503: "Cannot be answered now",
}

Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]

log = structlog.get_logger(__name__)


class _Pages:
    def __init__(self, view: DeskView, sessions: Sessions) -> None:
        self._view = view
        self._sessions = sessions
        self._static = {name: _static(name) for name in STATIC}
        self._templates = _templates(
            {name: digest(text)[:8] for name, text in self._static.items()}
        )
        self._streams = 0

    def routes(self) -> list[Route]:
        """Return every page; all but two need a session."""
        inside: dict[str, Endpoint] = {
            "/": self._overview,
            "/incidents": self._incidents,
            "/incidents/{incident_id}": self._incident,
            "/approvals": self._approvals,
            "/approvals/{plan_id}": self._approval,
            "/rows/{seq}": self._row,
            "/news": self._news,
        }
        return [
            _get("/open/{link}", self._open),
            _get("/static/{name}", self._asset),
            *(_get(path, self._inside(endpoint)) for path, endpoint in inside.items()),
            Route("/approvals/{plan_id}", self._inside(self._decide), methods=["POST"]),
        ]

    def _inside(self, endpoint: Endpoint) -> Endpoint:
        async def checked(request: Request) -> Response:
            if request.method == "POST" and not is_own_post(request.headers):
                raise _refusal("origin", "This did not come from a page of ours. Nothing was done.")
            if _session(request, self._sessions) is None:
                raise _refusal("session", f"{NO_SESSION} {FRESH_LINK}")
            return await endpoint(request)

        return checked

    async def _open(self, request: Request) -> Response:
        secret = self._sessions.redeem(request.path_params["link"])
        if secret is None:
            raise _refusal("link", f"{NO_LINK} {FRESH_LINK}")
        log.info("page.session_opened")
        answer = RedirectResponse("/", 303, HEADERS)
        answer.set_cookie(
            _cookie(request),
            secret,
            max_age=int(SESSION_SECONDS),
            httponly=True,
            samesite="strict",
        )
        return answer

    async def _asset(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in STATIC:
            raise HTTPException(404)
        return Response(
            self._static[name],
            headers=HEADERS | {"cache-control": "max-age=31536000, immutable"},
            media_type=STATIC[name],
        )

    async def _overview(self, request: Request) -> Response:
        news, incidents = self._view.news(), await self._view.incidents(INCIDENTS_MAX)
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
        news, incidents = self._view.news(), await self._view.incidents(INCIDENTS_MAX)
        return await self._page(request, "incidents.html", news=news, incidents=incidents)

    async def _incident(self, request: Request) -> Response:
        incident_id = request.path_params["incident_id"]
        news = self._view.news(incident_id)
        incident = await self._view.incident(incident_id)
        if incident is None:
            raise HTTPException(404, "There is no such incident.")
        plans = tuple(reversed(await self._view.plans(incident_id)))
        return await self._page(
            request,
            "incident.html",
            news=news,
            incident=incident,
            plans=plans,
            incident_waits=any(each.state is PlanState.PENDING for each in plans),
            phases=shown.phases(incident.timeline[-TIMELINE_MAX:]),
            lines_left_out=max(0, len(incident.timeline) - TIMELINE_MAX),
        )

    async def _approvals(self, request: Request) -> Response:
        news = self._view.news()
        return await self._page(
            request, "approvals.html", news=news, waiting=await self._view.approvals()
        )

    async def _approval(self, request: Request) -> Response:
        news, record = self._view.news(), await self._plan(request.path_params["plan_id"])
        return await self._page(request, "approval.html", news=news, record=record)

    async def _decide(self, request: Request) -> Response:
        form = form_of(request.headers.get("content-type", ""), await read_body(request))
        session = _session(request, self._sessions)
        if session is None or not session.has_form(form.form_token.get_secret_value()):
            raise _refusal(
                "form", "The form is not of this session. Load the page and decide again."
            )
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
        text = request.path_params["seq"]
        seq = int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0  # noqa: PLR2004 - digits of an int64
        row = await self._view.row(seq)
        if row is None:
            raise HTTPException(404, "There is no such raw row; old ones are dropped.")
        return await self._page(request, "row.html", row=row, text=shown.row_text(row))

    async def _news(self, request: Request) -> Response:
        after = request.query_params.get("after", "")
        if not (after.isascii() and after.isdigit() and len(after) < 19):  # noqa: PLR2004 - digits of an int64
            raise HTTPException(400, "after: give the number that the page carries.")
        if self._streams >= STREAMS_MAX:
            raise HTTPException(503, "Too many pages listen for news; load this one again.")
        return StreamingResponse(
            self._stream(int(after), request.query_params.get("about", "")),
            headers=HEADERS,
            media_type="text/event-stream",
        )

    async def _stream(self, after: int, incident_id: str) -> AsyncIterator[str]:
        self._streams += 1
        try:
            newest: int | None = after
            while newest is not None:
                try:
                    async with asyncio.timeout(STREAM_SILENT_SECONDS):
                        newest = await self._view.wait_news(newest, incident_id)
                except TimeoutError:
                    yield ":\n\n"
                else:
                    yield f"event: news\ndata: {newest}\n\n" if newest is not None else ""
        finally:
            self._streams -= 1

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
        session = _session(request, self._sessions)
        waiting = values.get("waiting", ())
        if session is not None and "waiting" not in values:
            waiting = await self._view.approvals()
        context = values | {
            "now": self._view.now(),
            "path": request.url.path,
            "form_token": session.form_token if session else "",
            "waiting": waiting,
            "has_session": session is not None,
        }
        text = self._templates.get_template(template).render(context)
        return Response(text, status, HEADERS, media_type="text/html")

    async def trouble(self, _request: Request, error: Exception) -> Response:
        """Return the page of a refusal: what is the matter and what to do."""
        if isinstance(error, HTTPException):
            status, text = error.status_code, error.detail
        else:
            status, text = STATUS_OF[type(error)], str(error)
        return self._trouble_page(status, text)

    async def unforeseen(self, _request: Request, _error: Exception) -> Response:
        """Return the page of our own failure; the error itself goes on to the log."""
        return self._trouble_page(500, "The daemon failed to answer; its log says why.")

    def _trouble_page(self, status: int, text: str) -> Response:
        # It reads nothing of the daemon, so that it can be shown whatever is broken.
        rendered = self._templates.get_template("trouble.html").render(
            now=self._view.now(),
            path="",
            waiting=(),
            has_session=False,
            headline=HEADLINES.get(status, HTTPStatus(status).phrase),
            text=text,
        )
        return Response(rendered, status, HEADERS, media_type="text/html")


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


def _templates(versions: dict[str, str]) -> Environment:
    environment = Environment(
        autoescape=True,
        finalize=shown.harmless,
        loader=PackageLoader("opsagent.api"),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters.update(
        {
            "action": lambda record: action_text(record.plan),
            "href": shown.href,
            "instant": instant,
            "relative": shown.relative,
            "short": short,
            "shortened": shown.shortened,
            "tree": plan_tree,
            "utc": shown.utc,
            "words": lambda value: str(value.value).replace("_", " "),
        }
    )
    environment.globals.update(
        {
            "EVIDENCE_MAX": EVIDENCE_MAX,
            "EVIDENCE_OPEN": EVIDENCE_OPEN,
            "ROW_BYTES_MAX": ROW_BYTES_MAX,
            "TELEMETRY_BYTES_MAX": TELEMETRY_BYTES_MAX,
            "versions": versions,
        }
    )
    return environment


def _static(name: str) -> str:
    return (files("opsagent.api") / "static" / name).read_text(encoding="utf-8")


def _get(path: str, endpoint: Endpoint) -> Route:
    route = Route(path, endpoint, methods=["GET"])
    route.methods = {"GET"}  # not HEAD as well: it would spend a link and hold a stream
    return route


def _cookie(request: Request) -> str:
    """Return the cookie's name, one for each port: browsers share cookies among all ports of a host."""
    return f"opsagent_{request.url.port or ''}"


def _session(request: Request, sessions: Sessions) -> Session | None:
    return sessions.find(request.cookies.get(_cookie(request), ""))


def _refusal(reason: str, text: str) -> HTTPException:
    log.warning("page.refused", rule=f"page.{reason}")
    return HTTPException(403, text)
