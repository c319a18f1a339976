"""The REST as anybody on the machine meets it: who gets in, what is refused and in which words."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest

from opsagent.api.app import create_app
from opsagent.api.gate import host_name
from opsagent.api.inputs import BODY_BYTES_MAX
from opsagent.ports import Conflict, Forbidden, NotFound, Terminal, Transient, Unwritable
from opsagent.runtime.serving import serve
from tests.fakes import virtual_time
from tests.fakes.desk_view import ScriptedView, fresh_sessions
from tests.fakes.plans import record

TOKEN = "the-daemons-token"
BEARER = {"authorization": f"Bearer {TOKEN}"}
RECORD = record()
PLAN = RECORD.plan.plan_id
CLICK = {"verdict": "approve", "plan_hash": RECORD.plan.plan_hash, "token": "alice's own token"}


@asynccontextmanager
async def asked(view: ScriptedView | None = None) -> AsyncIterator[httpx2.AsyncClient]:
    """Yield a client that knows the token and calls the application without a socket."""
    app = create_app(view or ScriptedView(waiting=(RECORD,)), TOKEN, fresh_sessions())
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(
        transport=transport, base_url="http://127.0.0.1", headers=BEARER
    ) as client:
        yield client


@asynccontextmanager
async def served(view: ScriptedView | None = None) -> AsyncIterator[httpx2.AsyncClient]:
    """The same over real loopback."""
    app = create_app(view or ScriptedView(waiting=(RECORD,)), TOKEN, fresh_sessions())
    async with (
        serve(app, "127.0.0.1", 0) as port,
        httpx2.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", headers=BEARER, trust_env=False
        ) as client,
    ):
        yield client


def told(answer: httpx2.Response) -> tuple[int, str, str]:
    """Return status, code and message of a refusal."""
    error = answer.json()["error"]
    return answer.status_code, error["code"], error["message"]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/status",
        "/v1/incidents",
        "/v1/incidents/x",
        "/v1/incidents/x/investigation",
        "/v1/approvals",
        "/v1/none",
        "/v1",
    ],
)
@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"Bearer",
        b"Bearer wrong",
        b"bearer the-daemons-token",
        b"Basic dGhl",
        b"Bearer \xff\xc3",
    ],
)
async def test_rest_is_closed_to_whoever_does_not_know_the_token(path: str, header: bytes) -> None:
    async with asked() as client:
        answer = await client.get(path, headers={b"authorization": header})
    assert told(answer)[:2] == (401, "unauthorized")
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_click_without_the_daemons_token_reaches_nobody() -> None:
    view = ScriptedView(waiting=(RECORD,))
    async with asked(view) as client:
        answer = await client.post(
            f"/v1/approvals/{PLAN}", json=CLICK, headers={"authorization": "Bearer guess"}
        )
    assert answer.status_code == 401
    assert view.clicks == []


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example:80", "localhost.evil:1", "", "[", "127.0.0.2", "0.0.0.0", "localhost:x", "localhost:0", "localhost:70000"],
)  # fmt: skip
async def test_a_page_that_names_us_otherwise_is_turned_away(host: str) -> None:
    async with asked() as client:
        answer = await client.get("/healthz", headers={"host": host})
    assert told(answer)[:2] == (421, "misdirected_request")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:99", "[::1]:80", "[::1]"])
async def test_loopback_names_are_ours(host: str) -> None:
    async with asked() as client:
        assert (await client.get("/healthz", headers={"host": host})).status_code == 200


def test_a_host_that_cannot_be_read_has_no_name() -> None:
    assert host_name("[::1") == ""
    assert host_name("::1") != "::1"


@pytest.mark.parametrize(
    ("view", "path", "status", "reasons"),
    [
        (ScriptedView(), "/healthz", 200, []),
        (ScriptedView(overdue_tasks=["fold"]), "/healthz", 503, ["fold"]),
        (ScriptedView(), "/readyz", 200, []),
        (ScriptedView(unready_reasons=["no first list yet"]), "/readyz", 503, ["no first list yet"]),
        (ScriptedView(unready_reasons=["no first list yet"]), "/healthz", 200, []),
    ],
)  # fmt: skip
async def test_probes_say_why(
    view: ScriptedView, path: str, status: int, reasons: list[str]
) -> None:
    async with asked(view) as client:
        answer = await client.get(path, headers={"authorization": ""})
    assert answer.status_code == status
    assert answer.json() == {"is_ok": not reasons, "reasons": reasons}


async def test_answers_are_not_kept_by_anybody() -> None:
    async with served() as client:
        answer = await client.get("/v1/status")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == "application/json"
    assert "server" not in answer.headers


async def test_an_unknown_path_and_a_wrong_method_are_told_in_json() -> None:
    async with asked() as client:
        assert told(await client.get("/v1/none"))[:2] == (404, "not_found")
        assert told(await client.delete("/v1/status"))[:2] == (405, "method_not_allowed")
        assert told(await client.get(f"/v1/approvals/{PLAN}"))[:2] == (405, "method_not_allowed")
        assert told(await client.get("/v1/incidents/inc_none"))[:2] == (404, "not_found")


@pytest.mark.parametrize("limit", ["0", "-1", "1001", "x", "", "1.0", "٣", "9" * 5000])
async def test_a_limit_is_a_small_number(limit: str) -> None:
    async with asked() as client:
        answer = await client.get("/v1/incidents", params={"limit": limit})
    assert told(answer) == (400, "bad_request", "limit: give a whole number from 1 to 1000.")


BODIES: Mapping[str, tuple[Any, str]] = {
    "another verdict": (CLICK | {"verdict": "yes"}, "verdict: Input should be 'approve' or 'deny'"),
    "no hash": (CLICK | {"plan_hash": ""}, "plan_hash: String should have at least 1 character"),
    "no token": ({"verdict": "deny", "plan_hash": "x"}, "token: Field required"),
    "a token that is a number": (CLICK | {"token": 7}, "token: Input should be a valid string"),
    "a reason without end": (CLICK | {"reason": "x" * 4097}, "reason: String should have at most"),
    "an unknown key": (CLICK | {"alice's own token": 1}, "Extra inputs are not permitted"),
    "a list": ([CLICK], "Input should be an object"),
}


@pytest.mark.parametrize(("body", "words"), BODIES.values(), ids=BODIES)
async def test_a_bad_click_is_refused_without_repeating_it(body: Any, words: str) -> None:
    view = ScriptedView(waiting=(RECORD,))
    async with asked(view) as client:
        answer = await client.post(f"/v1/approvals/{PLAN}", json=body)
    status, code, message = told(answer)
    assert (status, code) == (400, "bad_request")
    assert message.startswith(words)
    assert "alice" not in answer.text
    assert view.clicks == []


async def test_a_body_that_is_no_json_is_refused_without_repeating_it() -> None:
    async with asked() as client:
        answer = await client.post(f"/v1/approvals/{PLAN}", content=b"alice's own token")
    assert told(answer)[0] == 400
    assert "alice" not in answer.text


async def test_a_large_body_is_cut_off() -> None:
    body = b" " * BODY_BYTES_MAX + b"{}"
    async with served() as client:
        answer = await client.post(f"/v1/approvals/{PLAN}", content=body)
    assert told(answer) == (413, "request_entity_too_large", "Send at most 65536 bytes.")


def test_a_body_that_never_ends_is_given_ten_seconds() -> None:
    async def trickle() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await asyncio.sleep(1)

    async def click() -> tuple[int, str, str]:
        async with asked() as client:
            return told(await client.post(f"/v1/approvals/{PLAN}", content=trickle()))

    assert virtual_time.run(click()) == (
        408,
        "request_timeout",
        "Send the whole body within 10 s.",
    )


@pytest.mark.parametrize(
    ("trouble", "status", "code"),
    [
        (Transient("the API server is away"), 503, "service_unavailable"),
        (Terminal("the disk is full"), 500, "internal_server_error"),
        (Unwritable("the disk is full"), 500, "internal_server_error"),
        (NotFound("no plan"), 404, "not_found"),
        (Forbidden("no right"), 403, "forbidden"),
        (Conflict("it changed"), 409, "conflict"),
    ],
)
async def test_the_ports_exceptions_keep_their_words(
    trouble: Exception, status: int, code: str
) -> None:
    async with asked(ScriptedView(waiting=(RECORD,), trouble=trouble)) as client:
        answer = await client.post(f"/v1/approvals/{PLAN}", json=CLICK)
    assert told(answer) == (status, code, str(trouble))


async def test_what_nobody_foresaw_is_not_told_to_the_caller_but_to_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    view = ScriptedView(waiting=(RECORD,), trouble=ZeroDivisionError("inner secret"))
    with caplog.at_level(logging.ERROR):
        async with served(view) as client:
            answer = await client.post(f"/v1/approvals/{PLAN}", json=CLICK)
    assert told(answer)[:2] == (500, "internal_server_error")
    assert "secret" not in answer.text
    assert "ZeroDivisionError" in caplog.text
    assert "alice" not in caplog.text


async def test_an_approvers_token_appears_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        async with served() as client:
            for body in (CLICK, CLICK | {"verdict": "no"}, CLICK | {"token": "alice, but wrong"}):
                await client.post(f"/v1/approvals/{PLAN}", json=body)
    assert "alice" not in caplog.text


async def test_a_port_in_use_is_terminal_and_says_what_to_do() -> None:
    async with serve(create_app(ScriptedView(), TOKEN, fresh_sessions()), "127.0.0.1", 0) as port:
        with pytest.raises(Terminal, match=f"cannot listen on 127.0.0.1 port {port}: .*api.port"):
            async with serve(
                create_app(ScriptedView(), TOKEN, fresh_sessions()), "127.0.0.1", port
            ):
                raise AssertionError("two servers on one port")


async def test_the_port_is_free_again_after_the_stop() -> None:
    async with serve(create_app(ScriptedView(), TOKEN, fresh_sessions()), "127.0.0.1", 0) as port:
        pass
    with socket.create_server(("127.0.0.1", port)):
        pass


async def test_a_cancelled_owner_leaves_no_server_behind() -> None:
    port_seen: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def own() -> None:
        async with serve(
            create_app(ScriptedView(), TOKEN, fresh_sessions()), "127.0.0.1", 0
        ) as port:
            port_seen.set_result(port)
            await asyncio.Event().wait()

    async with asyncio.TaskGroup() as tasks:
        owner = tasks.create_task(own())
        port = await port_seen
        owner.cancel()
    with socket.create_server(("127.0.0.1", port)):
        pass


async def test_it_serves_the_other_loopback_too() -> None:
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    app = create_app(ScriptedView(), TOKEN, fresh_sessions())
    async with serve(app, "::1", 0) as port, httpx2.AsyncClient(trust_env=False) as client:
        assert (await client.get(f"http://[::1]:{port}/healthz")).status_code == 200
