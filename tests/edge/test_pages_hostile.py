"""Telemetry that wants to be markup, script, or another direction: on every page it stays text, and pages stay small."""

import dataclasses
import json
import random
import re
from collections.abc import Iterator
from importlib.resources import files
from itertools import cycle
from urllib.parse import quote

import pytest

from opsagent.api.render import POLICY
from opsagent.api.shown import harmless, href, row_text, shortened
from opsagent.model.plan import ApprovalAnswer, FieldChange, PlanState
from tests.fakes.browser import OURS, Markup, form, taken_apart, visitor, words
from tests.fakes.desk_view import ScriptedView
from tests.fakes.hostile import FLOODS, MARKUP, STEERING_CHARACTERS, TEXTS
from tests.fakes.incidents import hostile_incident, hostile_record, hostile_row
from tests.fakes.plans import plan, record

PAGE_BYTES_MAX = 100_000
DECIDED = (PlanState.PENDING, PlanState.APPROVED, PlanState.SENT, PlanState.ROLLED_BACK)
OWN_TAGS = {
    "a", "bdi", "body", "button", "code", "dd", "details", "div", "dl", "dt", "form", "h1", "h2", "h3", "head", "header",
    "html", "input", "label", "li", "link", "main", "meta", "nav", "ol", "p", "pre", "script", "section", "span", "strong",
    "summary", "table", "tbody", "td", "th", "thead", "time", "title", "tr", "ul",
}  # fmt: skip
OWN_PLACES = re.compile(
    r"/|#content|#decide|/static/[a-z.]+\?v=[0-9a-f]{8}|/(incidents|investigations|approvals|rows)(/[\w%.~-]+)?"
)


def hostile_view(texts: Iterator[str]) -> tuple[ScriptedView, str]:
    """Return a daemon that repeats hostile texts everywhere, and the id of its waiting plan."""
    waiting, decided = hostile_record(texts, PlanState.PENDING), hostile_record(texts, *DECIDED)
    other = dataclasses.replace(decided.plan, plan_id="pln_00000000000000ff")
    tree = {
        "cluster": next(texts), next(texts): next(texts), "is_leader": False, "unready": [next(texts)],
        "sources": {next(texts): {"objects": 1, "is_synced": True, "lag_seconds": 1, "last_error": next(texts)}},
        "restarts": {next(texts): {"restarts": 3, "last_error": next(texts)}}, "counters": {next(texts): 1},
    }  # fmt: skip
    incident = hostile_incident(texts)
    view = ScriptedView(
        shown=(incident,) * 60,
        waiting=(waiting,),
        decided=(dataclasses.replace(decided, plan=other),),
        rows={7: hostile_row(texts)},
        overdue_tasks=[next(texts)],
        tree=tree,
    )
    return view, waiting.plan.plan_id


async def pages_of(view: ScriptedView, plan_id: str) -> dict[str, str]:
    """Return every page of a daemon, a refused decision and a page of trouble among them."""
    paths = (
        "/",
        "/incidents",
        "/incidents/inc_1",
        "/approvals",
        f"/approvals/{plan_id}",
        "/rows/7",
    )
    async with visitor(view) as client:
        pages = {path: (await client.get(path)) for path in paths}
        fields = form(pages[f"/approvals/{plan_id}"].text) | {"token": "x", "verdict": "deny"}
        view.answers.append(
            ApprovalAnswer(
                False, "right.missing", next(iter(view.overdue_tasks)), PlanState.PENDING
            )
        )
        pages["refused"] = await client.post(f"/approvals/{plan_id}", data=fields, headers=OURS)
    assert [each.status_code for each in pages.values()] == [200] * 6 + [403]
    assert all(each.headers["content-security-policy"] == POLICY for each in pages.values())
    return {path: answer.text for path, answer in pages.items()}


def assert_harmless(markup: Markup) -> None:
    """Fail if a page has anything that we did not put there."""
    assert markup.names() <= OWN_TAGS
    assert [each["src"] for each in markup.of("script")] == [markup.of("script")[0]["src"]]
    for tag, attributes in markup.tags:
        assert not [name for name in attributes if name.startswith("on") or name == "style"], tag
        for name in ("href", "src", "action"):
            place = attributes.get(name)
            assert not place or OWN_PLACES.fullmatch(place), (tag, place)


@pytest.mark.parametrize("seed", range(4))
async def test_hostile_texts_stay_texts_on_every_page(seed: int) -> None:
    texts = list(TEXTS)
    random.Random(seed).shuffle(texts)
    for path, page in (await pages_of(*hostile_view(cycle(texts)))).items():
        assert_harmless(taken_apart(page))
        assert not STEERING_CHARACTERS & set(page), path
        assert len(page.encode()) < PAGE_BYTES_MAX, path


@pytest.mark.parametrize("text", FLOODS, ids=lambda text: f"{ord(text[0]):x}")
async def test_a_flood_of_what_is_dear_in_html_keeps_pages_small(text: str) -> None:
    for path, page in (await pages_of(*hostile_view(cycle([text])))).items():
        assert len(page.encode()) < PAGE_BYTES_MAX, path


async def test_a_page_of_trouble_is_as_careful() -> None:
    async with visitor() as client:
        for text in MARKUP:
            answer = await client.get("/" + quote(text, safe=""))
            assert answer.status_code == 404
            assert_harmless(taken_apart(answer.text))


def test_the_templates_switch_no_protection_off() -> None:
    for template in (files("opsagent.api") / "templates").iterdir():
        text = template.read_text()
        for hole in (
            "|safe",
            "| safe",
            "autoescape",
            "|tojson",
            "style=",
            "javascript:",
            "//",
            " on",
        ):
            found = re.search(rf"{re.escape(hole)}\w*=" if hole == " on" else re.escape(hole), text)
            assert not found, (template.name, hole)
        assert not re.search(r"<script(?! src)", text), template.name
        assert not re.search(r"\s[\w-]+=\{\{", text), (
            f"{template.name}: an attribute without quotes"
        )


async def test_what_a_person_approves_is_shown_whole_whatever_it_costs() -> None:
    lines = tuple(FieldChange(f"/spec/{number}", "<" * 500, ">" * 500) for number in range(200))
    long = record(of=plan(diff=lines))
    async with visitor(ScriptedView(waiting=(long,))) as client:
        page = (await client.get(f"/approvals/{long.plan.plan_id}")).text
    assert page.count("&lt;" * 500 + "</bdi>") == page.count("&gt;" * 500 + "</bdi>") == 200


async def test_what_is_left_out_is_counted() -> None:
    incident, waiting = hostile_incident(cycle(["x"])), record()
    view = ScriptedView(shown=(incident,) * 60, waiting=(waiting,) * 60)
    async with visitor(view) as client:
        pages = {
            path: words(await client.get(path)) for path in ("/", "/incidents/inc_1", "/approvals")
        }
    assert "60 incidents are open, 60 of them critical. 60 plans wait for a decision." in pages["/"]
    assert "All 60 plans" in pages["/"]
    assert "40 more are open. The newest incidents" in pages["/"]
    assert "50 older lines are left out." in pages["/incidents/inc_1"]
    assert "57 older plans are in the timeline." in pages["/incidents/inc_1"]
    assert "17 more" in pages["/incidents/inc_1"]
    assert "10 are left out." in pages["/incidents/inc_1"]
    assert "Oldest first; the first 50." in pages["/approvals"]


@pytest.mark.parametrize(
    ("pointer", "place"),
    [
        ("raw:7", "/rows/7"),
        ("pln_0123456789abcdef", "/approvals/pln_0123456789abcdef"),
        ("inc_01M87C78YHEVE59H9XAA543TCQ", "/incidents/inc_01M87C78YHEVE59H9XAA543TCQ"),
        ("", ""),
        ("raw:", ""),
        ("raw:7x", ""),
        ("raw:7\n", ""),
        ("raw:٣", ""),
        ("raw:" + "9" * 19, ""),
        ("raw:7/../../open/x", ""),
        ("pln_../x", ""),
        ("javascript:pwned()", ""),
        ("http://evil.example/", ""),
        ("//evil.example/", ""),
    ],
)
def test_only_a_pointer_of_ours_leads_anywhere(pointer: str, place: str) -> None:
    assert href(pointer) == place


def test_a_text_is_cut_by_what_it_costs() -> None:
    assert shortened("plain", 5) == "plain"
    assert shortened("plain", 4) == "plai…"
    assert shortened("<b>", 9) == "<b>"
    assert shortened("<b>", 8) == "<b…"
    assert shortened("ä" * 3, 4) == "ää…"


def test_a_raw_row_loses_nothing_by_being_shown() -> None:
    row = hostile_row(cycle(TEXTS))
    text = row_text(row)
    assert not STEERING_CHARACTERS & set(text)
    assert json.loads(text)["item"]["meta"]["name"] == row.item.meta.name


def test_every_expression_of_a_template_goes_through_one_filter() -> None:
    assert harmless("a\x1b\u202eb\n") == "a\ufffd\ufffdb\n"
    assert harmless(7) == 7
