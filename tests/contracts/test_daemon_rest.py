"""The daemon's REST and the command line's client of it, against each other over real loopback."""

import asyncio
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import httpx2
import pytest

from opsagent.api.app import create_app
from opsagent.clients.daemon import (
    ADDRESS_FILE,
    DaemonAddress,
    DaemonClient,
    connect,
    read_address,
    write_address,
)
from opsagent.model.alert import Evidence, EvidenceKind, Severity
from opsagent.model.incident import (
    Cause,
    Diagnosis,
    EntryKind,
    Incident,
    IncidentState,
    TimelineEntry,
)
from opsagent.ports import Forbidden, Terminal, Transient
from opsagent.runtime.serving import serve
from tests.fakes.desk_view import ScriptedView, fresh_sessions
from tests.fakes.http_server import Reply, Request, serve as serve_anything
from tests.fakes.plans import CART, NOW, plan, record

T = TypeVar("T")
TOKEN = "daemon-token"
RECORD = record(of=plan(inverse='{"env": "literal secret"}'))
PLAN, PLAN_HASH = RECORD.plan.plan_id, RECORD.plan.plan_hash
INCIDENT = Incident(
    incident_id="inc_1",
    entity=CART,
    severity=Severity.CRITICAL,
    state=IncidentState.OPEN,
    title="shop/cart crashes",
    opened_at=NOW,
    updated_at=NOW,
    resolved_at=None,
    firing=("alr_1",),
    cleared=(),
    diagnoses=(
        Diagnosis(
            CART,
            Cause.BAD_ROLLOUT,
            0.9,
            "after a rollout",
            (Evidence(EvidenceKind.OBJECT, "v1/Pod/shop/cart-1", "exit 1", NOW, "raw:7"),),
        ),
    ),
    timeline=(TimelineEntry(NOW, "opsagent", EntryKind.OPENED, "opened", "raw:7"),),
    plan_ids=(PLAN,),
    waiting_for="approval",
    group_key="apps/v1/Deployment/shop/cart",
)


@asynccontextmanager
async def running(state: Path, view: ScriptedView) -> AsyncIterator[None]:
    """Run the REST on a free port and leave its address in ``state``, as the daemon does."""
    async with serve(create_app(view, TOKEN, fresh_sessions()), "127.0.0.1", 0) as port:
        write_address(state, DaemonAddress(f"http://127.0.0.1:{port}", TOKEN))
        yield


async def ask(state: Path, question: Callable[[DaemonClient], T]) -> T:
    """Ask in a thread, as the client is synchronous."""

    def talk() -> T:
        with connect(state) as daemon:
            return question(daemon)

    return await asyncio.to_thread(talk)


async def test_the_client_reads_what_the_daemon_shows(tmp_path: Path) -> None:
    view = ScriptedView(shown=(INCIDENT,), waiting=(RECORD,))
    async with running(tmp_path, view):
        status = await ask(tmp_path, lambda daemon: daemon.status())
        incidents = await ask(tmp_path, lambda daemon: daemon.incidents())
        incident = await ask(tmp_path, lambda daemon: daemon.incident("inc_1"))
        approvals = await ask(tmp_path, lambda daemon: daemon.approvals())
    assert status == {"cluster": "shop", "incidents_open": 1, "sources": {"pods": "0 s ago"}}
    assert incidents == [incident]
    assert incident == {
        "incident_id": "inc_1",
        "entity": "apps/v1/Deployment/shop/cart",
        "severity": "critical",
        "state": "open",
        "title": "shop/cart crashes",
        "opened_at": "2026-01-05T12:00:00.000000Z",
        "updated_at": "2026-01-05T12:00:00.000000Z",
        "resolved_at": None,
        "firing": ["alr_1"],
        "cleared": [],
        "diagnoses": [
            {
                "entity": "apps/v1/Deployment/shop/cart",
                "cause": "bad_rollout",
                "confidence": 0.9,
                "reason": "after a rollout",
                "evidence": [
                    {
                        "kind": "object",
                        "ref": "v1/Pod/shop/cart-1",
                        "text": "exit 1",
                        "at": "2026-01-05T12:00:00.000000Z",
                        "pointer": "raw:7",
                    }
                ],
            }
        ],
        "timeline": [
            {
                "at": "2026-01-05T12:00:00.000000Z",
                "actor": "opsagent",
                "kind": "incident_opened",
                "text": "opened",
                "pointer": "raw:7",
            }
        ],
        "plan_ids": [PLAN],
        "waiting_for": "approval",
        "group_key": "apps/v1/Deployment/shop/cart",
    }
    assert len(approvals) == 1


async def test_a_waiting_plan_shows_what_a_person_decides_by_and_no_secret(tmp_path: Path) -> None:
    async with running(tmp_path, ScriptedView(waiting=(RECORD,))):
        (shown,) = await ask(tmp_path, lambda daemon: daemon.approvals())
    assert shown == {
        "plan_id": PLAN,
        "plan_hash": PLAN_HASH,
        "state": "pending",
        "diff": [
            {
                "path": "/spec/template/spec/containers/0/image",
                "old": '"shop:v2"',
                "new": '"shop:v1"',
            }
        ],
        "action": "rollout_undo to revision 1",
        "action_class": "R",
        "target": "apps/v1/Deployment/shop/cart",
        "target_uid": "11111111-0000-4000-8000-000000000001",
        "reach": "the pods of this one Deployment, replaced step by step by its own update strategy",
        "undo": "the exact fields that it replaces are stored and put back if it fails",
        "success": (
            "all replicas ready on the restored template and no ContainerCrashLooping, over 120 s "
            "with at least 3 samples"
        ),
        "expires_at": shown["expires_at"],
        "created_at": "2026-01-05T12:00:00.000000Z",
        "incident_id": "inc_1",
        "runbook": "bad-rollout",
        "reason": "the rollout of revision 2 broke it",
        "decision": {"verdict": "require_approval", "rule": "class.R", "reason": "a person"},
    }
    assert str(shown["expires_at"]) > str(shown["created_at"])
    assert "secret" not in str(shown)


async def test_a_click_goes_through_whole(tmp_path: Path) -> None:
    view = ScriptedView(waiting=(RECORD,))
    async with running(tmp_path, view):
        answer = await ask(
            tmp_path,
            lambda daemon: daemon.decide(
                PLAN, verdict="approve", plan_hash=PLAN_HASH, token=view.good_token, reason="looks right ✓"
            ),
        )  # fmt: skip
    assert answer == {
        "is_accepted": True,
        "rule": "approver.allowed",
        "reason": "approved",
        "state": "approved",
    }
    assert view.clicks == [(PLAN, PLAN_HASH, "approve", "looks right ✓")]


async def test_a_link_to_the_pages_opens_once(tmp_path: Path) -> None:
    async with running(tmp_path, ScriptedView()):
        link = await ask(tmp_path, lambda daemon: daemon.link())
        assert link.startswith(f"{read_address(tmp_path).url}/open/")
        assert len(link) > 43
        async with httpx2.AsyncClient(trust_env=False) as browser:
            statuses = [(await browser.get(link)).status_code for _ in range(2)]
    assert statuses == [303, 403]


async def test_a_refused_click_is_an_answer_not_an_error(tmp_path: Path) -> None:
    async with running(tmp_path, ScriptedView(waiting=(RECORD,))):
        answer = await ask(
            tmp_path,
            lambda daemon: daemon.decide(
                PLAN, verdict="deny", plan_hash=PLAN_HASH, token="mallory"
            ),
        )
    assert (answer["is_accepted"], answer["state"]) == (False, "pending")
    assert "mallory" not in str(answer)


async def test_the_limit_is_passed_on(tmp_path: Path) -> None:
    async with running(tmp_path, ScriptedView(shown=(INCIDENT, INCIDENT))):
        assert len(await ask(tmp_path, lambda daemon: daemon.incidents(limit=1))) == 1


@pytest.mark.parametrize("incident_id", ["inc_none", "../approvals", "a/b", "?limit=1", "%2e%2e"])
async def test_an_unknown_incident_is_said_to_be_unknown(tmp_path: Path, incident_id: str) -> None:
    async with running(tmp_path, ScriptedView(shown=(INCIDENT,))):
        with pytest.raises(Terminal):
            await ask(tmp_path, lambda daemon: daemon.incident(incident_id))


async def test_an_unknown_plan_is_said_to_be_unknown(tmp_path: Path) -> None:
    async with running(tmp_path, ScriptedView()):
        with pytest.raises(Terminal, match="no plan pln_none"):
            await ask(
                tmp_path,
                lambda daemon: daemon.decide("pln_none", verdict="deny", plan_hash="x", token="x"),
            )


@pytest.mark.parametrize(
    ("trouble", "seen"),
    [
        (Transient("the API server is away"), Transient),
        (Terminal("the disk is full"), Terminal),
        (Forbidden("no right"), Forbidden),
    ],
)
async def test_trouble_keeps_its_kind_and_words(
    tmp_path: Path, trouble: Exception, seen: type[Exception]
) -> None:
    async with running(tmp_path, ScriptedView(trouble=trouble)):
        with pytest.raises(seen, match=str(trouble)):
            await ask(tmp_path, lambda daemon: daemon.status())


async def test_another_daemons_token_is_forbidden(tmp_path: Path) -> None:
    async with running(tmp_path, ScriptedView()):
        here = read_address(tmp_path)
        write_address(tmp_path, DaemonAddress(here.url, "old token"))
        with pytest.raises(Forbidden, match="does not know this folder's token"):
            await ask(tmp_path, lambda daemon: daemon.status())


async def test_a_daemon_that_stopped_is_said_to_have_stopped(tmp_path: Path) -> None:
    async with running(tmp_path, ScriptedView()):
        pass
    with pytest.raises(Terminal, match="the daemon has stopped; start it again"):
        await ask(tmp_path, lambda daemon: daemon.status())


def test_without_a_daemon_the_way_to_one_is_told(tmp_path: Path) -> None:
    with pytest.raises(Terminal, match=r"no daemon runs on .*opsagent run --config FILE"):
        read_address(tmp_path)


def test_the_address_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    address = DaemonAddress("http://127.0.0.1:1", TOKEN)
    write_address(tmp_path, address)
    path = tmp_path / ADDRESS_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_address(tmp_path) == address
    assert [entry.name for entry in tmp_path.iterdir()] == [ADDRESS_FILE]
    assert TOKEN not in repr(address)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666])
def test_an_address_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    write_address(tmp_path, DaemonAddress("http://127.0.0.1:1", TOKEN))
    (tmp_path / ADDRESS_FILE).chmod(mode)
    with pytest.raises(Terminal, match="others can read or own it: 'chmod 600'"):
        read_address(tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"url": "x"}', b'{"url": 1, "token": "x"}']
)
def test_a_damaged_address_file_is_told_without_its_content(tmp_path: Path, content: bytes) -> None:
    write_address(tmp_path, DaemonAddress("http://127.0.0.1:1", TOKEN))
    (tmp_path / ADDRESS_FILE).write_bytes(content)
    with pytest.raises(Terminal, match="is damaged: restart the daemon"):
        read_address(tmp_path)


def test_an_address_file_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"{}")
    (tmp_path / ADDRESS_FILE).symlink_to("real")
    with pytest.raises(Terminal, match="cannot read"):
        read_address(tmp_path)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(Terminal, match=r"cannot write .*nowhere"):
        write_address(tmp_path / "nowhere", DaemonAddress("http://127.0.0.1:1", TOKEN))


@pytest.mark.parametrize(
    ("reply", "error", "words"),
    [
        (Reply(200, (b"<html>",)), Terminal, "is it opsagent?"),
        (Reply(200, (b"[]",)), Terminal, "is it opsagent?"),
        (Reply(200, (b'{"incidents": 3}',)), Terminal, "is it opsagent?"),
        (Reply(200, (b'{"incidents": [3]}',)), Terminal, "is it opsagent?"),
        (Reply(302, headers={"Location": "http://evil.example/"}), Terminal, "answered HTTP 302"),
        (Reply(502, (b"<html>",)), Terminal, "answered HTTP 502"),
        (Reply(503), Transient, "answered HTTP 503"),
        (Reply(200, (b"{",), is_cut=True), Transient, "did not answer"),
    ],
)
async def test_somebody_else_on_the_port_is_found_out(
    tmp_path: Path, reply: Reply, error: type[Exception], words: str
) -> None:
    async def answer(_request: Request) -> Reply:
        return reply

    async with serve_anything(answer) as stranger:
        write_address(tmp_path, DaemonAddress(stranger.url, TOKEN))
        with pytest.raises(error) as caught:
            await ask(tmp_path, lambda daemon: daemon.incidents())
    assert words in str(caught.value)
    assert len(stranger.requests) == 1
