"""What it takes to decide on a page: our own form, in a session, with the person's own token, about the plan as shown."""

import logging

import pytest

from opsagent.api.inputs import BODY_BYTES_MAX
from opsagent.model.plan import ApprovalAnswer, PlanState
from opsagent.ports import Transient
from tests.fakes.browser import (
    HERE,
    OURS,
    PLAN,
    RECORD,
    form,
    furnished,
    sent,
    stranger,
    taken_apart,
    visitor,
    words,
)
from tests.fakes.plans import plan, record


@pytest.mark.parametrize("verdict", ["approve", "deny"])
@pytest.mark.parametrize("page", [f"/approvals/{PLAN}", "/incidents/inc_1"])
async def test_a_decision_reaches_the_desk_and_leads_to_the_incident(
    verdict: str, page: str
) -> None:
    view = furnished()
    async with visitor(view) as client:
        answer = await sent(
            client, page, verdict=verdict, reason="looks right ✓", token=" alice's own token\n"
        )
    assert (answer.status_code, answer.headers["location"]) == (303, "/incidents/inc_1")
    assert view.clicks == [(PLAN, RECORD.plan.plan_hash, verdict, "looks right ✓")]


FOREIGN = {
    "another site": {"origin": "http://evil.example", "sec-fetch-site": "cross-site"},
    "another port of this host": {"origin": "http://127.0.0.1:9000", "sec-fetch-site": "same-site"},
    "another name of this host": {
        "origin": "http://localhost:8321",
        "sec-fetch-site": "cross-site",
    },
    "https": {"origin": "https://127.0.0.1:8321", "sec-fetch-site": "same-site"},
    "a sandboxed frame": {"origin": "null", "sec-fetch-site": "cross-site"},
    "no browser of ours": {},
    "our origin, but the browser knows better": {"origin": HERE, "sec-fetch-site": "cross-site"},
    "typed by hand": {"origin": HERE, "sec-fetch-site": "none"},
}


@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN)
async def test_a_post_from_elsewhere_is_refused_whatever_else_it_knows(
    headers: dict[str, str],
) -> None:
    view = furnished()
    async with visitor(view) as client:
        fields = form((await client.get(f"/approvals/{PLAN}")).text)
        answer = await client.post(
            f"/approvals/{PLAN}",
            data=fields | {"token": view.good_token, "verdict": "approve"},
            headers=headers,
        )
    assert answer.status_code == 403
    assert "did not come from a page of ours. Nothing was done." in words(answer)
    assert view.clicks == []


async def test_an_old_browser_that_names_the_origin_alone_may_decide() -> None:
    async with visitor(furnished()) as client:
        fields = form((await client.get(f"/approvals/{PLAN}")).text)
        answer = await client.post(
            f"/approvals/{PLAN}",
            data=fields | {"token": "alice's own token", "verdict": "deny"},
            headers={"origin": HERE},
        )
    assert answer.status_code == 303


@pytest.mark.parametrize("form_token", ["", "guess", "é"])
async def test_a_form_that_is_not_of_this_session_is_refused(form_token: str) -> None:
    view = furnished()
    async with visitor(view) as client:
        answer = await sent(client, form_token=form_token)
    assert answer.status_code == 403
    assert "not of this session" in words(answer)
    assert view.clicks == []


async def test_the_form_of_another_session_is_refused() -> None:
    view = furnished()
    async with visitor(view) as other, visitor(view) as client:
        foreign = form((await other.get(f"/approvals/{PLAN}")).text)["form_token"]
        assert (await sent(client, form_token=foreign)).status_code == 403
    assert view.clicks == []


async def test_a_post_without_a_session_is_refused() -> None:
    view = furnished()
    async with stranger(view) as client:
        answer = await client.post(f"/approvals/{PLAN}", data={"token": "x"}, headers=OURS)
    assert answer.status_code == 403
    assert view.clicks == []


async def test_an_approver_whom_the_desk_does_not_know_sees_why_and_the_plan_again() -> None:
    view = furnished()
    async with visitor(view) as client:
        answer = await sent(client, token="mallory-token")
    assert answer.status_code == 403
    assert "Your decision did not count: this token is not valid (approver.unknown)" in words(
        answer
    )
    assert "mallory" not in answer.text
    assert form(answer.text)["plan_hash"] == RECORD.plan.plan_hash


async def test_a_plan_that_changed_is_refused_and_shown_anew() -> None:
    newer = record(of=plan(plan_id="pln_00000000000000ff", tool_version="rollout_undo/2"))
    no = ApprovalAnswer(False, "plan.hash", "the plan is another one by now", PlanState.INVALIDATED)
    view = furnished(answers=[no])
    async with visitor(view) as client:
        fields = form((await client.get(f"/approvals/{PLAN}")).text)
        view.waiting, view.decided = (newer,), (record(PlanState.PENDING, PlanState.INVALIDATED),)
        answer = await client.post(
            f"/approvals/{PLAN}", data=fields | {"token": "x", "verdict": "approve"}, headers=OURS
        )
    assert answer.status_code == 409
    assert "Below is the plan as it stands now" in words(answer)
    assert form(answer.text)["plan_hash"] == newer.plan.plan_hash != RECORD.plan.plan_hash
    (target,) = taken_apart(answer.text).of("form")
    assert target["action"] == "/approvals/pln_00000000000000ff"


@pytest.mark.parametrize("rule", ["plan.decided", "plan.expired"])
async def test_a_plan_that_is_no_longer_on_offer_shows_what_became_of_it(rule: str) -> None:
    no = ApprovalAnswer(False, rule, "too late", PlanState.EXPIRED)
    view = furnished(answers=[no])
    async with visitor(view) as client:
        fields = form((await client.get(f"/approvals/{PLAN}")).text)
        view.waiting, view.decided = (), (record(PlanState.PENDING, PlanState.EXPIRED),)
        answer = await client.post(
            f"/approvals/{PLAN}", data=fields | {"token": "x", "verdict": "deny"}, headers=OURS
        )
    assert answer.status_code == 409
    assert "State: expired" in words(answer)
    assert not taken_apart(answer.text).of("form")


async def test_a_plan_that_the_desk_does_not_know_is_not_there() -> None:
    no = ApprovalAnswer(False, "plan.unknown", "there is no such plan", PlanState.UNKNOWN)
    async with visitor(furnished(answers=[no])) as client:
        assert (await sent(client)).status_code == 404


async def test_when_the_cluster_cannot_be_asked_the_page_says_to_try_again() -> None:
    view = furnished()
    async with visitor(view) as client:
        fields = form((await client.get(f"/approvals/{PLAN}")).text)
        view.trouble = Transient("the API server did not answer")
        answer = await client.post(
            f"/approvals/{PLAN}", data=fields | {"token": "x", "verdict": "deny"}, headers=OURS
        )
    assert answer.status_code == 503
    assert "the API server did not answer" in words(answer)


BAD_FORMS = {
    "no form": (b"", 400),
    "json": (b'{"token": "alice-token"}', 400),
    "half a pair": (b"token", 400),
    "bytes that are no text": (b"token=%ff%fe", 400),
    "not ascii": ("token=ä".encode(), 400),
    "too many fields": (b"&".join(b"a%d=1" % each for each in range(20)), 400),
    "a field twice": (b"verdict=deny&verdict=approve&token=alice-token", 400),
    "an unknown field": (
        b"verdict=deny&plan_hash=x&token=alice-token&form_token=x&alice-token=1",
        400,
    ),
    "another verdict": (b"verdict=yes&plan_hash=x&token=alice-token&form_token=x", 400),
    "no token": (b"verdict=deny&plan_hash=x&token=&form_token=x", 400),
    "too long": (b"token=" + b"a" * BODY_BYTES_MAX, 413),
}


@pytest.mark.parametrize(("body", "status"), BAD_FORMS.values(), ids=BAD_FORMS)
async def test_a_form_that_cannot_be_read_is_refused_without_repeating_it(
    body: bytes, status: int
) -> None:
    view = furnished()
    headers = OURS | {"content-type": "application/x-www-form-urlencoded"}
    async with visitor(view) as client:
        answer = await client.post(f"/approvals/{PLAN}", content=body, headers=headers)
    assert answer.status_code == status
    assert "alice" not in answer.text
    assert view.clicks == []


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "multipart/form-data; boundary=x", "application/json"]
)
async def test_only_a_form_is_a_form(kind: str) -> None:
    async with visitor(furnished()) as client:
        answer = await client.post(
            f"/approvals/{PLAN}", content=b"verdict=deny", headers=OURS | {"content-type": kind}
        )
    assert answer.status_code == 415


async def test_an_approvers_token_is_in_no_answer_address_or_log(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.DEBUG):
        async with visitor(furnished()) as client:
            for changes in (
                {},
                {"token": "alice, but wrong"},
                {"verdict": "no"},
                {"form_token": "x"},
            ):
                answer = await sent(client, **changes)
                assert "alice" not in answer.text + str(answer.headers) + str(answer.url)
    logged = caplog.text + "".join(capsys.readouterr())
    assert "page.refused" in logged
    assert "alice" not in logged
