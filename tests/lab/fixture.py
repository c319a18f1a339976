"""The lab as pytest sees it: tests marked ``lab`` may ask for ``lab``, ``real_node``, ``telemetry`` and ``victorialogs``.

Workers of one run share one cluster, each in namespaces of its own. What needs the real node or Prometheus is
marked ``node`` and does not run in workers: a cluster has one of each.

They run where the environment says ``LAB=1`` or ``CI=true``; there a lab that does not start fails them,
so that green means something. Elsewhere they are skipped, and the reason is printed.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest

from tests.lab import node, telemetry as telemetry_programs
from tests.lab.binaries import (
    KUBE_STATE_METRICS,
    VICTORIA_LOGS,
    ensure_binaries,
    one_at_a_time,
)
from tests.lab.cluster import IDENTITIES, Cluster, down, load, up
from tests.lab.node import RealNode
from tests.lab.packages import ensure_packages
from tests.lab.programs import LabError
from tests.lab.telemetry import Telemetry
from tests.lab.victorialogs import running

# Waiting for real programs takes real time. The start is not counted: it has a limit of its own.
TEST_SECONDS = 90
NODE_FIXTURES = frozenset({"real_node", "telemetry"})
_FRESH = "team-"
WHY_NOT = "the lab is off: set LAB=1 (or CI=true) to build it from Go modules and run on it"


@dataclass(frozen=True, slots=True)
class Lab:
    """A running cluster, the paths of kubeconfigs, and the tokens of two approvers.

    ``alice`` may approve in ``shop`` and in fresh namespaces, ``bob`` may not.
    """

    cluster: Cluster
    admin: Path
    reader: Path
    executor: Path
    audit_log: Path
    alice_token: str = field(repr=False)
    bob_token: str = field(repr=False)
    worker: str = ""
    _numbers: Iterator[int] = field(default_factory=lambda: count(1), repr=False)

    def fresh_namespace(self) -> str:
        """Create a namespace that no other test uses; the executor may act in it."""
        name = f"{_FRESH}{self.worker}{next(self._numbers)}"
        self.cluster.create_team_namespace(name)
        return name


def is_another_tests(namespace: str, mine: str) -> bool:
    """Return whether what happens in ``namespace`` is the doing of another test beside the one in ``mine``."""
    return namespace.startswith(_FRESH) and namespace != mine


def is_wanted() -> bool:
    """Return whether the environment asks for the lab."""
    environment = os.environ  # noqa: TID251 - the switch is the caller's
    return environment.get("LAB") == "1" or environment.get("CI") == "true"


@pytest.fixture(scope="session")
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Start one cluster for the whole run and stop it at the end, whatever happens."""
    worker: str = getattr(request.config, "workerinput", {}).get("workerid", "")
    folder = tmp_path_factory.getbasetemp()
    with _shared(folder.parent if worker else folder) as cluster:
        yield Lab(
            cluster=cluster,
            admin=cluster.kubeconfig(),
            reader=cluster.kubeconfig("opsagent"),
            executor=cluster.kubeconfig("opsagent-executor"),
            audit_log=cluster.audit_log,
            alice_token=cluster.token("alice", IDENTITIES["alice"]),
            bob_token=cluster.token("bob", IDENTITIES["bob"]),
            worker=f"{worker}-" if worker else "",
        )


@contextmanager
def _shared(folder: Path) -> Iterator[Cluster]:
    """Yield the cluster of ``folder``: who comes first starts it, who leaves last stops it."""
    state, lock, users = folder / "lab", folder / "lab.lock", folder / "lab.users"
    with one_at_a_time(lock):
        count = int(users.read_text()) if users.exists() else 0
        cluster = (load(state) if count else None) or up(state)
        users.write_text(str(count + 1))
    try:
        yield cluster
    finally:
        with one_at_a_time(lock):
            left = int(users.read_text()) - 1
            users.write_text(str(left))
            if not left:
                down(state)


@pytest.fixture(scope="session")
def real_node(lab: Lab) -> RealNode:
    """Add the real node to the lab, for the rest of the run."""
    return node.up(lab.cluster)


@pytest.fixture(scope="session")
def telemetry(lab: Lab) -> Telemetry:
    """Add Prometheus and its neighbours to the lab, for the rest of the run."""
    return telemetry_programs.up(lab.cluster)


@pytest.fixture(scope="session")
def victorialogs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], str]]:
    """Yield what gives the URL of a VictoriaLogs without a cluster; it starts at the first call."""
    with ExitStack() as stack:
        urls: list[str] = []

        def url() -> str:
            if not urls:
                folder = tmp_path_factory.mktemp("victorialogs")
                urls.append(stack.enter_context(running(folder)))
            return urls[0]

        yield url


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build what is missing before the first test, since a build takes longer than any test may."""
    if not is_wanted() or session.config.option.collectonly:
        return
    items = [item for item in session.items if item.get_closest_marker("lab")]
    asked = {name for item in items for name in getattr(item, "fixturenames", ())}
    try:
        if items:
            ensure_binaries()
            ensure_packages()
        if "telemetry" in asked:
            ensure_binaries(build=KUBE_STATE_METRICS)
        if "victorialogs" in asked:
            ensure_binaries(build=VICTORIA_LOGS)
    except LabError as error:
        pytest.exit(f"the lab cannot start: {error}", returncode=1)


@pytest.hookimpl(tryfirst=True)  # before the marks choose
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the lab's tests where nobody asked for it; give them time where somebody did, and mark who needs the node."""
    for item in items:
        if item.get_closest_marker("lab") is None:
            continue
        if not is_wanted():
            item.add_marker(pytest.mark.skip(reason=WHY_NOT))
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(TEST_SECONDS, func_only=True))
        if NODE_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.node)
