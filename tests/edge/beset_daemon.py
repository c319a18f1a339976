"""A whole daemon in a shop whose web server begins to crash, while something bad goes on. On virtual time."""

import asyncio
import datetime as dt
import gc
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opsagent.app import Daemon
from opsagent.clients.kube_read import KubeReader
from opsagent.controllers.pipeline import Step
from opsagent.model.entity import Kind
from opsagent.model.kube import Phase, Pod
from opsagent.ports import KubeTransport, SeriesSource, TraceArchive
from opsagent.settings import LogsSettings, Settings
from opsagent.settings_telemetry import MetricsSettings, TraceArchiveSettings
from opsagent.sim import Fault, fault_patch
from tests.fakes.beset import SteppingClock
from tests.fakes.virtual_time import run
from tests.fakes.worlds import world_of
from tests.scenarios.places import box
from tests.scenarios.stage import Stage

PEACE_SECONDS = 30.0  # from the start to the crash
LAG_SECONDS_MAX = 5.0
DEPLOYMENTS = "/apis/apps/v1/namespaces/shop/deployments"
Beset = Callable[[KubeTransport], KubeTransport]


@dataclass
class Trouble:
    """What goes on beside the crash.

    Attributes:
        cluster: what stands between the daemon and the API server.
        series: the store of numbers, None for none.
        traces: the archive of traces, None for none.
        flood: whether there is a pod whose name begins with ``flood``.
        step: by how much the daemon's clock is set just before the crash.
        seconds: how long it is watched after the crash.
    """

    cluster: Beset = lambda honest: honest
    series: SeriesSource | None = None
    traces: TraceArchive | None = None
    flood: bool = False
    step: dt.timedelta = dt.timedelta(0)
    seconds: float = 120.0


@dataclass
class Outcome:
    """What came of it. Times are seconds of loop time; ``status`` is the daemon's own at the end."""

    status: dict[str, Any] = field(default_factory=dict)
    bad_at: float = 0.0  # a pod's status told of it
    detected_at: float | None = None  # an incident was committed
    opened: set[str] = field(default_factory=set)

    @property
    def lag_seconds(self) -> float:
        """How long the crash was there and nobody knew."""
        assert self.detected_at is not None, "it was never detected"
        return self.detected_at - self.bad_at


def beset(state: Path, trouble: Trouble) -> Outcome:
    """Play it."""
    outcome = Outcome()

    def notice(step: Step) -> None:
        for incident in step.batch.incidents:
            outcome.opened.add(incident.incident_id)
            if outcome.detected_at is None:
                outcome.detected_at = asyncio.get_running_loop().time()

    async def scene() -> None:
        clock = SteppingClock()
        async with box() as stage, asyncio.TaskGroup() as group:
            if trouble.flood:
                await _create(stage, "flood")
                await asyncio.sleep(10)
            daemon = Daemon(
                Settings(
                    state_dir=state,
                    logs=LogsSettings(streams_max=50),
                    metrics=MetricsSettings(url="http://in.this.process"),
                    trace_archive=TraceArchiveSettings(url="http://in.this.process"),
                ),
                world_of(
                    clock=clock,
                    cluster=trouble.cluster(stage.daemon),
                    series=trouble.series,
                    trace_archive=trouble.traces,
                    listeners=(notice,),
                ),
            )
            running = group.create_task(daemon.run())
            report = await daemon.report()
            await asyncio.sleep(PEACE_SECONDS)
            assert outcome.detected_at is None, "an incident without a cause"
            clock.step = trouble.step
            await _crash(stage)
            outcome.bad_at = await _first_bad(stage)
            await asyncio.sleep(trouble.seconds)
            status: Any = await report.status()  # JSON
            outcome.status = json.loads(json.dumps(status))
            running.cancel()

    run(scene())
    return outcome


async def _create(stage: Stage, name: str) -> None:
    labels = {"app": name}
    body = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": name, "image": "shop/cart:v1"}]},
            },
        },
    }
    answer = await stage.admin.request("POST", DEPLOYMENTS, body=json.dumps(body).encode())
    assert answer.status == 201, answer.body


async def _crash(stage: Stage) -> None:
    answer = await stage.admin.request(
        "PATCH",
        f"{DEPLOYMENTS}/web",
        body=json.dumps(fault_patch(Fault.CRASH_LOOP)).encode(),
        content_type="application/strategic-merge-patch+json",
    )
    assert answer.status == 200, answer.body


async def _first_bad(stage: Stage) -> float:
    """Wait until the API server shows it."""
    reader = KubeReader(stage.admin)
    while True:
        page = await reader.list_page(Kind.POD, namespace="shop")
        if any(_is_bad(pod) for pod in page.items if isinstance(pod, Pod)):
            return asyncio.get_running_loop().time()
        await asyncio.sleep(0.1)


def _is_bad(pod: Pod) -> bool:
    states = [each.state for each in pod.container_statuses]
    return any(
        each.reason == "CrashLoopBackOff"
        or (each.phase is Phase.TERMINATED and each.exit_code != 0)
        for each in states
    )


@contextmanager
def memory_bounded(bytes_max: int) -> Iterator[None]:
    """Fail if the memory that this process holds grows by more than that at any moment within. Linux alone tells."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = _held("VmRSS")
    yield
    grown = _held("VmHWM") - before
    assert grown < bytes_max, f"{grown / 2**20:.0f} MiB"


def _held(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(each.split()[1]) * 1024 for each in lines if each.startswith(name))
