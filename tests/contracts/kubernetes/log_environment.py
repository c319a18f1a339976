"""Where the contract of logs runs: in the box, over HTTP, and on a real kubelet with real containers.

kwok shows one file as everybody's log, so ``lab`` is the real node here. What a container does is told as a
``Play``: an image of the sim, a shell script on the node.
"""

import asyncio
import shlex
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from opsagent.clients.kube_log import KubeLogs
from opsagent.clients.kube_transport import connect
from opsagent.model.entity import Entity, Kind
from opsagent.ports import KubeTransport
from opsagent.sim import (  # fmt: skip
    ADMIN,
    OPSAGENT,
    Cluster,
    ImageBehaviour,
    ImageRegistry,
    SimTransport,
    drive,
    shop,
)
from opsagent.sim.server import serving, write_kubeconfig
from tests.contracts.kubernetes.environment import NAMESPACE, POLL_SECONDS, SPEED, Api
from tests.fakes import virtual_time
from tests.fakes.scaled_time import ScaledLoop
from tests.fakes.virtual_time import EPOCH, LoopClock

REAL: Mapping[str, object] = {
    "nodeSelector": {"type": "real"},
    "tolerations": [{"key": "type", "value": "real"}],
}


@dataclass(frozen=True)
class Play:
    """What a container prints, (seconds after its start, line), and when it exits, if ever."""

    prints: tuple[tuple[float, str], ...]
    exits_after: float | None = None
    exit_code: int = 3

    def script(self) -> str:
        """Return it as a shell script."""
        at, steps = 0.0, ["trap 'exit 0' TERM"]
        for due, text in self.prints:
            steps += [f"sleep {due - at:.1f}"] * (due > at) + [f"echo {shlex.quote(text)}"]
            at = due
        if self.exits_after is None:
            return "\n".join([*steps, "while :; do sleep 0.2; done"])
        return "\n".join([*steps, f"sleep {self.exits_after - at:.1f}", f"exit {self.exit_code}"])

    def behaviour(self) -> ImageBehaviour:
        """Return it as an image of the sim."""
        if self.exits_after is None:
            return ImageBehaviour(prints=self.prints)
        return ImageBehaviour(
            exit_code=self.exit_code, exits_after_seconds=self.exits_after, prints=self.prints
        )


@dataclass(frozen=True)
class LogWorld:
    """What a check may use. ``container`` makes the spec of a container that plays; ``spec`` belongs to its pod."""

    admin: Api
    transport: KubeTransport
    namespace: str
    container: Callable[[Play], dict[str, Any]]
    spec: Mapping[str, object]

    @property
    def logs(self) -> KubeLogs:
        """The client that is held to the contract."""
        return KubeLogs(self.transport)

    @property
    def pods(self) -> str:
        """The path of the pods."""
        return f"/api/v1/namespaces/{self.namespace}/pods"

    def pod(self, name: str) -> Entity:
        return Entity(Kind.POD, self.namespace, name)

    async def start(self, name: str, play: Play) -> None:
        """Create a pod that plays, and wait until it runs or ran."""
        item = {"metadata": {"name": name}, "spec": {**self.spec, "containers": [self.container(play)]}}  # fmt: skip
        await self.admin.create(self.pods, item)
        await self.until(name, lambda status: "waiting" not in status["state"])

    async def until(self, name: str, is_so: Callable[[Any], bool]) -> Any:
        """Wait until the status of the pod's container is so; return it."""
        async with asyncio.timeout(60):
            while True:
                pod = await self.admin.get(f"{self.pods}/{name}")
                for status in pod["status"].get("containerStatuses", ()):
                    if is_so(status):
                        return status
                await asyncio.sleep(POLL_SECONDS)


Check = Callable[[LogWorld], Awaitable[None]]


class _Box:
    """The sim, whose images are made as they are asked for."""

    def __init__(self) -> None:
        self.images: dict[str, ImageBehaviour] = {}
        self.cluster: Cluster = shop(EPOCH, registry=ImageRegistry(self.images))

    def container(self, play: Play) -> dict[str, Any]:
        image = f"shop/play:{len(self.images)}"
        self.images[image] = play.behaviour()
        return {"name": "c", "image": image}

    async def check(self, check: Check, admin: KubeTransport, reader: KubeTransport) -> None:
        world = LogWorld(Api(admin), reader, NAMESPACE, self.container, {})
        await world.admin.create("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        await check(world)


def _run_sim(check: Check, _: pytest.FixtureRequest) -> None:
    async def main() -> None:
        box, clock = _Box(), LoopClock()
        admin, reader = [
            SimTransport(box.cluster, box.cluster.access.token(user), clock)
            for user in (ADMIN, OPSAGENT)
        ]
        async with asyncio.TaskGroup() as group:
            driver = group.create_task(drive(box.cluster, clock))
            await box.check(check, admin, reader)
            driver.cancel()

    virtual_time.run(main())


def _run_http(check: Check, request: pytest.FixtureRequest) -> None:
    folder: Path = request.getfixturevalue("tmp_path")

    async def main() -> None:
        box = _Box()
        async with serving(box.cluster, LoopClock()) as url, AsyncExitStack() as stack:
            transports = []
            for user in (ADMIN, OPSAGENT):
                path = folder / user.replace(":", "-")
                write_kubeconfig(path, url, box.cluster.access.token(user))
                transports.append(await connect(path))
                stack.push_async_callback(transports[-1].aclose)
            await box.check(check, *transports)

    with asyncio.Runner(loop_factory=lambda: ScaledLoop(SPEED)) as runner:
        runner.run(main())


def _run_node(check: Check, request: pytest.FixtureRequest) -> None:
    request.getfixturevalue("real_node")
    lab = request.getfixturevalue("lab")

    def container(play: Play) -> dict[str, Any]:
        return {"name": "c", "image": "shop/web:v1", "command": ["sh", "-c", play.script()]}

    async def main() -> None:
        admin, reader = [await connect(path) for path in (lab.admin, lab.reader)]
        try:
            world = LogWorld(Api(admin), reader, lab.fresh_namespace(), container, REAL)
            await check(world)
        finally:
            await admin.aclose()
            await reader.aclose()
            await asyncio.sleep(
                0.5
            )  # connections that were left in the middle take their TLS leave

    asyncio.run(main())


_ENVIRONMENTS = {"sim": _run_sim, "http": _run_http, "node": _run_node}


def everywhere(check: Check) -> Callable[..., None]:
    """Make a test of ``check`` that runs in every environment."""

    def test(environment: str, request: pytest.FixtureRequest) -> None:
        _ENVIRONMENTS[environment](check, request)

    test.__name__, test.__doc__ = check.__name__, check.__doc__
    marks = {"node": (pytest.mark.lab, pytest.mark.node)}
    parameters = [pytest.param(name, marks=marks.get(name, ())) for name in _ENVIRONMENTS]
    return pytest.mark.timeout(180)(pytest.mark.parametrize("environment", parameters)(test))
