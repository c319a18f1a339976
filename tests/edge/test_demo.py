"""The demo as a person sees it: every fault to its verified end, every answer, every way to give one; never for ever.

Real time, twenty times as fast: the sockets, the daemon and the terminal are real. ``Person`` does what people do
elsewhere, in a thread of its own.
"""

import asyncio
import datetime as dt
import json
import os
import re
import sys
import webbrowser
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from opsagent import demo as played
from opsagent.cli import app
from opsagent.clients.daemon import connect
from opsagent.demo import EXIT_DENIED, FAULTS, Demo, run_demo
from opsagent.ports import Terminal
from opsagent.runtime.loops import ScaledLoop

pytestmark = pytest.mark.timeout(120)

SPEED = 20.0
TTL_SPEED = 100.0  # to wait fifteen minutes for an expiry
CAUSES = {
    "crash": "bad_rollout",
    "missing": "incorrect_image_reference",
    "oom": "bad_rollout",
    "slow": "bad_rollout",
    "stuck": "bad_rollout",
}


@pytest.fixture
def typing(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], object]]:
    """Make standard input a terminal; yield what types on it."""
    ours, theirs = os.openpty()
    with os.fdopen(theirs, "r") as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        yield lambda text: os.write(ours, text.encode())
    os.close(ours)


class Person:
    """Hears every line; when one contains ``cue``, does ``act`` in a thread, once."""

    def __init__(self, cue: str = "", act: Callable[[], object] = lambda: None) -> None:
        self.heard: list[str] = []
        self._cue = cue
        self._act = act
        self._threads = ThreadPoolExecutor(1)
        self._done: Future[object] | None = None

    def say(self, line: str) -> None:
        self.heard.append(line)
        if self._cue and self._cue in line and self._done is None:
            self._done = self._threads.submit(self._act)

    @property
    def did(self) -> object:
        """What came of it."""
        assert self._done is not None, "the cue never came"
        return self._done.result(timeout=10)

    @property
    def text(self) -> str:
        return "\n".join(self.heard)


def decide(state: Path, verdict: str) -> object:
    """Decide as alice, as ``opsagent approve`` does."""
    with connect(state) as daemon:
        (plan,) = daemon.approvals()
        return daemon.decide(
            str(plan["plan_id"]),
            verdict=verdict,
            plan_hash=str(plan["plan_hash"]),
            token=(state / "alice.token").read_text(),
        )


def summary(lines: Sequence[str]) -> str:
    (found,) = [line for line in lines if "summary" in line]
    return found


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_ends_in_a_verified_rollback(fault: str) -> None:
    person = Person()
    wish = Demo(fault=fault, is_approving=True, is_json=True, speed=SPEED)
    assert run_demo(wish, say=person.say) == 0
    steps = [json.loads(line) for line in person.heard]
    (cause,) = {step["cause"] for step in steps if "cause" in step}
    assert cause == CAUSES[fault]
    assert {step["cause_entity"] for step in steps if "cause" in step} == {
        "apps/v1/Deployment/shop/web"
    }
    told = [step["step"] for step in steps]
    for earlier, later in (
        ("rollout", "incident_opened"), ("incident_opened", "cause"), ("cause", "plan"),
        ("plan", "approved"), ("approved", "executed"), ("executed", "verified"), ("verified", "resolved"),
    ):  # fmt: skip
        assert told.index(earlier) < told.index(later)
    last = summary(person.heard)
    assert "resolved after" in last
    assert "writes by opsagent: 1" in last
    assert re.search(r"messages: opened,.* approval_needed, resolved", last)
    stamps = [dt.datetime.fromisoformat(step["at"]) for step in steps]
    assert stamps[-1] - stamps[0] < dt.timedelta(minutes=10)


def test_the_command_tells_the_story_in_words_with_the_exact_change() -> None:
    ended = CliRunner().invoke(app, ["demo", "--approve", "--speed", str(SPEED)])
    assert ended.exit_code == 0, ended.output
    assert "opsagent wants to change this:" in ended.stdout
    assert '- "shop/web:v2-crash"' in ended.stdout
    assert '+ "shop/web:v1"' in ended.stdout
    assert "open once, in a browser: http://127.0.0.1:" in ended.stdout
    assert re.search(r"\d\d:\d\d:\d\d  verified  ", ended.stdout)


@pytest.mark.parametrize(
    ("model_url", "note"),
    [
        ("scripted", "Proposed by the model scripted"),
        ("http://127.0.0.1:9/v1", "By rules, because "),  # nobody listens there
    ],
)
def test_a_model_investigates_first_if_one_is_given(model_url: str, note: str) -> None:
    person = Person()
    wish = Demo(is_approving=True, is_json=True, model_url=model_url, speed=SPEED)
    assert run_demo(wish, say=person.say) == 0
    assert note in person.text


def test_somebody_approves_from_another_terminal(tmp_path: Path) -> None:
    person = Person("opsagent approve pln_", lambda: decide(tmp_path, "approve"))
    wish = Demo(is_headless=True, speed=SPEED, state_dir=tmp_path)
    assert run_demo(wish, say=person.say) == 0
    assert f"--state {tmp_path} --token-file {tmp_path}/alice.token" in person.text
    assert (tmp_path / "alice.token").stat().st_mode & 0o077 == 0
    assert (tmp_path / "daemon.db").exists(), "the state was asked to be kept"
    assert isinstance(person.did, dict)


def test_somebody_denies_from_another_terminal_and_the_page_stays_for_a_while(
    tmp_path: Path,
) -> None:
    person = Person('"step": "plan"', lambda: decide(tmp_path, "deny"))
    wish = Demo(
        is_headless=True,
        is_json=True,
        is_staying=True,
        speed=SPEED,
        limit=dt.timedelta(seconds=90),
        state_dir=tmp_path,
    )
    assert run_demo(wish, say=person.say) == EXIT_DENIED
    assert isinstance(person.did, dict)
    assert "open after" in summary(person.heard)
    assert "writes by opsagent: 0" in summary(person.heard)
    assert "the page stays up until Ctrl-C" in person.heard[-1]


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 4), ("", 4), ("maybe", 4)])
def test_the_person_on_the_terminal_decides_and_the_default_is_no(
    answer: str, code: int, typing: Callable[[str], object]
) -> None:
    person = Person("Approve for apps/v1/Deployment/shop/web, as alice? [y/N]", lambda: typing(f"{answer}\n"))  # fmt: skip
    assert run_demo(Demo(speed=SPEED, fault="missing"), say=person.say) == code
    assert person.did
    assert ("denied" in person.text) == bool(code)


def test_enter_ends_the_stay(typing: Callable[[str], object]) -> None:
    person = Person("as alice? [y/N]", lambda: typing("n\n"))

    def say(line: str) -> None:
        person.say(line)
        if "the page stays up until Enter" in line:
            typing("\n")

    assert run_demo(Demo(speed=SPEED, fault="missing", is_staying=True), say=say) == EXIT_DENIED


@pytest.mark.usefixtures("typing")
def test_who_decides_on_the_page_need_not_answer_on_the_terminal(tmp_path: Path) -> None:
    person = Person("as alice? [y/N]", lambda: decide(tmp_path, "deny"))
    wish = Demo(speed=SPEED, fault="missing", state_dir=tmp_path)
    assert run_demo(wish, say=person.say) == EXIT_DENIED
    assert isinstance(person.did, dict)


def test_without_an_answer_the_offer_expires_and_nothing_is_written() -> None:
    person = Person()
    wish = Demo(fault="missing", is_headless=True, speed=TTL_SPEED)
    assert run_demo(wish, say=person.say) == EXIT_DENIED
    assert "expired" in person.text
    assert "writes by opsagent: 0" in summary(person.heard)
    assert "approval_expired" in summary(person.heard)


def test_who_has_no_right_is_told_so_and_the_offer_stands(tmp_path: Path) -> None:
    person = Person()
    limit = dt.timedelta(seconds=60)
    wish = Demo(fault="missing", is_approving=True, speed=SPEED, limit=limit)

    async def play() -> int:
        play = played._Play(wish, tmp_path, person.say)
        rules = play._cluster.access.rules
        rules[:] = [rule for rule in rules if "approve" not in rule.verbs]
        return await play.run()

    with (
        asyncio.Runner(loop_factory=lambda: ScaledLoop(wish.speed)) as runner,
        pytest.raises(BaseExceptionGroup) as caught,
    ):
        runner.run(play())
    assert caught.group_contains(TimeoutError, match="it still waited for approval of pln_")
    assert "refused          no right to approve in this namespace" in person.text


@pytest.mark.parametrize(("seconds", "waited_for"), [(5, "an incident"), (60, "approval of pln_")])
def test_it_never_runs_for_ever_and_says_what_it_waited_for(
    seconds: float, waited_for: str
) -> None:
    limit = dt.timedelta(seconds=seconds)
    wish = Demo(fault="missing", is_headless=True, speed=SPEED, limit=limit)
    with pytest.raises(BaseExceptionGroup) as caught:
        run_demo(wish, say=lambda _: None)
    assert caught.group_contains(
        TimeoutError, match=rf"the demo ended after {limit}: it still waited for {waited_for}"
    )


def test_without_a_terminal_it_asks_for_one_or_for_an_option() -> None:
    with pytest.raises(Terminal, match="give --approve, or --headless"):
        run_demo(Demo(), say=lambda _: None)


class Browser(webbrowser.BaseBrowser):
    """A browser with a window, that only remembers."""

    def __init__(self) -> None:
        super().__init__("remembering")
        self.opened: list[str] = []

    def open(self, url: str, new: int = 0, autoraise: bool = True) -> bool:  # noqa: ARG002
        self.opened.append(url)
        return True


@pytest.fixture
def _no_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this machine have no browser; what a test registers is forgotten after it."""
    monkeypatch.setattr(webbrowser, "_browsers", {})
    monkeypatch.setattr(webbrowser, "_tryorder", [])


@pytest.mark.usefixtures("_no_browser")
@pytest.mark.parametrize(
    ("browser", "opened"),
    [(Browser(), 1), (webbrowser.GenericBrowser("true"), 0), (None, 0)],
    ids=["with a window", "in the terminal", "none"],
)
def test_the_page_is_opened_only_in_a_window_of_its_own(browser: Any, opened: int) -> None:
    if browser is not None:
        webbrowser.register("test", None, browser, preferred=True)
    person = Person()
    limit = dt.timedelta(seconds=5)
    wish = Demo(is_headless=True, is_opening=True, is_json=True, speed=SPEED, limit=limit)
    with pytest.raises(BaseExceptionGroup):
        run_demo(wish, say=person.say)
    links = [json.loads(line)["text"] for line in person.heard if '"step": "page"' in line]
    assert len(links) == 1
    assert getattr(browser, "opened", []) == links * opened
