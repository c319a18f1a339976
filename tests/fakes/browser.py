"""A visitor of the pages without a browser: keeps cookies, reads forms, takes pages apart."""

import dataclasses
import html
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser

import httpx2

from opsagent.api.app import create_app, link_path
from opsagent.api.session import Sessions
from opsagent.model.entity import Kind
from opsagent.model.signal import RawRow, RowType
from tests.fakes.desk_view import ScriptedView, fresh_sessions
from tests.fakes.incidents import PLAIN
from tests.fakes.plans import NOW, deployment, record

RECORD = record()
PLAN = RECORD.plan.plan_id
HERE = "http://127.0.0.1:8321"
OURS = {"origin": HERE, "sec-fetch-site": "same-origin"}


@asynccontextmanager
async def stranger(
    view: ScriptedView | None = None, sessions: Sessions | None = None
) -> AsyncIterator[httpx2.AsyncClient]:
    """Yield somebody without a session."""
    app = create_app(view or ScriptedView(), "the-daemons-token", sessions or fresh_sessions())
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url=HERE) as client:
        yield client


@asynccontextmanager
async def visitor(view: ScriptedView | None = None) -> AsyncIterator[httpx2.AsyncClient]:
    """Yield somebody who opened a link."""
    sessions = fresh_sessions()
    async with stranger(view, sessions) as client:
        answer = await client.get(link_path(sessions))
        assert answer.status_code == 303
        yield client


@dataclass
class Markup(HTMLParser):
    """The tags of a page in order, and its forms' fields."""

    tags: list[tuple[str, Mapping[str, str | None]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def names(self) -> set[str]:
        return {tag for tag, _ in self.tags}

    def of(self, name: str) -> list[Mapping[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]


def taken_apart(page: str) -> Markup:
    markup = Markup()
    markup.feed(page)
    markup.close()
    return markup


def form(page: str) -> dict[str, str]:
    """Return the fields of the page's decision form as a browser would send them untouched."""
    fields = {
        str(each["name"]): str(each.get("value") or "")
        for each in taken_apart(page).of("input")
        if "name" in each
    }
    assert fields, "there is no form"
    return fields


def furnished(**changes: object) -> ScriptedView:
    """Return a daemon with one open incident, its plan waiting, and one raw row."""
    row = RawRow(7, NOW, RowType.MODIFIED, Kind.DEPLOYMENT, deployment())
    base = ScriptedView(shown=(PLAIN,), waiting=(RECORD,), rows={7: row})
    return dataclasses.replace(base, **changes)


def words(answer: httpx2.Response) -> str:
    """Return what a reader sees of a page, on one line."""
    text = re.sub(r"<(title|script|style).*?</\1>", " ", answer.text, flags=re.DOTALL)
    line = " ".join(html.unescape(re.sub(r"<[^>]*>", " ", text)).split())
    return re.sub(r" ([,.;:?)])", r"\1", line)


async def sent(
    client: httpx2.AsyncClient, page: str = f"/approvals/{PLAN}", **changes: str
) -> httpx2.Response:
    """Fill in the form of ``page`` as alice would, with ``changes``, and press a button."""
    fields = form((await client.get(page)).text)
    fields |= {"token": "alice's own token", "verdict": "approve"} | changes
    return await client.post(f"/approvals/{PLAN}", data=fields, headers=OURS)
