"""The commands that speak to a running daemon: what they show, what they send, and how each of them ends."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from opsagent.api.app import create_app
from opsagent.cli import app
from opsagent.clients.daemon import DaemonAddress, write_address
from opsagent.model.transcript import Closed, Opened
from opsagent.ports import Terminal
from opsagent.runtime.serving import serve
from opsagent.terminal import Exit
from tests.fakes.desk_view import ScriptedView, fresh_sessions
from tests.fakes.incidents import PLAIN
from tests.fakes.plans import NOW, record

RECORD = record()
PLAN, PLAN_HASH = RECORD.plan.plan_id, RECORD.plan.plan_hash


@asynccontextmanager
async def daemon(state: Path, view: ScriptedView) -> AsyncIterator[None]:
    """Serve ``view`` on loopback and leave its address in ``state``, as the daemon does."""
    async with serve(create_app(view, "token", fresh_sessions()), "127.0.0.1", 0) as port:
        write_address(state, DaemonAddress(f"http://127.0.0.1:{port}", "token"))
        yield


async def command(*arguments: object, stdin: str = "") -> Result:
    """Run one command in this process, in a thread, because it is synchronous."""
    words = [str(argument) for argument in arguments]
    return await asyncio.to_thread(CliRunner().invoke, app, words, stdin)


async def said(state: Path, view: ScriptedView, *arguments: object, stdin: str = "") -> Result:
    """Run one command against ``view``."""
    async with daemon(state, view):
        return await command(*arguments, "--state", state, stdin=stdin)


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "alice.token"
    path.write_text(f"{ScriptedView().good_token}\n")
    return path


async def test_status_is_a_tree_for_people_and_json_for_machines(tmp_path: Path) -> None:
    view = ScriptedView()
    text = await said(tmp_path, view, "status")
    assert text.output == "cluster: shop\nincidents_open: 0\nsources:\n  pods: 0 s ago\n"
    tree = await said(tmp_path, view, "status", "--json")
    assert json.loads(tree.output) == {
        "cluster": "shop",
        "incidents_open": 0,
        "sources": {"pods": "0 s ago"},
    }
    assert (text.exit_code, tree.exit_code) == (Exit.DONE, Exit.DONE)


@pytest.mark.parametrize(
    ("shown", "options", "code"),
    [
        ((), (), Exit.DONE),
        ((), ("--check",), Exit.DONE),
        ((PLAIN,), (), Exit.DONE),
        ((PLAIN,), ("--check",), Exit.FINDINGS),
    ],
)
async def test_an_open_incident_is_a_finding_if_asked_for(
    shown: tuple, options: tuple[str, ...], code: Exit, tmp_path: Path
) -> None:
    ended = await said(tmp_path, ScriptedView(shown=shown), "status", *options)
    assert ended.exit_code == code


async def test_incidents_are_listed_one_a_line(tmp_path: Path) -> None:
    second = replace(PLAIN, incident_id="inc_2", waiting_for="")
    ended = await said(tmp_path, ScriptedView(shown=(PLAIN, second)), "incidents")
    assert ended.output.splitlines() == [
        "inc_1  critical  open       shop/cart is crash looping  (waits for approval)",
        "inc_2  critical  open       shop/cart is crash looping",
    ]


async def test_one_incident_is_shown_with_causes_evidence_and_timeline(tmp_path: Path) -> None:
    ended = await said(tmp_path, ScriptedView(shown=(PLAIN,)), "incidents", "inc_1")
    lines = ended.output.splitlines()
    assert lines[0].startswith("inc_1  critical")
    assert lines[1] == "  cause bad_rollout (95%): rolled out just before the first symptom"
    assert lines[2] == "    change raw:18: image v1 -> v2"
    assert lines[-1].endswith("opsagent      resolved: over")
    assert len(lines) == 1 + 4 + len(PLAIN.timeline)


async def test_an_investigation_is_shown_step_by_step_and_as_json_whole(tmp_path: Path) -> None:
    transcript = (Opened(NOW, "kimi", "Look.", "Why?\x1b[2J"), Closed(NOW, None, "late " * 200))
    view = ScriptedView(
        (PLAIN,), investigations={"inc_1": "inv_1"}, transcripts={"inv_1": transcript}
    )
    text = await said(tmp_path, view, "incidents", "inc_1", "--investigation")
    lines = text.output.splitlines()
    assert lines[0] == "inv_1: 0 questions, 0 tool calls; 0 tokens read, 0 written"
    assert lines[4:6] == ["  question:", "    | Why?\ufffd[2J"]
    assert lines[6].endswith("It ended without a proposal.")
    assert max(map(len, lines)) < 320
    tree = await said(tmp_path, view, "incidents", "inc_1", "--investigation", "--json")
    assert json.loads(tree.output)["rows"][1]["said"] == [
        {"label": "because", "text": "late " * 200}
    ]


async def test_an_investigation_that_nobody_made_is_said_to_be_none(tmp_path: Path) -> None:
    ended = await said(tmp_path, ScriptedView((PLAIN,)), "incidents", "inc_1", "--investigation")
    assert "No investigation of this incident by a model is kept." in str(ended.exception)
    without = await command("incidents", "--investigation", "--state", tmp_path)
    assert without.exit_code == Exit.USAGE


async def test_incidents_as_json_are_one_object_a_line(tmp_path: Path) -> None:
    view = ScriptedView(shown=(PLAIN, PLAIN))
    listed = await said(tmp_path, view, "incidents", "--json")
    assert [json.loads(line)["incident_id"] for line in listed.output.splitlines()] == ["inc_1"] * 2
    one = await said(tmp_path, view, "incidents", "inc_1", "--json")
    assert json.loads(one.output)["state"] == "open"


async def test_no_incidents_is_said(tmp_path: Path) -> None:
    assert (await said(tmp_path, ScriptedView(), "incidents")).output == "no incidents\n"
    assert (await said(tmp_path, ScriptedView(), "incidents", "--json")).output == ""


async def test_what_waits_is_shown_in_the_order_in_which_a_person_decides(tmp_path: Path) -> None:
    ended = await said(tmp_path, ScriptedView(waiting=(RECORD,)), "approvals")
    labels = [line.split(":")[0].strip() for line in ended.output.splitlines() if line]
    assert labels[:3] == [
        "/spec/template/spec/containers/0/image",
        '- "shop',
        '+ "shop',
    ]
    assert labels[3:] == [
        "on", "action", "class", "undone by", "success means", "expires", "because", "incident", "plan",
    ]  # fmt: skip


async def test_approvals_as_json_hold_the_hash_to_approve_by(tmp_path: Path) -> None:
    ended = await said(tmp_path, ScriptedView(waiting=(RECORD,)), "approvals", "--json")
    assert json.loads(ended.output)["plan_hash"] == PLAN_HASH
    none = await said(tmp_path, ScriptedView(), "approvals")
    assert none.output == "nothing waits for approval\n"


class Typed(io.StringIO):
    """A terminal at which somebody has typed already."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("typed", "options", "clicks"),
    [("y\n", (), 1), ("n\n", (), 0), ("\n", (), 0), ("", (), 0), ("", ("--yes",), 1)],
)
async def test_on_a_terminal_the_person_is_asked_once_more_and_the_default_is_no(
    typed: str,
    options: tuple[str, ...],
    clicks: int,
    tmp_path: Path,
    token_file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    view = ScriptedView(waiting=(RECORD,))
    words = ["approve", PLAN, "--token-file", token_file, "--state", tmp_path, *options]
    monkeypatch.setattr("sys.stdin", Typed(typed))  # what the runner gives a command is no terminal
    async with daemon(tmp_path, view):
        ended = await asyncio.to_thread(exit_of, [str(word) for word in words])
    assert len(view.clicks) == clicks
    assert (ended == Exit.DONE) == bool(clicks)


def exit_of(words: list[str]) -> int:
    """Run one command on this process's own streams."""
    with pytest.raises(SystemExit) as caught:
        app(words)
    assert isinstance(caught.value.code, int)
    return caught.value.code


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
async def test_a_token_file_that_cannot_be_read_is_named(
    content: bytes | None, tmp_path: Path
) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    ended = await command("approve", PLAN, "--token-file", path, "--state", tmp_path)
    assert isinstance(ended.exception, Terminal)
    assert f"cannot read the token file {path}: " in str(ended.exception)


@pytest.mark.parametrize("verdict", ["approve", "deny"])
async def test_a_decision_is_sent_with_the_hash_of_what_was_shown(
    verdict: str, tmp_path: Path, token_file: Path
) -> None:
    view = ScriptedView(waiting=(RECORD,))
    words = (verdict, PLAN, "--token-file", token_file, "--reason", "looks right")
    ended = await said(tmp_path, view, *words)
    assert ended.exit_code == Exit.DONE, ended.output
    assert view.clicks == [(PLAN, PLAN_HASH, verdict, "looks right")]
    assert '+ "shop:v1"' in ended.stdout, "what is decided is shown"
    assert ended.stdout.endswith("approved: approved\n")


async def test_a_token_may_come_on_standard_input_and_is_not_shown(tmp_path: Path) -> None:
    view = ScriptedView(waiting=(RECORD,))
    words = ("approve", PLAN, "--token-file", "-")
    ended = await said(tmp_path, view, *words, stdin=f"{view.good_token}\n")
    assert ended.exit_code == Exit.DONE
    assert len(view.clicks) == 1
    assert view.good_token not in ended.output


async def test_a_refused_decision_is_code_four_with_the_reason(tmp_path: Path) -> None:
    view = ScriptedView(waiting=(RECORD,))
    ended = await said(
        tmp_path, view, "approve", PLAN, "--token-file", "-", stdin="somebody else's"
    )
    assert ended.exit_code == Exit.REFUSED
    assert ended.stderr == "pending: this token is not valid\n"


async def test_a_plan_that_does_not_wait_is_not_asked_about(
    tmp_path: Path, token_file: Path
) -> None:
    view = ScriptedView(waiting=(RECORD,))
    ended = await said(tmp_path, view, "deny", "pln_\x1b[2J", "--token-file", token_file)
    assert ended.exit_code == Exit.REFUSED
    assert "\x1b" not in ended.stderr
    assert "waits for no approval; 'opsagent approvals' lists what does" in ended.stderr
    assert view.clicks == []


async def test_a_link_is_printed_whole(tmp_path: Path) -> None:
    ended = await said(tmp_path, ScriptedView(), "open")
    assert ended.output.startswith("http://127.0.0.1:")
    assert "/open/" in ended.output


async def test_help_names_every_command() -> None:
    ended = await command("--help")
    for name in (
        "demo", "run", "open", "replay", "record", "status", "incidents", "approvals", "approve", "deny",
        "doctor", "config",
    ):  # fmt: skip
        assert f"  {name} " in ended.output
