"""TokenReview and SubjectAccessReview: only a clear yes is a yes, and a token goes nowhere else."""

import pytest

from opsagent.clients.kube_review import KubeReviewer
from opsagent.ports import Identity, KubeAnswer, Transient
from tests.fakes.scripted_transport import ScriptedTransport, answer

ALICE = Identity("alice", ("oncall",))


async def test_a_valid_token_has_an_identity():
    user = {"username": "alice", "uid": "1", "groups": ["oncall"], "extra": {"a": ["b"]}}
    transport = ScriptedTransport(answer({"status": {"authenticated": True, "user": user}}, 201))
    assert await KubeReviewer(transport).identify("sesame") == ALICE
    (asked,) = transport.asked
    assert (asked.method, asked.path) == ("POST", "/apis/authentication.k8s.io/v1/tokenreviews")
    assert asked.body["kind"] == "TokenReview"
    assert asked.body["spec"] == {"token": "sesame"}


async def test_groups_may_be_absent():
    status = {"authenticated": True, "user": {"username": "bob", "groups": None}}
    reviewer = KubeReviewer(ScriptedTransport(answer({"status": status}, 201)))
    assert await reviewer.identify("sesame") == Identity("bob")


@pytest.mark.parametrize(
    "status",
    [
        {},
        {"authenticated": False, "error": "expired"},
        {"user": {"username": "alice"}},
        {"authenticated": True},
        {"authenticated": True, "user": {"username": ""}},
    ],
)
async def test_whatever_is_not_a_clear_yes_is_nobody(status: dict[str, object]):
    reviewer = KubeReviewer(ScriptedTransport(answer({"status": status}, 201)))
    assert await reviewer.identify("sesame") is None


@pytest.mark.parametrize("token", ["", "a\nb", "é", "\x00", "x" * 20_000])
async def test_what_cannot_be_a_token_is_not_even_sent(token: str):
    transport = ScriptedTransport(answer({}))
    assert await KubeReviewer(transport).identify(token) is None
    assert transport.asked == []


@pytest.mark.parametrize(
    ("status", "may"),
    [
        ({"allowed": True}, True),
        ({"allowed": True, "denied": True}, False),
        ({"allowed": False}, False),
        ({"allowed": False, "evaluationError": "broken webhook"}, False),
        ({}, False),
    ],
)
async def test_the_right_to_approve_is_asked_of_the_server(status: dict[str, object], may: bool):
    transport = ScriptedTransport(answer({"status": status}, 201))
    assert await KubeReviewer(transport).may_approve(ALICE, "shop") is may
    (asked,) = transport.asked
    assert asked.path == "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    assert asked.body["spec"] == {
        "user": "alice",
        "groups": ["oncall"],
        "resourceAttributes": {
            "namespace": "shop",
            "group": "opsagent.io",
            "resource": "actionrequests",
            "verb": "approve",
        },
    }


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 429, 500])
async def test_a_server_that_does_not_answer_decides_nothing(status: int):
    reviewer = KubeReviewer(ScriptedTransport(answer({"message": "no"}, status)))
    with pytest.raises(Transient):
        await reviewer.identify("sesame")
    with pytest.raises(Transient):
        await reviewer.may_approve(ALICE, "shop")


@pytest.mark.parametrize("body", [b"", b"{}", b'{"status": {"authenticated": "yes"}}', b"\xff"])
async def test_an_answer_that_is_no_review_decides_nothing_and_repeats_no_token(body: bytes):
    reviewer = KubeReviewer(ScriptedTransport(KubeAnswer(201, body)))
    with pytest.raises(Transient, match="no review") as caught:
        await reviewer.identify("sesame")
    assert "sesame" not in str(caught.value)
