"""What an API server's refusal means to those who asked."""

import json

import pytest

from opsagent.clients.kube_status import MESSAGE_CHARACTERS_MAX, raise_for_status
from opsagent.ports import Conflict, Forbidden, Gone, KubeAnswer, NotFound, Terminal, Transient
from opsagent.runtime.retry import RetryLater


def refusal(status: int, message: str = "no", reason: str = "Reason") -> KubeAnswer:
    body = json.dumps({"kind": "Status", "reason": reason, "message": message}).encode()
    return KubeAnswer(status, body)


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_success_is_silent(status):
    raise_for_status(KubeAnswer(status, b""), "get")


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (301, Terminal),
        (400, Terminal),
        (401, Forbidden),
        (403, Forbidden),
        (404, NotFound),
        (405, Terminal),
        (408, Transient),
        (409, Conflict),
        (410, Gone),
        (422, Terminal),
        (429, Transient),
        (500, Transient),
        (503, Transient),
        (504, Transient),
    ],
)
def test_each_refusal_is_one_exception_with_the_servers_words(status, error):
    with pytest.raises(error, match=f"patch shop/cart: {status} Reason no") as caught:
        raise_for_status(refusal(status), "patch shop/cart")
    assert type(caught.value) is error


def test_a_server_may_say_when_to_come_back():
    answer = KubeAnswer(429, b"{}", {"retry-after": "7"})
    with pytest.raises(RetryLater) as caught:
        raise_for_status(answer, "list")
    assert caught.value.retry_after_seconds == 7.0


def test_a_date_in_retry_after_is_an_ordinary_transient_error():
    answer = KubeAnswer(503, b"{}", {"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"})
    with pytest.raises(Transient) as caught:
        raise_for_status(answer, "list")
    assert type(caught.value) is Transient


@pytest.mark.parametrize(
    "body", [b"", b"<html>bad gateway</html>", b"\xff\xfe", b"[1]", b'{"reason": 5}']
)
def test_any_body_will_do(body):
    with pytest.raises(Transient, match="get: 502"):
        raise_for_status(KubeAnswer(502, body), "get")


def test_the_servers_words_are_cut_and_cannot_draw_on_a_terminal():
    with pytest.raises(Terminal) as caught:
        raise_for_status(refusal(422, "\x1b[2J" + "x" * 5000), "patch")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) <= len("patch: 422 ") + MESSAGE_CHARACTERS_MAX
