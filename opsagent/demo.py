"""``opsagent demo``: the real daemon on a cluster in a box, told as a story on the terminal.

Everything is real but the cluster: the same composition root, two state files, REST on loopback, a
signed webhook to a receiver. Time runs ``speed`` times faster, through the event loop alone. The demo
breaks the shop with one bad rollout, waits for a person on the terminal, on the page or on the command line
(or approves as alice, when told to), and ends when the incident is resolved. It refuses to run for ever: after ``Demo.limit`` it says what it waited for.
"""

import asyncio
import base64
import contextlib
import datetime as dt
import json
import logging
import secrets
import sys
import tempfile
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from opsagent.api.views import plan_tree
from opsagent.app import Daemon
from opsagent.clients.kube_status import raise_for_status
from opsagent.clients.model import Bounds, connect_model
from opsagent.clients.webhook import WebhookClient
from opsagent.controllers.pipeline import Step
from opsagent.controllers.report import Report
from opsagent.guard.policy import Level
from opsagent.model.canonical import canonical, instant
from opsagent.model.entity import Entity
from opsagent.model.incident import EntryKind, Incident, IncidentState, TimelineEntry
from opsagent.model.plan import ApprovalRequest, ApprovalVerdict, PlanRecord
from opsagent.notify.webhook import WebhookNotifier
from opsagent.ports import Model, Terminal
from opsagent.runtime.clock import SystemClock
from opsagent.runtime.ids import SecureIds
from opsagent.runtime.keyboard import typed
from opsagent.runtime.loops import FollowingClock, ScaledLoop
from opsagent.runtime.retry import SystemChance
from opsagent.runtime.schedule import LoopSchedule
from opsagent.runtime.telemetry import configure
from opsagent.settings import ExecutorSettings, ModelSettings, PolicySettings, Settings
from opsagent.signals.redaction import redact_text
from opsagent.sim import (
    ADMIN,
    ALICE,
    EXECUTOR,
    OPSAGENT,
    SHOP,
    Fault,
    SimTransport,
    drive,
    fault_patch,
    shop,
)
from opsagent.sim.model import ScriptedModel
from opsagent.sim.model_server import serving_model
from opsagent.sim.receiver import Receiver, receiving
from opsagent.sim.scripts import GOOD
from opsagent.terminal import approval_lines, safe
from opsagent.world import World

VERIFY_WINDOW_SECONDS = 60
RECEIVER_SECONDS_MAX = 5.0  # for the last message to arrive, before the summary lists them
EXIT_DENIED = 4
SCRIPTED = "scripted"
CALM_SECONDS = 10.0  # before the rollout, so that opsagent has seen the shop healthy
DEPLOYMENT = f"/apis/apps/v1/namespaces/{SHOP}/deployments/web"
FAULTS = {
    "crash": Fault.CRASH_LOOP,
    "missing": Fault.MISSING_IMAGE,
    "oom": Fault.OOM_KILLED,
    "slow": Fault.NEVER_READY,
    "stuck": Fault.STUCK_ROLLOUT,
}
GAVE_UP = frozenset(
    {
        EntryKind.DENIED,
        EntryKind.EXPIRED,
        EntryKind.REFUSED,
        EntryKind.NO_PLAN,
        EntryKind.NEEDS_PERSON,
    }
)
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Demo:
    """What the person asked for."""

    fault: str = "crash"
    is_approving: bool = False
    is_headless: bool = False
    is_json: bool = False
    is_opening: bool = False
    is_staying: bool = False
    model_url: str = ""  # none: by rules alone; SCRIPTED: served here from a script
    model_name: str = "scripted"
    speed: float = 8.0
    limit: dt.timedelta = dt.timedelta(minutes=60)  # of the demo's own time
    state_dir: Path | None = None


def run_demo(demo: Demo, *, say: Say) -> int:
    """Run the demo; return 0 if the incident was resolved by a verified rollback, 4 if not."""
    if not (demo.is_approving or demo.is_headless or sys.stdin.isatty()):
        raise Terminal("no terminal to ask on: give --approve, or --headless to approve elsewhere")

    async def play(state: Path) -> int:
        return await _Play(demo, state, say).run()

    with tempfile.TemporaryDirectory(prefix="opsagent-demo-") as scratch:
        state = demo.state_dir or Path(scratch)
        with asyncio.Runner(loop_factory=lambda: ScaledLoop(demo.speed)) as runner:
            return runner.run(play(state))


@dataclass(slots=True)
class _Narrator:
    """Turns committed steps into lines, each timeline entry once."""

    demo: Demo
    say: Say
    incident: Incident | None = None
    told: set[TimelineEntry] = field(default_factory=set)  # late news is filed under its own time
    messages: set[str] = field(default_factory=set)  # ids of what people have to be told
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def notice(self, step: Step) -> None:
        """Tell what is new of the demo's incident."""
        self.messages |= {each.notification_id for each in step.batch.notifications}
        for incident in step.batch.incidents:
            for line in self._lines(incident):
                self.say(line)
            self.incident = incident
            self.told |= set(incident.timeline)
            self.news.set()

    def _lines(self, incident: Incident) -> Iterator[str]:
        for entry in incident.timeline:
            if entry in self.told:
                continue
            if self.demo.is_json:
                yield json.dumps(
                    {
                        "step": entry.kind.value,
                        "at": instant(entry.at),
                        "actor": entry.actor,
                        "incident_id": incident.incident_id,
                        "entity": str(incident.entity),
                        "text": entry.text,
                    }
                    | _cause(incident, entry.kind)
                )
            else:
                yield f"{entry.at:%H:%M:%S}  {entry.kind.value:<16} {safe(entry.text)}"

    async def until(self, is_reached: Callable[[Incident], bool]) -> Incident:
        """Wait until the incident is as wanted."""
        while self.incident is None or not is_reached(self.incident):
            self.news.clear()
            await self.news.wait()
        return self.incident


def _cause(incident: Incident, kind: EntryKind) -> dict[str, str]:
    if kind is not EntryKind.CAUSE or not incident.diagnoses:
        return {}
    top = incident.diagnoses[0]
    return {"cause": top.cause.value, "cause_entity": str(top.entity)}


class _Play:
    """One run of the demo."""

    def __init__(self, demo: Demo, state: Path, say: Say) -> None:
        self._demo = demo
        self._state = state
        self._say = say
        self._clock = FollowingClock(asyncio.get_running_loop(), SystemClock().now())
        self._cluster = shop(self._clock.now())
        self._receiver = Receiver(secrets.token_bytes(32))
        self._narrator = _Narrator(demo, say)

    async def run(self) -> int:
        """Play to the end; return the exit code."""
        configure(self._clock, redact_text, is_json=True, level=logging.WARNING)
        async with AsyncExitStack() as stack:
            address = await stack.enter_async_context(receiving(self._receiver))
            secret = base64.b64encode(self._receiver.secret).decode()
            client = WebhookClient(address, secret)
            stack.push_async_callback(client.aclose)
            model, asked = await self._model(stack)
            settings = self._settings().model_copy(update={"model": asked})
            world = self._world(WebhookNotifier("on call", client, self._clock))
            daemon = Daemon(settings, replace(world, model=model))
            async with asyncio.TaskGroup() as group:
                parts = {"cluster": drive(self._cluster, self._clock), "daemon": daemon.run()}
                tasks = [group.create_task(part, name=name) for name, part in parts.items()]
                report = await daemon.report()
                incident = await self._story(report)
                patience = RECEIVER_SECONDS_MAX * self._demo.speed  # it lives in real time
                await self._receiver.until_taken(self._narrator.messages, patience)
                self._sum_up(incident)
                await self._stay()
                for task in tasks:
                    task.cancel()
        return 0 if _is_verified(incident) else EXIT_DENIED

    async def _model(self, stack: AsyncExitStack) -> tuple[Model | None, ModelSettings | None]:
        """Return the model and its bounds; it lives in real time, so it gets more of the demo's."""
        url, speed = self._demo.model_url, self._demo.speed
        if not url:
            return None, None
        if url == SCRIPTED:
            url = await stack.enter_async_context(serving_model(ScriptedModel(GOOD)))
        call, whole = (min(seconds * speed, 3600) for seconds in (120, 300))
        name = self._demo.model_name
        asked = ModelSettings(url=url, name=name, call_seconds_max=call, seconds_max=whole)
        opened = connect_model(url, name, bounds=Bounds(idle_seconds=30 * speed))
        return await stack.enter_async_context(opened), asked

    def _world(self, notifier: WebhookNotifier) -> World:
        return World(
            clock=self._clock,
            chance=SystemChance(),
            ids=SecureIds(),
            schedule=lambda: LoopSchedule(self._clock),
            cluster=self._transport(OPSAGENT),
            hands=self._transport(EXECUTOR),
            notifier=notifier,
            announce=self._announce,
            listeners=(self._narrator.notice,),
        )

    def _announce(self, link: str) -> None:
        self._tell("page", link if self._demo.is_json else f"open once, in a browser: {link}")
        if self._demo.is_opening and _has_window():
            webbrowser.open(link)

    def _transport(self, user: str) -> SimTransport:
        return SimTransport(self._cluster, self._cluster.access.token(user), self._clock)

    def _settings(self) -> Settings:
        return Settings(
            cluster="demo",
            state_dir=self._state,
            executor=ExecutorSettings(),
            policy=PolicySettings(
                level=Level.APPROVE,
                namespaces=(SHOP,),
                verify_window_seconds=VERIFY_WINDOW_SECONDS,
            ),
        )

    async def _story(self, report: Report) -> Incident:
        """Break the shop, get a decision, wait for the end."""
        token_file = _write_token(self._state / "alice.token", self._cluster.access.token(ALICE))
        self._tell("calm", "the shop is well: web 3/3 and cart 2/2 replicas ready")
        try:
            async with asyncio.timeout(self._demo.limit.total_seconds()):
                await asyncio.sleep(CALM_SECONDS)
                await self._break()
                incident = await self._narrator.until(_is_planned_or_over)
                for record in () if _is_over(incident) else await report.approvals():
                    await self._decide(report, record, token_file)
                return await self._narrator.until(_is_over)
        except TimeoutError:
            last = self._narrator.incident
            waited_for = last.waiting_for if last else "an incident"
            raise TimeoutError(
                f"the demo ended after {self._demo.limit}: it still waited for {waited_for}"
            ) from None

    async def _break(self) -> None:
        fault = FAULTS[self._demo.fault]
        self._tell("rollout", f"somebody rolls out a new release of web ({fault.value})")
        answer = await self._transport(ADMIN).request(
            "PATCH",
            DEPLOYMENT,
            query={"fieldManager": "kubectl-set"},
            body=canonical(fault_patch(fault)),
            content_type="application/strategic-merge-patch+json",
        )
        raise_for_status(answer, "the demo's rollout")

    async def _decide(self, report: Report, record: PlanRecord, token_file: Path) -> None:
        verdict = ApprovalVerdict.APPROVE
        if not self._demo.is_json:
            self._say("\nopsagent wants to change this:")
            for line in approval_lines(plan_tree(record)):
                self._say(line)
        if not self._demo.is_approving:
            self._say_how(record.plan.plan_id, token_file)
            if self._demo.is_headless:
                return
            asked = await self._ask(record.plan.proposal.action.target.entity)
            if asked is None:
                return
            verdict = asked
        answer = await report.decide(
            ApprovalRequest(
                plan_id=record.plan.plan_id,
                plan_hash=record.plan.plan_hash,
                verdict=verdict,
                token=self._cluster.access.token(ALICE),
            )
        )
        if not answer.is_accepted:
            self._tell("refused", answer.reason)

    def _say_how(self, plan_id: str, token_file: Path) -> None:
        if not self._demo.is_json:
            self._say(
                f"\nOn the page, with alice's token, which is in {token_file}\n"
                "Or from another terminal, as alice: "
                f"opsagent approve {plan_id} --state {self._state} --token-file {token_file}"
            )

    async def _ask(self, entity: Entity) -> ApprovalVerdict | None:
        """Ask on the terminal without stopping the world; None if somebody decided elsewhere."""
        self._say(f"Approve for {safe(str(entity))}, as alice? [y/N] ")
        with typed(self._narrator.news) as is_typed:
            await self._narrator.until(lambda incident: is_typed() or _is_decided(incident))
            if not is_typed():
                return None
        is_yes = sys.stdin.readline().strip().lower() in ("y", "yes")
        return ApprovalVerdict.APPROVE if is_yes else ApprovalVerdict.DENY

    async def _stay(self) -> None:
        """Keep the page up for who looks at it: until Enter on a terminal, else until interrupted."""
        if not self._demo.is_staying:
            return
        entered = asyncio.Event()
        is_terminal = not self._demo.is_headless and sys.stdin.isatty()
        self._tell("stay", f"the page stays up until {'Enter' if is_terminal else 'Ctrl-C'}")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._demo.limit.total_seconds()):
                with typed(entered) if is_terminal else contextlib.nullcontext():
                    await entered.wait()
                sys.stdin.readline()  # or the shell would run what was typed

    def _tell(self, step: str, text: str) -> None:
        now = self._clock.now()
        if self._demo.is_json:
            self._say(json.dumps({"step": step, "at": instant(now), "actor": "demo", "text": text}))
        else:
            self._say(f"{now:%H:%M:%S}  {step:<16} {text}")

    def _sum_up(self, incident: Incident) -> None:
        writes = [
            entry
            for entry in self._cluster.audit
            if entry.user == EXECUTOR and entry.verb == "patch" and not entry.is_dry_run
        ]
        took = (incident.updated_at - incident.opened_at).total_seconds()
        self._tell(
            "summary",
            f"{incident.state.value} after {took:.0f} s; writes by opsagent: {len(writes)}; "
            f"messages: {', '.join(self._receiver.reasons) or 'none'}",
        )


def _write_token(path: Path, token: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(token)
    return path


def _has_window() -> bool:
    """Return whether a browser would open a window of its own; one in text would take the terminal."""
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return False
    return type(browser) is not webbrowser.GenericBrowser


def _is_over(incident: Incident) -> bool:
    is_given_up = any(entry.kind in GAVE_UP for entry in incident.timeline)
    return is_given_up or incident.state is IncidentState.RESOLVED


def _is_decided(incident: Incident) -> bool:
    return any(entry.kind is EntryKind.APPROVED for entry in incident.timeline) or _is_over(
        incident
    )


def _is_planned_or_over(incident: Incident) -> bool:
    return any(entry.kind is EntryKind.PLAN for entry in incident.timeline) or _is_over(incident)


def _is_verified(incident: Incident) -> bool:
    kinds = {entry.kind for entry in incident.timeline}
    return incident.state is IncidentState.RESOLVED and EntryKind.VERIFIED in kinds
