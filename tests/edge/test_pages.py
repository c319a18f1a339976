"""The pages as a browser meets them: who sees them, and what they say first."""

import dataclasses
import datetime as dt

import pytest

from opsagent.api.app import link_path
from opsagent.api.render import POLICY
from opsagent.model.alert import Severity
from opsagent.model.incident import IncidentState
from opsagent.model.plan import PlanState
from opsagent.ports import Conflict, Forbidden, NotFound, Terminal, Transient, Unwritable
from tests.fakes.browser import PLAN, furnished, stranger, taken_apart, visitor, words
from tests.fakes.desk_view import ScriptedView, fresh_sessions
from tests.fakes.incidents import PLAIN
from tests.fakes.plans import NOW, plan, record

INSIDE = (
    "/",
    "/incidents",
    "/incidents/inc_1",
    "/incidents/inc_1/investigation",
    "/investigations/inv_0123456789abcdef",
    "/approvals",
    f"/approvals/{PLAN}",
    "/rows/7",
    "/news?after=0",
)


@pytest.mark.parametrize("path", INSIDE)
async def test_without_a_session_nothing_is_shown(path: str) -> None:
    async with stranger(furnished()) as client:
        answer = await client.get(path)
    assert answer.status_code == 403
    assert "has no session here, or it has ended. Run 'opsagent open'" in words(answer)
    assert "shop" not in answer.text


@pytest.mark.parametrize("path", INSIDE)
async def test_a_bearer_token_or_a_cookie_of_somebody_else_opens_no_page(path: str) -> None:
    headers = {
        "authorization": "Bearer the-daemons-token",
        "cookie": "opsagent_8321=x; opsagent_=x",
    }
    async with stranger(furnished()) as client:
        assert (await client.get(path, headers=headers)).status_code == 403


async def test_a_link_becomes_a_strict_cookie_and_a_clean_address() -> None:
    sessions = fresh_sessions()
    async with stranger(sessions=sessions) as client:
        answer = await client.get(link_path(sessions))
    assert answer.status_code == 303
    assert answer.headers["location"] == "/"
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("opsagent_8321=")
    assert {"HttpOnly", "Max-Age=43200", "Path=/", "SameSite=strict"} <= set(cookie.split("; "))


async def test_a_link_opens_once_and_says_how_to_get_another() -> None:
    sessions = fresh_sessions()
    path = link_path(sessions)
    async with stranger(sessions=sessions) as client:
        assert (await client.head(path)).status_code == 405, "a preview does not spend it"
        assert (await client.get(path)).status_code == 303
        again = await client.get(path)
        unknown = await client.get("/open/guess")
    for answer in (again, unknown):
        assert answer.status_code == 403
        assert "Run 'opsagent open'" in words(answer)
        assert "set-cookie" not in answer.headers


async def test_two_daemons_on_one_host_keep_their_sessions_apart() -> None:
    async with visitor() as client:
        there = await client.get("http://127.0.0.1:9000/")
        assert there.status_code == 403
        assert (await client.get("/")).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8321", "127.0.0.1.evil.example"])
async def test_a_session_under_another_name_is_turned_away(host: str) -> None:
    async with visitor() as client:
        assert (await client.get("/", headers={"host": host})).status_code == 421


@pytest.mark.parametrize(
    "path", [*INSIDE[:1], "/nothing", "/open/x", "/static/opsagent.css", "/rows/x"]
)
async def test_every_answer_carries_the_policy(path: str) -> None:
    async with visitor(furnished()) as client:
        headers = (await client.get(path)).headers
    assert headers["content-security-policy"] == POLICY
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert ("immutable" if path.startswith("/static") else "no-store") in headers["cache-control"]


def test_the_policy_allows_our_own_files_and_nothing_else() -> None:
    rules = dict(each.split(" ", 1) for each in POLICY.split("; "))
    assert rules.pop("default-src") == "'none'"
    assert rules.pop("frame-ancestors") == rules.pop("base-uri") == "'none'"
    assert set(rules.values()) == {"'self'"}
    assert "unsafe" not in POLICY


async def test_only_our_own_files_are_served() -> None:
    async with stranger() as client:
        for name, kind in (
            ("opsagent.css", "text/css"),
            ("news.js", "text/javascript"),
            ("icon.svg", "image/svg"),
        ):
            answer = await client.get(f"/static/{name}")
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith(kind)
        for name in ("", "x.css", "..%2fpages.py", "../pages.py", "%2e%2e/pages.py"):
            assert (await client.get(f"/static/{name}")).status_code == 404


async def test_a_calm_overview_says_so_and_how_well_it_sees() -> None:
    tree = {
        "is_leader": True,
        "sources": {
            "Pod": {"objects": 3, "is_synced": True, "lag_seconds": 18.4, "last_error": ""}
        },
    }
    async with visitor(ScriptedView(tree=tree)) as client:
        seen = words(await client.get("/"))
    assert (
        "Nothing is wrong. 1 kind of objects are watched; the last news of each is at most 18 s old."
        in seen
    )
    assert "What I cannot see" not in seen
    assert "Pod 3 18 s ago well" in seen


async def test_the_last_incident_is_at_hand_when_all_is_calm() -> None:
    over = dataclasses.replace(PLAIN, state=IncidentState.RESOLVED, resolved_at=NOW, waiting_for="")
    async with visitor(ScriptedView(shown=(over,))) as client:
        seen = words(await client.get("/"))
        incident = words(await client.get("/incidents/inc_1"))
    assert "The last incident" in seen
    assert "✓ resolved" in seen
    assert "resolved now" in incident


async def test_the_overview_names_what_is_open_and_what_waits() -> None:
    async with visitor(furnished()) as client:
        answer = await client.get("/")
    seen = words(answer)
    assert "1 incident is open, and it is critical. 1 plan waits for a decision." in seen
    assert "▲ critical" in seen
    assert "○ open" in seen
    assert "opened 3 min ago" in seen
    assert "Waiting for approval" in seen
    assert "offer ends in 15 min" in seen
    links = {each["href"] for each in taken_apart(answer.text).of("a")}
    assert {"/incidents/inc_1", f"/approvals/{PLAN}"} <= links


async def test_an_incident_says_what_how_sure_on_what_evidence_and_what_next() -> None:
    async with visitor(furnished()) as client:
        answer = await client.get("/incidents/inc_1")
    seen = words(answer)
    parts = (
        "shop/cart is crash looping", "▲ critical ○ open opened 3 min ago, last change 41 s ago",
        "Waiting for approval", "bad rollout of apps/v1/Deployment/shop/cart, 95 % sure",
        "application error", "On this evidence", "raw:18", "image v1 -> v2", "fatal: no configuration",
        "Your decision: roll back shop/cart to revision 1?", "Timeline", "Notice", "detected by opsagent raw:46",
        "Explain", "Decide 12:00:00 plan by opsagent pln_0123456789abcdef", "approved by alice", "Act 12:00:00 executed", "Check 12:00:00 alert cleared", "verified",
    )  # fmt: skip
    places = [seen.find(each) for each in parts]
    assert -1 not in places, parts[places.index(-1)]
    assert places == sorted(places)
    links = [each["href"] for each in taken_apart(answer.text).of("a")]
    assert {"/rows/18", "/rows/46", "/approvals/pln_0123456789abcdef", "#decide"} <= set(links)


async def test_a_decision_is_shown_in_the_order_in_which_it_is_made() -> None:
    async with visitor(furnished()) as client:
        answer = await client.get(f"/approvals/{PLAN}")
    seen = words(answer)
    order = ("What will change", "containers/0/image", "shop:v2", "shop:v1", "On apps/v1", "Reach", "Undone by",
             "Success is", "Offer ends", "Proposed by", "Because", "Your own cluster token", "Reason", "Approve", "Deny")  # fmt: skip
    places = [seen.find(each) for each in order]
    assert -1 not in places, order[places.index(-1)]
    assert places == sorted(places)


async def test_nothing_is_decided_by_a_slip_of_the_enter_key() -> None:
    async with visitor(furnished()) as client:
        markup = taken_apart((await client.get(f"/approvals/{PLAN}")).text)
    first, *choices = markup.of("button")
    assert {"disabled", "hidden"} <= set(first)
    assert [each["value"] for each in choices] == ["approve", "deny"]
    assert not any("checked" in each or "autofocus" in each for _, each in markup.tags)
    (token,) = (each for each in markup.of("input") if each.get("name") == "token")
    assert (token["type"], token["autocomplete"], token.get("value")) == ("password", "off", None)


async def test_instants_are_told_for_people_and_for_machines() -> None:
    async with visitor(furnished()) as client:
        answer = await client.get("/incidents/inc_1")
    for each in taken_apart(answer.text).of("time"):
        assert each["datetime"] is not None
        assert dt.datetime.fromisoformat(each["datetime"]).tzinfo is not None
        assert each["title"]
    assert 'title="2026-01-05 11:57:00 UTC">3 min ago</time>' in answer.text


async def test_a_line_of_another_day_says_which() -> None:
    old = dataclasses.replace(PLAIN.timeline[0], at=NOW - dt.timedelta(days=2))
    async with visitor(
        ScriptedView(shown=(dataclasses.replace(PLAIN, timeline=(old,)),))
    ) as client:
        assert "2026-01-03 12:00:00" in words(await client.get("/incidents/inc_1"))


async def test_a_pointer_opens_the_raw_row() -> None:
    async with visitor(furnished()) as client:
        answer = await client.get("/rows/7")
    seen = words(answer)
    assert "Raw row 7" in seen
    assert '"name": "cart"' in seen
    assert taken_apart(answer.text).of("pre")[0]["class"] == "raw"


async def test_a_plan_that_is_decided_offers_no_form_and_tells_its_life() -> None:
    states = (PlanState.PENDING, PlanState.APPROVED, PlanState.SENT, PlanState.SUCCEEDED)
    view = furnished(waiting=(), decided=(record(*states),))
    async with visitor(view) as client:
        plan_page, incident_page = [
            await client.get(each) for each in (f"/approvals/{PLAN}", "/incidents/inc_1")
        ]
        assert "Nothing waits for a decision" in words(await client.get("/approvals"))
    for answer in (plan_page, incident_page):
        assert "State: succeeded" in words(answer)
        assert not taken_apart(answer.text).of("form")
    assert "What will change" in words(plan_page)


async def test_a_plan_that_was_refused_before_its_rehearsal_changes_nothing() -> None:
    refused = record(PlanState.PROPOSED, PlanState.DENIED, of=plan(diff=()))
    async with visitor(furnished(waiting=(), decided=(refused,))) as client:
        seen = words(await client.get(f"/approvals/{refused.plan.plan_id}"))
    assert "the plan was refused before it was rehearsed" in seen


async def test_what_there_is_none_of_is_said() -> None:
    bare = dataclasses.replace(PLAIN, diagnoses=(), waiting_for="")
    empty = dataclasses.replace(
        PLAIN, diagnoses=(dataclasses.replace(PLAIN.diagnoses[0], evidence=()),)
    )
    async with visitor(ScriptedView()) as client:
        assert "There was none yet." in words(await client.get("/incidents"))
    async with visitor(ScriptedView(shown=(bare,))) as client:
        assert "I have no cause yet." in words(await client.get("/incidents/inc_1"))
    async with visitor(ScriptedView(shown=(empty,))) as client:
        assert "None is kept with this cause." in words(await client.get("/incidents/inc_1"))


@pytest.mark.parametrize("path", ["/nothing", "/incidents/inc_none", "/approvals/pln_none", "/rows/8", "/rows/x", "/rows/-1", "/rows/" + "9" * 5000])  # fmt: skip
async def test_what_is_not_there_is_a_page_too(path: str) -> None:
    async with visitor(furnished()) as client:
        answer = await client.get(path)
    assert answer.status_code == 404
    assert "Nothing is here" in words(answer)
    assert {"href": "/"} in taken_apart(answer.text).of("a")


@pytest.mark.parametrize(
    ("trouble", "status", "headline"),
    [
        (Transient("the disk is busy"), 503, "Cannot be answered now"),
        (Terminal("the disk is full"), 500, "Internal Server Error"),
        (Unwritable("executor.db: the disk is full"), 500, "Internal Server Error"),
        (NotFound("no such thing"), 404, "Nothing is here"),
        (Forbidden("no right"), 403, "Not allowed"),
        (Conflict("it changed"), 409, "It has changed meanwhile"),
    ],
)  # fmt: skip
async def test_trouble_is_a_page_that_says_what_is_the_matter(
    trouble: Exception, status: int, headline: str
) -> None:
    async with visitor(furnished(trouble=trouble)) as client:
        answer = await client.get("/")
    assert answer.status_code == status
    assert headline in words(answer)
    assert str(trouble) in words(answer)


async def test_what_nobody_foresaw_is_told_to_the_log_alone() -> None:
    async with visitor(furnished(trouble=ZeroDivisionError("inner secret"))) as client:
        answer = await client.get("/")
    assert answer.status_code == 500
    assert "its log says why" in words(answer)
    assert "secret" not in answer.text


async def test_a_severity_that_is_no_alarm_is_not_called_critical() -> None:
    mild = dataclasses.replace(PLAIN, severity=Severity.WARNING)
    async with visitor(ScriptedView(shown=(mild, PLAIN))) as client:
        both = words(await client.get("/"))
    async with visitor(ScriptedView(shown=(mild,))) as client:
        one = words(await client.get("/"))
    assert "2 incidents are open, 1 of them critical." in both
    assert "1 incident is open." in one
    assert "◆ warning" in one
