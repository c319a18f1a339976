"""Where the Kubernetes contract runs: one list of environments, each a way to run a check.

``sim`` is the simulated cluster in-process on virtual time, ``http`` the same through real sockets and
the product's own client on time that runs 20 times as fast, ``lab`` a real API server with kwok pods
(needs the lab). A check gets a ``World`` with a namespace of its own and says only what all three do.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from opsagent.clients.kube_transport import connect
from opsagent.ports import KubeTransport
from opsagent.sim import ADMIN, ALICE, BOB, OPSAGENT, Cluster, SimTransport, drive, shop
from opsagent.sim.images import ImageRegistry
from opsagent.sim.server import serving, write_kubeconfig
from tests.fakes import virtual_time
from tests.fakes.scaled_time import ScaledLoop
from tests.fakes.virtual_time import EPOCH, LoopClock
from tests.lab.storms import etcd

SPEED = 20.0
NAMESPACE = "team-1"
POLL_SECONDS = 0.25
TEST_SECONDS = 120  # the lab waits in real time


class Api:
    """A transport with JSON on both sides; every method returns (status, object)."""

    def __init__(self, transport: KubeTransport) -> None:
        self.transport = transport

    async def send(
        self,
        method: str,
        path: str,
        item: object = None,
        content_type: str = "application/json",
        **query: str,
    ) -> tuple[int, Any]:
        body = None if item is None else json.dumps(item).encode()
        answer = await self.transport.request(
            method, path, query=query, body=body, content_type=content_type
        )
        is_json = answer.headers.get("content-type", "").startswith("application/json")
        return answer.status, json.loads(answer.body) if is_json else answer.body.decode()

    async def get(self, path: str, **query: str) -> Any:
        """Return what is at ``path``, which must be there."""
        status, item = await self.send("GET", path, **query)
        assert status == 200, item
        return item

    async def create(self, path: str, item: object) -> Any:
        """Create ``item`` in the collection ``path``, which must work."""
        status, created = await self.send("POST", path, item)
        assert status == 201, created
        return created

    async def patch(self, path: str, patch: object, **query: str) -> tuple[int, Any]:
        """Send a strategic merge patch, or a JSON patch if it is a list."""
        language = "json-patch" if isinstance(patch, list) else "strategic-merge-patch"
        return await self.send("PATCH", path, patch, f"application/{language}+json", **query)

    async def apply(self, path: str, item: object, manager: str, **query: str) -> tuple[int, Any]:
        """Apply ``item`` server-side, as ``manager``."""
        language = "application/apply-patch+yaml"
        return await self.send("PATCH", path, item, language, fieldManager=manager, **query)

    async def watched(self, path: str, seconds: int, **query: str) -> list[Any]:
        """Return all events of a watch that the server ends after ``seconds``."""
        asked = {"watch": "true", "timeoutSeconds": str(seconds), **query}
        async with self.transport.stream(path, query=asked) as (status, chunks):
            assert status == 200
            body = b"".join([chunk async for chunk in chunks])
        return [json.loads(line) for line in body.splitlines()]


@dataclass(frozen=True)
class World:
    """What a check may use. ``reader`` may read everywhere and write nothing but its Lease.

    ``patience_seconds`` bounds every wait; ``deadline_seconds`` is what rollouts are given here.
    ``alice_token``: may approve in ``shop``; ``bob_token``: may not. ``compact`` drops the history; of
    most kinds a real API server remembers its own part of it all the same, but not of Events.
    """

    admin: Api
    reader: Api
    namespace: str
    alice_token: str
    bob_token: str
    patience_seconds: float
    deadline_seconds: int
    compact: Callable[[], object]

    def path(self, plural: str, name: str = "") -> str:
        """Return the path of a collection, or of an object in it, in the check's namespace."""
        group = {
            "deployments": "apis/apps/v1",
            "replicasets": "apis/apps/v1",
            "leases": "apis/coordination.k8s.io/v1",
            "poddisruptionbudgets": "apis/policy/v1",
        }.get(plural, "api/v1")
        return f"/{group}/namespaces/{self.namespace}/{plural}" + (f"/{name}" if name else "")

    async def eventually(self, look: Callable[[], Awaitable[Any]], what: str) -> Any:
        """Return what ``look`` finds as soon as it finds something; fail after the patience."""
        try:
            async with asyncio.timeout(self.patience_seconds):
                while not (found := await look()):  # noqa: ASYNC110 - the world is elsewhere
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            pytest.fail(f"not within {self.patience_seconds} s: {what}")
        return found


Check = Callable[[World], Awaitable[None]]


def _sim() -> Cluster:
    registry = ImageRegistry(repositories=frozenset({"shop/web", "shop/cart"}))
    return shop(EPOCH, registry=registry)


def _sim_world(cluster: Cluster, admin: KubeTransport, reader: KubeTransport) -> World:
    return World(
        admin=Api(admin),
        reader=Api(reader),
        namespace=NAMESPACE,
        alice_token=cluster.access.token(ALICE),
        bob_token=cluster.access.token(BOB),
        patience_seconds=120,
        deadline_seconds=20,
        compact=cluster.compact,
    )


async def _check_in(world: World, check: Check) -> None:
    await world.admin.create("/api/v1/namespaces", {"metadata": {"name": world.namespace}})
    await check(world)


def run_in_sim(check: Check, behind: Callable[[KubeTransport], KubeTransport]) -> None:
    """Run ``check`` on the simulated cluster, which it reaches through what ``behind`` makes."""

    async def main() -> None:
        cluster, clock = _sim(), LoopClock()
        transports = [
            behind(SimTransport(cluster, cluster.access.token(user), clock))
            for user in (ADMIN, OPSAGENT)
        ]
        async with asyncio.TaskGroup() as group:
            driver = group.create_task(drive(cluster, clock))
            await _check_in(_sim_world(cluster, *transports), check)
            driver.cancel()

    virtual_time.run(main())


def _run_sim(check: Check, _request: pytest.FixtureRequest) -> None:
    run_in_sim(check, lambda transport: transport)


def _run_http(check: Check, request: pytest.FixtureRequest) -> None:
    folder: Path = request.getfixturevalue("tmp_path")

    async def main() -> None:
        cluster = _sim()
        async with serving(cluster, LoopClock()) as url:
            transports = []
            # One file each: a client reads its own again whenever its token may have changed.
            for name, user in (("admin", ADMIN), ("reader", OPSAGENT)):
                write_kubeconfig(folder / name, url, cluster.access.token(user))
                transports.append(await connect(folder / name))
            try:
                await _check_in(_sim_world(cluster, *transports), check)
            finally:
                for transport in transports:
                    await transport.aclose()

    with asyncio.Runner(loop_factory=lambda: ScaledLoop(SPEED)) as runner:
        runner.run(main())


def _run_lab(check: Check, request: pytest.FixtureRequest) -> None:
    lab = request.getfixturevalue("lab")

    async def main() -> None:
        transports = [await connect(path) for path in (lab.admin, lab.reader)]
        world = World(
            admin=Api(transports[0]),
            reader=Api(transports[1]),
            namespace=lab.fresh_namespace(),
            alice_token=lab.alice_token,
            bob_token=lab.bob_token,
            patience_seconds=45,
            deadline_seconds=10,
            compact=lambda: etcd.compact(etcd.url_of(lab.cluster)),
        )
        try:
            await check(world)
        finally:
            for transport in transports:
                await transport.aclose()

    asyncio.run(main())


ENVIRONMENTS: Mapping[str, Callable[[Check, pytest.FixtureRequest], None]] = {
    "sim": _run_sim,
    "http": _run_http,
    "lab": _run_lab,
}


def everywhere(check: Check) -> Callable[..., None]:
    """Make a test of ``check`` that runs in every environment."""
    return _test(check, tuple(ENVIRONMENTS))


def simulated(check: Check) -> Callable[..., None]:
    """Make a test of ``check`` where the real server cannot be brought to it from outside."""
    return _test(check, ("sim", "http"))


def _test(check: Check, names: tuple[str, ...]) -> Callable[..., None]:
    def test(environment: str, request: pytest.FixtureRequest) -> None:
        ENVIRONMENTS[environment](check, request)

    test.__name__, test.__doc__ = check.__name__, check.__doc__
    marks = {"lab": (pytest.mark.lab,)}
    parameters = [pytest.param(name, marks=marks.get(name, ())) for name in names]
    named = pytest.mark.parametrize("environment", parameters)(test)
    test.check = check  # for who runs it elsewhere
    return pytest.mark.timeout(TEST_SECONDS)(named)
