"""``opsagent doctor``: will the daemon work with this configuration, and if not, what is to be done.

Theory of operation. Each check looks at one thing and returns a finding: ok, warn (it will work, but
know this) or fail (something of what is configured will not work), with what it means and what to do.
The checks go from near to far: file, state folder, kubeconfig, server, rights. Where a far one rests on
a near one that failed it is left out, so that one cause gives one complaint.

It refuses to repair: it writes nothing, takes no lock and opens no database. Rights are asked of the
API server by each identity about itself.
"""

import os
import shutil
import stat
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, aclosing
from functools import partial
from pathlib import Path
from typing import TypeAlias

from opsagent.clients.kube_read import KubeReader
from opsagent.clients.kube_review import KubeReviewer
from opsagent.clients.kube_self import KubeSelf, Right, right_on
from opsagent.clients.kube_transport import connect
from opsagent.clients.model_served import ModelServerClient
from opsagent.clients.webhook import WebhookClient
from opsagent.controllers.model_identity import trouble
from opsagent.doctor_telemetry import telemetry
from opsagent.finding import Finding, Verdict
from opsagent.model.entity import CLUSTER_SCOPED, Entity, Kind
from opsagent.ports import (
    Clock,
    Forbidden,
    Gone,
    Identity,
    KubeTransport,
    NotFound,
    Terminal,
    Transient,
)
from opsagent.settings import ModelSettings, Settings, load
from opsagent.store.database import holder, is_damaged, sqlite_version
from opsagent.term import KINDS

GIBIBYTE = 1024**3
FREE_BYTES_MIN = GIBIBYTE // 16  # a day of a busy cluster's rows
FREE_BYTES_ENOUGH = GIBIBYTE
SKEW_SECONDS_FELT = 5.0  # timelines look wrong
SKEW_SECONDS_MAX = 300.0  # tokens and certificates count as not yet, or no longer, valid
EVERYBODY = Identity("", ("system:authenticated",))
READ_VERBS = ("get", "list", "watch")


Check: TypeAlias = Callable[[], Awaitable[Finding]]


async def examine(config: Path, approvers: Sequence[str], clock: Clock) -> AsyncIterator[Finding]:
    """Yield what every check finds, near things first. ``approvers``: users who should have the right to approve."""
    try:
        settings = load(config)
    except Terminal as error:
        advice = (
            "correct the file; 'opsagent config schema' and docs/configuration.md know every key"
        )
        yield Finding("config", Verdict.FAIL, str(error), advice)
        return
    yield Finding("config", Verdict.OK, f"{config} is valid")
    for finding in _local(settings):
        yield finding
    if settings.model is not None and (key := _read_key(settings.model)) is not None:
        yield await _model_server(settings.model, key)
    async for finding in telemetry(settings, clock):
        yield finding
    kubernetes, executor = settings.kubernetes, settings.executor
    daemon = partial(_daemon_checks, settings, clock)
    async for finding in _as("daemon", kubernetes.kubeconfig, kubernetes.context, daemon):
        yield finding
    if executor is None:
        text = "no executor section: opsagent only suggests, it can change nothing"
        yield Finding("executor", Verdict.OK, text)
        return
    hands = partial(_executor_checks, settings, approvers)
    async for finding in _as("executor", executor.kubeconfig, executor.context, hands):
        yield finding


def _local(settings: Settings) -> Iterator[Finding]:
    state = settings.state_dir
    folder = _folder(state)
    yield folder
    yield _space(state)
    version, is_risky = sqlite_version()
    if is_risky:
        yield Finding(
            "SQLite",
            Verdict.WARN,
            f"version {version} has the WAL-reset bug: in rare cases it loses a commit",
            "use a Python that is linked with SQLite 3.51.3 or newer",
        )
    else:
        yield Finding("SQLite", Verdict.OK, f"version {version}")
    if folder.verdict is not Verdict.FAIL:
        yield _files(state)
    if settings.webhook is not None:
        yield _webhook(settings.webhook.url, settings.webhook.secret_file)
    if settings.model is not None and settings.model.api_key_file is not None:
        yield _key("model", "model.api_key_file", settings.model.api_key_file)
    if settings.alertmanager is not None:
        yield _key("alertmanager", "alertmanager.token_file", settings.alertmanager.token_file)


def _folder(state: Path) -> Finding:
    nearest = next(path for path in (state, *state.absolute().parents) if path.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        text = f"{state} cannot be written: {nearest} is not a folder, or not writable for us"
        return Finding("state folder", Verdict.FAIL, text, "give it to the daemon's user")
    if nearest != state:
        return Finding("state folder", Verdict.OK, f"{state} will be made at the first start")
    if stat.S_IMODE(state.stat().st_mode) & 0o077:
        text = f"{state} is open to other users; it holds a token and what was observed"
        return Finding("state folder", Verdict.WARN, text, f"chmod 700 {state}")
    return Finding("state folder", Verdict.OK, f"{state} is writable and ours alone")


def _space(state: Path) -> Finding:
    nearest = next(path for path in (state, *state.absolute().parents) if path.is_dir())
    free = shutil.disk_usage(nearest).free
    text = f"{free / GIBIBYTE:.1f} GiB free at {nearest}"
    advice = "free some space, or lower retention_days; on a full disk opsagent stops"
    if free < FREE_BYTES_MIN:
        return Finding("space", Verdict.FAIL, text, advice)
    if free < FREE_BYTES_ENOUGH:
        return Finding("space", Verdict.WARN, text, advice)
    return Finding("space", Verdict.OK, text)


def _files(state: Path) -> Finding:
    """Look whether the databases are whole at the first glance and who holds them."""
    for path in (state / "daemon.db", state / "executor.db"):
        try:
            pid = holder(path)
            is_broken = not pid and is_damaged(path)
        except OSError as error:
            advice = "run this as the daemon's own user"
            return Finding("state", Verdict.FAIL, f"{path}: {error.strerror}", advice)
        if pid:
            text = f"process {pid} runs on this state folder; a second one would be refused"
            return Finding("state", Verdict.OK, text)
        if is_broken:
            advice = "restore a copy of it, or move it away to begin anew"
            return Finding("state", Verdict.FAIL, f"{path} is not a database", advice)
    return Finding("state", Verdict.OK, "no daemon runs on this state folder")


def _webhook(url: str, secret_file: Path) -> Finding:
    advice = "write the receiver's signing secret into webhook.secret_file"
    try:
        WebhookClient(url, secret_file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        return Finding("webhook", Verdict.FAIL, f"cannot read {secret_file}: {error}", advice)
    except Terminal as error:
        return Finding("webhook", Verdict.FAIL, f"{secret_file}: {error}", advice)
    return Finding("webhook", Verdict.OK, "the signing secret is usable")


def _key(check: str, name: str, path: Path) -> Finding:
    try:
        is_empty = not path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        advice = f"write the key into {name}"
        return Finding(check, Verdict.FAIL, f"cannot read {path}: {error}", advice)
    if is_empty:
        advice = f"write the key into it, or leave {name} out"
        return Finding(check, Verdict.WARN, f"{path} is empty", advice)
    return Finding(check, Verdict.OK, "the key file is readable")


def _read_key(section: ModelSettings) -> str | None:
    """Return the server's key, '' if it wants none, None if it cannot be read."""
    try:
        return section.api_key_file.read_text("utf-8").strip() if section.api_key_file else ""
    except (OSError, UnicodeDecodeError):
        return None


async def _model_server(section: ModelSettings, key: str) -> Finding:
    """Ask whether it serves the model by this very name, and with enough context."""
    check = "model server"
    try:
        async with aclosing(ModelServerClient(section.url, key)) as server:
            served = await server.served()
    except (Transient, Forbidden) as error:
        advice = "start it, or correct model.url and its key; until then incidents go by rules"
        return Finding(check, Verdict.FAIL, str(error), advice)
    except Terminal as error:
        advice = "look whether model.url is the base that ends in /v1, and model.name right"
        return Finding(check, Verdict.WARN, str(error), advice)
    if problem := trouble(section.name, section.turn_tokens_max, served):
        advice = "set model.name to a name that its server has, or model.turn_tokens_max lower; until then incidents go by rules"
        return Finding(check, Verdict.FAIL, f"{section.name}: {problem}", advice)
    context = next(each.context_tokens for each in served if each.name == section.name)
    size = "" if context is None else f", with {context} tokens of context"
    return Finding(check, Verdict.OK, f"{section.name} is served{size}")


async def _as(
    who: str,
    kubeconfig: Path | None,
    context: str | None,
    checks: Callable[[KubeTransport], Sequence[tuple[str, Check]]],
) -> AsyncIterator[Finding]:
    """Yield what the checks of one identity find, up to the first that cannot be asked."""
    async with AsyncExitStack() as stack:
        name = f"{who}: kubeconfig"
        try:
            transport = await connect(kubeconfig, context)
        except Terminal as error:
            yield Finding(name, Verdict.FAIL, str(error))
            return
        stack.push_async_callback(transport.aclose)
        yield Finding(name, Verdict.OK, str(kubeconfig or "the pod's service account"))
        for check, ask in checks(transport):
            try:
                found = await ask()
            except (Transient, Forbidden, NotFound, Gone, Terminal) as error:
                advice = "the checks that rest on this one were left out"
                yield Finding(f"{who}: {check}", Verdict.FAIL, str(error), advice)
                return
            yield Finding(f"{who}: {check}", found.verdict, found.text, found.advice)


def _daemon_checks(
    settings: Settings, clock: Clock, transport: KubeTransport
) -> Sequence[tuple[str, Check]]:
    asks = KubeSelf(transport)
    lease = settings.lease
    places = settings.kubernetes.namespaces or ("",)
    rights = [
        right_on(kind, verb, namespace)
        for kind in KINDS
        for verb in READ_VERBS
        for namespace in (("",) if kind in CLUSTER_SCOPED else places)
    ]
    rights += [Right("get", "pods", subresource="log", namespace=place) for place in places]
    leases = [
        Right(verb, "leases", "coordination.k8s.io", namespace=lease.namespace)
        for verb in ("get", "create", "update")
    ]
    return (
        ("API server", partial(_server, asks, clock)),
        ("rights to read", partial(_has, asks, rights)),
        ("Secrets", partial(_is_blind, asks, places)),
        ("lease", partial(_lease, asks, KubeReader(transport), lease.namespace, leases)),
    )


def _executor_checks(
    settings: Settings, approvers: Sequence[str], transport: KubeTransport
) -> Sequence[tuple[str, Check]]:
    asks = KubeSelf(transport)
    places = settings.policy.namespaces
    rights = [Right("get", "namespaces")]
    rights += [
        right_on(kind, verb, place)
        for place in places
        for kind, verbs in (
            (Kind.DEPLOYMENT, ("get", "list", "patch")),
            (Kind.REPLICA_SET, ("list",)),
            (Kind.POD, ("list",)),
            (Kind.EVENT, ("list",)),
        )
        for verb in verbs
    ]
    reviews = [
        Right("create", "tokenreviews", "authentication.k8s.io"),
        Right("create", "subjectaccessreviews", "authorization.k8s.io"),
    ]
    return (
        ("namespaces", partial(_places, places)),
        ("rights to act", partial(_has, asks, rights)),
        ("rights to review", partial(_has, asks, reviews)),
        ("Secrets", partial(_is_blind, asks, places or ("",))),
        ("approvers", partial(_approvers, KubeReviewer(transport), places, approvers)),
    )


async def _server(asks: KubeSelf, clock: Clock) -> Finding:
    before = clock.now()
    server = await asks.server()
    text = f"Kubernetes {server.version}"
    if server.at is None:
        return Finding("", Verdict.OK, f"{text}; it does not tell its time")
    # It tells whole seconds: the middle of its second against the middle of our waiting.
    ours = before + (clock.now() - before) / 2
    skew = abs((ours - server.at).total_seconds() - 0.5)
    text = f"{text}; its clock and ours differ by {skew:.0f} s"
    advice = "let both machines keep time (NTP)"
    if skew >= SKEW_SECONDS_MAX:
        return Finding("", Verdict.FAIL, text, advice)
    if skew >= SKEW_SECONDS_FELT:
        return Finding("", Verdict.WARN, text, advice)
    return Finding("", Verdict.OK, text)


async def _has(asks: KubeSelf, rights: Sequence[Right]) -> Finding:
    missing = [str(right) for right in rights if not await asks.may(right)]
    if missing:
        text = f"may not: {'; '.join(missing)}"
        return Finding("", Verdict.FAIL, text, "grant these rights to this identity (RBAC)")
    return Finding("", Verdict.OK, f"all {len(rights)} granted")


async def _is_blind(asks: KubeSelf, places: Sequence[str]) -> Finding:
    """Look that the identity cannot read Secrets, which it never needs."""
    rights = [
        Right(verb, "secrets", namespace=place) for place in places for verb in ("get", "list")
    ]
    granted = [str(right) for right in rights if await asks.may(right)]
    if granted:
        text = f"may {'; '.join(granted)}, which opsagent never needs"
        return Finding("", Verdict.FAIL, text, "take these rights away")
    return Finding("", Verdict.OK, "cannot be read, as it should be")


async def _lease(
    asks: KubeSelf, reader: KubeReader, namespace: str, rights: Sequence[Right]
) -> Finding:
    try:
        await reader.get(Entity(Kind.NAMESPACE, "", namespace))
    except NotFound:
        text = f"the namespace {namespace} does not exist, so no replica can become active"
        return Finding("", Verdict.FAIL, text, "create it, or set lease.namespace")
    except Forbidden:
        pass  # whether it exists shows when the Lease is written
    return await _has(asks, rights)


async def _places(places: Sequence[str]) -> Finding:
    if not places:
        text = "policy.namespaces is empty, so nothing can be approved anywhere"
        return Finding("", Verdict.WARN, text, "list the namespaces in which opsagent may act")
    return Finding("", Verdict.OK, f"may act in {', '.join(places)}")


async def _approvers(
    reviewer: KubeReviewer, places: Sequence[str], approvers: Sequence[str]
) -> Finding:
    right = "approve on actionrequests.opsagent.io"
    open_to_all = [place for place in places if await reviewer.may_approve(EVERYBODY, place)]
    if open_to_all:
        text = f"every user of the cluster may {right} in {', '.join(open_to_all)}"
        return Finding("", Verdict.FAIL, text, "bind the right to those who should decide")
    if not approvers:
        return Finding(
            "",
            Verdict.WARN,
            f"the API does not list who may {right}",
            "name those who should: opsagent doctor --approver NAME",
        )
    refused = [
        f"{name} in {place}"
        for name in approvers
        for place in places
        if not await reviewer.may_approve(Identity(name), place)
    ]
    if refused:
        text = f"may not {right}: {', '.join(refused)} (rights of groups are not counted here)"
        return Finding("", Verdict.WARN, text, "bind the right to them")
    return Finding("", Verdict.OK, f"{', '.join(approvers)} may {right}")
