"""Everything of one run of storms: cluster, witness, proxy, crowd and subject, started and stopped in order."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from opsagent.clients.kube_read import KubeReader
from opsagent.clients.kube_transport import connect
from opsagent.model.signal import RawRow, RowType
from opsagent.runtime.clock import SystemClock
from opsagent.term import KINDS
from tests.lab import pki
from tests.lab.cluster import IDENTITIES, Cluster, down, load, restart, up, wait_until_ready
from tests.lab.programs import Process, is_alive, start, stop
from tests.lab.storms import etcd
from tests.lab.storms.crowd import Crowd
from tests.lab.storms.proxy import Proxy, Weather, serving
from tests.lab.storms.sighting import Log, Sighting
from tests.lab.storms.subject import NOTES, sighting
from tests.lab.storms.verdict import Name

PATIENCE_SECONDS = 180.0  # on two cores with a load of 20; a quiet machine needs a tenth
POLL_SECONDS = 0.2
CLUSTER_OPTIONS = {
    "kube-apiserver": {"storage-media-type": "application/json"},  # the witness reads it
    "kube-scheduler": {"kube-api-qps": 200, "kube-api-burst": 400},
}


async def until(condition: Callable[[], bool | Awaitable[bool]], what: str) -> None:
    """Poll until ``condition`` holds; patience is bounded."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                found = condition()
                if found if isinstance(found, bool) else await found:
                    return
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        raise AssertionError(f"no sign of {what} within {PATIENCE_SECONDS:.0f} s") from None


@dataclass
class Place:
    """One run. ``folder`` is the subject's own."""

    state: Path
    folder: Path
    proxy: Proxy
    crowd: Crowd
    reader: KubeReader
    truth: Log
    seen: Log
    subject: Process | None = None

    @property
    def cluster(self) -> Cluster:
        """The cluster as it is now."""
        cluster = load(self.state)
        assert cluster is not None
        return cluster

    def write_kubeconfig(self) -> None:
        """Give the subject a fresh token, to be used through the proxy."""
        pki.write_kubeconfig(
            self.folder / "kubeconfig",
            server=self.proxy.url,
            authority=self.state / "pki" / "ca.crt",
            user={"token": self.cluster.token("opsagent", IDENTITIES["opsagent"])},
        )

    def start_subject(self) -> Process:
        """Start the daemon."""
        self.write_kubeconfig()
        paths = (
            self.folder / "kubeconfig",
            self.cluster.kubeconfig("opsagent-executor"),
            self.folder,
        )
        self.subject = _start("subject", *map(str, paths), log=self.folder / "log", home=self.state)
        return self.subject

    async def stop_subject(self) -> None:
        """Ask the daemon to end, and wait until it has."""
        assert self.subject is not None
        os.kill(self.subject.pid, signal.SIGTERM)
        subject = self.subject
        await until(lambda: not is_alive(subject), "the subject's end")

    async def restart(self, program: str) -> None:
        """Kill a program of the cluster, start it again, wait until the API server is ready."""
        cluster = await asyncio.to_thread(restart, self.state, program)
        await asyncio.to_thread(wait_until_ready, cluster)

    async def compact(self) -> int:
        """Make etcd forget the past."""
        return await asyncio.to_thread(etcd.compact, etcd.url_of(self.cluster))

    async def listed(self) -> Mapping[Name, Sighting]:
        """Return all objects as a full list tells them now."""
        return {(each.kind, each.name): each for each in await self._list()}

    async def _list(self) -> Sequence[Sighting]:
        found = []
        for kind in KINDS:
            token = ""
            while True:
                page = await self.reader.list_page(kind, continue_token=token)
                now = SystemClock().now()
                rows = (RawRow(0, now, RowType.ADDED, kind, item) for item in page.items)
                found += map(sighting, rows)
                token = page.continue_token
                if not token:
                    break
        return found

    def read(self) -> None:
        """Take in what witness and subject have written."""
        self.truth.read()
        self.seen.read()

    def calm(self) -> None:
        """Let the weather be fine again."""
        self.proxy.weather = Weather()

    async def until_caught_up(self) -> None:
        """Wait until the subject knows all that is true now, or something newer."""
        self.read()
        then = dict(self.truth.newest)
        stale = {name: each.uid for name, each in self.seen.newest.items() if name not in then}

        def is_caught_up() -> bool:
            self.read()
            now, seen = self.truth.newest, self.seen.newest
            return all(
                name not in now or (name in seen and seen[name].version >= each.version)
                for name, each in then.items()
            ) and not any(
                name not in now and name in seen and seen[name].uid == uid
                for name, uid in stale.items()
            )

        await until(is_caught_up, "the subject's catching up")


def _start(program: str, *arguments: str, log: Path, home: Path) -> Process:
    argv = [sys.executable, "-m", f"tests.lab.storms.{program}", *arguments]
    return start(program, argv, home=home, log=log)


@asynccontextmanager
async def place(folder: Path, deployments: int, replicas: int) -> AsyncIterator[Place]:
    """Start everything but the subject; stop everything in the end."""
    state, own = folder / "lab", folder / "subject"
    own.mkdir()
    async with AsyncExitStack() as stack:
        stack.callback(down, state)
        cluster = await asyncio.to_thread(up, state, None, CLUSTER_OPTIONS)
        notes = folder / "truth.jsonl"
        url = etcd.url_of(cluster)
        witness = _start("witness", url, str(notes), log=folder / "witness.log", home=state)
        stack.callback(stop, [witness])
        admin = await connect(cluster.kubeconfig())
        stack.push_async_callback(admin.aclose)
        proxy = await stack.enter_async_context(serving(cluster.server, state / "pki"))
        crowd = Crowd(admin, "shop", deployments, replicas)
        made = Place(state, own, proxy, crowd, KubeReader(admin), Log(notes), Log(own / NOTES))
        stack.callback(lambda: stop([made.subject] if made.subject else []))
        yield made
