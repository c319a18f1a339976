"""Turns values into pages: templates, our own few files, and the headers that keep a page what it is.

Templates escape each expression and lose what cannot be printed (``shown.harmless``), so telemetry is text
whatever it says; it stands in a box of its own and is cut. The content security policy allows our own style
sheet, icon and script, forms to ourselves, and nothing else: no inline code, no other host, no frame around us.
"""

import datetime as dt
from collections.abc import Callable, Mapping
from http import HTTPStatus
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import Response

from opsagent.api import shown
from opsagent.api.views import plan_tree
from opsagent.incidents.words import action_text
from opsagent.model.canonical import digest, instant

# Bounds of one page, so that none is larger than 100 KB. A plan's diff alone is never cut: what a person
# approves is shown whole, and the guard has bounded it.
BOUNDS = {
    "INCIDENTS_MAX": 50,
    "ROWS_MAX": 20,  # of each list on the overview
    "PLANS_MAX": 3,
    "TIMELINE_MAX": 50,
    "EVIDENCE_MAX": 10,
    "EVIDENCE_OPEN": 3,  # the others are folded
    "TELEMETRY_BYTES_MAX": 400,  # of one piece, as HTML spends them
    "NAME_BYTES_MAX": 100,
    "ROW_BYTES_MAX": 64 * 1024,
    "TRANSCRIPT_BYTES_MAX": 48 * 1024,  # of all texts of an investigation together
}

POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    # Not "no-referrer": with it browsers hide the origin of a form, which is checked.
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}
STATIC = {"opsagent.css": "text/css", "news.js": "text/javascript", "icon.svg": "image/svg+xml"}

HEADLINES = {
    400: "That could not be read",
    403: "Not allowed",
    404: "Nothing is here",
    409: "It has changed meanwhile",
    503: "Cannot be answered now",
}


class Renderer:
    """Renders pages as of ``now()``."""

    def __init__(self, now: Callable[[], dt.datetime]) -> None:
        self._now = now
        self._static = {name: _static(name) for name in STATIC}
        versions = {name: digest(text)[:8] for name, text in self._static.items()}
        self._templates = _templates(versions)

    def page(self, template: str, status: int = 200, **values: object) -> Response:
        """Return a page for somebody who has a session."""
        return self._answer(template, status, values | {"has_session": True})

    def trouble(self, status: int, text: str) -> Response:
        """Return the page of a refusal: it needs nothing of the daemon, so it can be shown whatever is broken."""
        headline = HEADLINES.get(status, HTTPStatus(status).phrase)
        values = {"path": "", "waiting": (), "has_session": False}
        return self._answer("trouble.html", status, values | {"headline": headline, "text": text})

    def asset(self, name: str) -> Response | None:
        """Return one of our own files, None for any other name; its address changes with its content."""
        if name not in STATIC:
            return None
        headers = HEADERS | {"cache-control": "max-age=31536000, immutable"}
        return Response(self._static[name], headers=headers, media_type=STATIC[name])

    def _answer(self, template: str, status: int, values: Mapping[str, object]) -> Response:
        text = self._templates.get_template(template).render(values, now=self._now())
        return Response(text, status, HEADERS, media_type="text/html")


def _templates(versions: Mapping[str, str]) -> Environment:
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
            "shortened": shown.shortened,
            "tree": plan_tree,
            "utc": shown.utc,
            "words": lambda value: str(value.value).replace("_", " "),
        }
    )
    environment.globals.update(BOUNDS, versions=versions)
    return environment


def _static(name: str) -> str:
    return (files("opsagent.api") / "static" / name).read_text(encoding="utf-8")
