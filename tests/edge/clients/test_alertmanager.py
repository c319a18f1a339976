"""The client of Alertmanager's API v2 against answers that are none."""

import json
from pathlib import Path

import pytest

from opsagent.clients.alertmanager import AlertmanagerClient
from opsagent.clients.alertmanager_wire import silences, standing
from opsagent.clients.rest import BODY_BYTES_MAX, RestReader
from opsagent.ports import Terminal, Transient
from tests.fakes.http_server import Reply, Request, serve

STANDING = {
    "status": {"state": "active", "silencedBy": [], "inhibitedBy": ["ffff"], "mutedBy": []},
    "labels": {"alertname": "A"},
    "startsAt": "2026-01-05T00:00:00+02:00",
    "receivers": [],
    "aNewKey": {},
}


async def read(reply: Reply, what: str = "alerts", **options: object):
    async def answer(_request: Request) -> Reply:
        return reply

    async with serve(answer) as server:
        client = AlertmanagerClient(RestReader("alertmanager", server.url, **options))
        try:
            return await getattr(client, what)()
        finally:
            await client.aclose()


@pytest.mark.parametrize(
    ("status", "error"),
    [(404, Terminal), (401, Terminal), (302, Terminal), (429, Transient), (503, Transient)],
)
async def test_a_refusal_is_told_apart(status: int, error: type[Exception]) -> None:
    with pytest.raises(error, match=f"alertmanager: status {status}"):
        await read(Reply(status))


@pytest.mark.parametrize("body", [b"", b"{}", b'[{"labels": 1}]', b"[[]]", b"\xff"])
@pytest.mark.parametrize("what", ["alerts", "silences"])
async def test_what_is_no_list_is_terminal(body: bytes, what: str) -> None:
    with pytest.raises(Terminal, match="alertmanager: no list"):
        await read(Reply(200, (body,)), what)


async def test_a_huge_list_is_not_read_to_its_end() -> None:
    chunk = b" " * 2**20
    with pytest.raises(Terminal, match="more than"):
        await read(Reply(200, (chunk,) * (BODY_BYTES_MAX // 2**20 + 1)))


async def test_a_connection_that_breaks_is_transient() -> None:
    with pytest.raises(Transient):
        await read(Reply(200, (b"[",), is_cut=True))


async def test_the_token_goes_along_and_must_be_there(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("secret\n")
    assert await read(Reply(200, (b"[]",)), token_file=token) == ()
    token.write_bytes(b"\xff")
    with pytest.raises(Terminal, match="token file"):
        await read(Reply(200, (b"[]",)), token_file=token)


def test_what_stands_is_read_in_utc_and_new_keys_do_no_harm() -> None:
    (found,) = standing(json.dumps([STANDING]).encode())
    assert found.alert.starts_at.isoformat() == "2026-01-04T22:00:00+00:00"
    assert found.inhibited_by == ("ffff",)


@pytest.mark.parametrize(
    ("is_equal", "is_regex", "text"),
    [
        (True, False, 'a="b"'),
        (False, False, 'a!="b"'),
        (True, True, 'a=~"b"'),
        (False, True, 'a!~"b"'),
    ],
)
def test_matchers_read_as_people_write_them(is_equal: bool, is_regex: bool, text: str) -> None:
    silence = {
        "id": "s1",
        "status": {"state": "pending"},
        "matchers": [{"name": "a", "value": "b", "isRegex": is_regex, "isEqual": is_equal}],
        "startsAt": "2026-01-05T00:00:00Z",
        "endsAt": "2026-01-05T01:00:00Z",
    }
    (found,) = silences(json.dumps([silence]).encode())
    assert found.matchers == (text,)
    assert not found.is_active


@pytest.mark.parametrize("url", ["", "alertmanager:9093"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(Terminal, match=r"alertmanager\.url"):
        RestReader("alertmanager", url)
