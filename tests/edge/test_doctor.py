"""Each thing that can be wrong before the start is found by name, with what to do; a sound set-up passes."""

import base64
import datetime as dt
import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from opsagent.doctor import Finding, Verdict, examine
from opsagent.runtime.clock import SystemClock
from opsagent.sim import ALICE, ANY, BOB, EXECUTOR, OPSAGENT, SHOP, Access, Rule
from opsagent.sim.server import write_kubeconfig
from tests.fakes.http_server import Reply, Request, serve
from tests.fakes.served_shop import Served, served_shop

pytestmark = pytest.mark.timeout(60)  # the official client takes a second to import

OK, WARN, FAIL = Verdict.OK, Verdict.WARN, Verdict.FAIL


async def findings(config: Path, *approvers: str, clock: Any = None) -> dict[str, Finding]:
    found = [each async for each in examine(config, approvers, clock or SystemClock())]
    by_check = {each.check: each for each in found}
    assert len(by_check) == len(found)
    return by_check


def failed(found: dict[str, Finding]) -> list[str]:
    return [check for check, each in found.items() if each.verdict is FAIL]


async def test_a_sound_set_up_passes(tmp_path: Path) -> None:
    async with served_shop(tmp_path) as served:
        found = await findings(served.config, ALICE)
    assert failed(found) == []
    assert list(found) == [
        "config",
        "state folder",
        "space",
        "SQLite",
        "state",
        "daemon: kubeconfig",
        "daemon: API server",
        "daemon: rights to read",
        "daemon: Secrets",
        "daemon: lease",
        "executor: kubeconfig",
        "executor: namespaces",
        "executor: rights to act",
        "executor: rights to review",
        "executor: Secrets",
        "executor: approvers",
    ]
    assert "Kubernetes v1.37" in found["daemon: API server"].text
    assert not served.state.exists()


async def test_a_faulty_file_is_the_only_finding(tmp_path: Path) -> None:
    path = tmp_path / "opsagent.yaml"
    path.write_text("polcy: {}\n")
    found = await findings(path)
    assert list(found) == ["config"]
    assert "polcy" in found["config"].text
    assert "opsagent config schema" in found["config"].advice


async def test_without_an_executor_it_says_that_nothing_can_be_changed(tmp_path: Path) -> None:
    async with served_shop(tmp_path) as served:
        found = await findings(served.write_config(executor=None, policy=None))
    assert failed(found) == []
    assert "only suggests" in found["executor"].text


def at_state(prepare: Callable[[Path], object]) -> Callable[[Served], object]:
    return lambda served: (served.state.mkdir(mode=0o700), prepare(served.state))


def lock(state: Path) -> None:
    descriptor = os.open(state / "daemon.db.lock", os.O_RDWR | os.O_CREAT)
    os.write(descriptor, b"4711\n")
    fcntl.flock(descriptor, fcntl.LOCK_EX)  # until this process ends


LOCAL: dict[str, tuple[Callable[[Served], object], str, Verdict, str]] = {
    "a file where the folder should be": (
        lambda served: served.state.write_text(""),
        "state folder",
        FAIL,
        "is not a folder",
    ),
    "a folder that others can read": (
        lambda served: served.state.mkdir(mode=0o755),
        "state folder",
        WARN,
        "open to other users",
    ),
    "a folder of our own": (at_state(lambda _: None), "state folder", OK, "ours alone"),
    "a damaged database": (
        at_state(lambda state: (state / "executor.db").write_bytes(b"x" * 100)),
        "state",
        FAIL,
        "executor.db is not a database",
    ),
    "a database that cannot be read": (
        at_state(lambda state: (state / "daemon.db").mkdir()),
        "state",
        FAIL,
        "daemon.db: Is a directory",
    ),
    "a new database": (
        at_state(lambda state: (state / "daemon.db").write_bytes(b"")),
        "state",
        OK,
        "no daemon runs",
    ),
    "a running daemon": (at_state(lock), "state", OK, "process 4711 runs"),
}


@pytest.mark.parametrize("case", sorted(LOCAL))
async def test_what_is_wrong_on_this_machine_is_named(case: str, tmp_path: Path) -> None:
    prepare, check, verdict, text = LOCAL[case]
    async with served_shop(tmp_path) as served:
        prepare(served)
        found = await findings(served.write_config(executor=None, policy=None))
    assert (found[check].verdict, failed(found)) == (verdict, [check] if verdict is FAIL else [])
    assert text in found[check].text
    assert bool(found[check].advice) == (verdict is not OK)


@pytest.mark.parametrize(
    ("secret", "text"),
    [
        (None, "No such file"),
        (b"short", "base64"),
        (b"\xff\xfe", "invalid start byte"),
        (base64.b64encode(b"k" * 32), ""),
    ],
)
async def test_the_webhook_secret_is_tried(secret: bytes | None, text: str, tmp_path: Path) -> None:
    if secret is not None:
        (tmp_path / "secret").write_bytes(secret)
    async with served_shop(tmp_path) as served:
        webhook = {"url": "https://hooks.example/x", "secret_file": "secret"}
        found = await findings(served.write_config(webhook=webhook, executor=None, policy=None))
    assert failed(found) == (["webhook"] if text else [])
    assert text in found["webhook"].text


@pytest.mark.parametrize(
    ("content", "verdict"), [(None, FAIL), (b"\xff", FAIL), (b" \n", WARN), (b"key", OK)]
)
async def test_the_model_s_key_file_is_read(
    content: bytes | None, verdict: Verdict, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "key").write_bytes(content)
    async with served_shop(tmp_path) as served:
        model = {"url": "http://127.0.0.1:1/v1", "name": "any", "api_key_file": "key"}
        found = await findings(served.write_config(model=model, executor=None, policy=None))
    assert found["model"].verdict is verdict


async def test_an_unreadable_kubeconfig_leaves_out_what_rests_on_it(tmp_path: Path) -> None:
    async with served_shop(tmp_path) as served:
        config = served.write_config(kubernetes={"kubeconfig": "gone"})
        found = await findings(config, ALICE)
    assert failed(found) == ["daemon: kubeconfig"]
    assert "gone cannot be read" in found["daemon: kubeconfig"].text
    assert "daemon: API server" not in found
    assert "executor: approvers" in found


async def test_a_server_that_is_away_is_one_finding_for_each_identity(tmp_path: Path) -> None:
    async with served_shop(tmp_path) as served:
        config = served.config
    found = await findings(config)
    assert failed(found) == ["daemon: API server", "executor: rights to act"]
    assert served.url in found["daemon: API server"].text
    assert "left out" in found["daemon: API server"].advice


async def test_an_expired_token_is_named(tmp_path: Path) -> None:
    async with served_shop(tmp_path) as served:
        served.cluster.access.revoke(OPSAGENT)
        found = await findings(served.config, ALICE)
    assert failed(found) == ["daemon: rights to read"]
    assert "a token may have expired" in found["daemon: rights to read"].text


class AnotherTime:
    """A clock that is off by some seconds."""

    def __init__(self, seconds: float) -> None:
        self._shift = dt.timedelta(seconds=seconds)

    def now(self) -> dt.datetime:
        return SystemClock().now() + self._shift

    def monotonic(self) -> float:
        return SystemClock().monotonic()


@pytest.mark.parametrize(("seconds", "verdict"), [(0, OK), (-30, WARN), (30, WARN), (-900, FAIL)])
async def test_clocks_that_differ_are_noticed(
    seconds: float, verdict: Verdict, tmp_path: Path
) -> None:
    async with served_shop(tmp_path) as served:
        config = served.write_config(executor=None, policy=None)
        found = await findings(config, clock=AnotherTime(seconds))
    assert found["daemon: API server"].verdict is verdict


def without(access: Access, user: str, resource: str) -> None:
    """Take ``resource`` out of everything that ``user`` is granted."""
    kept = []
    for rule in access.rules:
        if user in rule.subjects:
            others = rule.subjects - {user}
            kept.append(Rule(others, rule.verbs, rule.resources, rule.namespaces))
            mine = rule.resources - {resource}
            kept.append(Rule(frozenset({user}), rule.verbs, mine, rule.namespaces))
        else:
            kept.append(rule)
    access.rules[:] = kept


def granting(user: str, verb: str, resource: str) -> Callable[[Access], None]:
    rule = Rule(frozenset({user}), frozenset({verb}), frozenset({resource}))
    return lambda access: access.rules.append(rule)


def lacking(user: str, resource: str) -> Callable[[Access], None]:
    return lambda access: without(access, user, resource)


RIGHTS: dict[str, tuple[Callable[[Access], None], str, str]] = {
    "no pods": (
        lacking(OPSAGENT, "pods"),
        "daemon: rights to read",
        "may not: get pods in all namespaces; list pods in all namespaces; watch pods",
    ),
    "no logs": (lacking(OPSAGENT, "pods/log"), "daemon: rights to read", "get pods/log"),
    "no Lease": (
        lacking(OPSAGENT, "leases.coordination.k8s.io"),
        "daemon: lease",
        "create leases.coordination.k8s.io in opsagent",
    ),
    "Secrets for the daemon": (
        granting(OPSAGENT, "list", "secrets"),
        "daemon: Secrets",
        "may list secrets in all namespaces",
    ),
    "Secrets for the executor": (
        granting(EXECUTOR, ANY, "secrets"),
        "executor: Secrets",
        "may get secrets in shop; list secrets in shop",
    ),
    "no patch": (
        lacking(EXECUTOR, "deployments.apps"),
        "executor: rights to act",
        "patch deployments.apps in shop",
    ),
    "no namespaces": (
        lacking(EXECUTOR, "namespaces"),
        "executor: rights to act",
        "get namespaces in all namespaces",
    ),
    "no token review": (
        lacking(EXECUTOR, "tokenreviews.authentication.k8s.io"),
        "executor: rights to review",
        "create tokenreviews.authentication.k8s.io",
    ),
    "everybody approves": (
        granting("system:authenticated", "approve", "actionrequests.opsagent.io"),
        "executor: approvers",
        "every user of the cluster may approve",
    ),
}


@pytest.mark.parametrize("case", sorted(RIGHTS))
async def test_a_right_too_few_or_too_many_is_named(case: str, tmp_path: Path) -> None:
    change, check, text = RIGHTS[case]
    async with served_shop(tmp_path) as served:
        change(served.cluster.access)
        found = await findings(served.config, ALICE)
    assert failed(found) == [check]
    assert text in found[check].text
    assert found[check].advice


async def test_rights_are_asked_where_the_configuration_looks(tmp_path: Path) -> None:
    async with served_shop(tmp_path) as served:
        kubernetes = {"kubeconfig": "kubeconfig", "namespaces": [SHOP]}
        lacking(OPSAGENT, "deployments.apps")(served.cluster.access)
        config = served.write_config(kubernetes=kubernetes, executor=None, policy=None)
        found = await findings(config)
    assert "list deployments.apps in shop" in found["daemon: rights to read"].text


async def test_a_lease_without_its_namespace_is_named(tmp_path: Path) -> None:
    async with served_shop(tmp_path) as served:
        found = await findings(served.write_config(lease={"namespace": "nowhere"}), ALICE)
    assert failed(found) == ["daemon: lease"]
    assert "nowhere does not exist" in found["daemon: lease"].text


async def test_who_may_not_see_namespaces_may_still_hold_the_lease(tmp_path: Path) -> None:
    async with served_shop(tmp_path) as served:
        lacking(OPSAGENT, "namespaces")(served.cluster.access)
        found = await findings(served.config, ALICE)
    assert found["daemon: lease"].verdict is OK


@pytest.mark.parametrize(
    ("names", "verdict", "text"),
    [
        ((ALICE,), OK, "alice may approve"),
        ((ALICE, BOB), WARN, "bob in shop"),
        ((), WARN, "does not list who may approve"),
    ],
)
async def test_approvers_are_looked_up_by_name(
    names: tuple[str, ...], verdict: Verdict, text: str, tmp_path: Path
) -> None:
    async with served_shop(tmp_path) as served:
        found = await findings(served.config, *names)
    assert found["executor: approvers"].verdict is verdict
    assert text in found["executor: approvers"].text


async def test_an_executor_without_namespaces_can_do_nothing(tmp_path: Path) -> None:
    async with served_shop(tmp_path) as served:
        found = await findings(served.write_config(policy={"level": "approve"}), ALICE)
    assert failed(found) == []
    assert found["executor: namespaces"].verdict is WARN


async def test_something_else_than_an_api_server_is_recognised(tmp_path: Path) -> None:
    async def page(_: Request) -> Reply:
        return Reply(chunks=(b"<html>hello</html>",))

    async with served_shop(tmp_path) as served, serve(page) as server:
        write_kubeconfig(served.kubeconfig, server.url, "token")
        found = await findings(served.write_config(executor=None, policy=None))
    assert failed(found) == ["daemon: API server"]
    assert "not that of a Kubernetes API server" in found["daemon: API server"].text
