"""A simulated shop behind HTTP with kubeconfigs and a configuration file: what a stranger would have in hand."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opsagent.model.canonical import canonical
from opsagent.runtime.clock import SystemClock
from opsagent.sim import ADMIN, EXECUTOR, OPSAGENT, SHOP, Cluster, SimTransport, shop
from opsagent.sim.server import serving, write_kubeconfig

WEB = f"/apis/apps/v1/namespaces/{SHOP}/deployments/web"


@dataclass(frozen=True)
class Served:
    """A shop that is served now. ``config`` is a valid configuration for it."""

    cluster: Cluster
    url: str
    folder: Path
    config: Path
    kubeconfig: Path

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def write_config(self, **changes: Any) -> Path:
        """Write the configuration anew; each change replaces a whole top-level key, None drops it."""
        content: dict[str, Any] = {
            "state_dir": "state",
            "kubernetes": {"kubeconfig": "kubeconfig"},
            "executor": {"kubeconfig": "executor.kubeconfig"},
            "policy": {"level": "approve", "namespaces": [SHOP]},
        } | changes
        given = {key: value for key, value in content.items() if value is not None}
        self.config.write_text(json.dumps(given))  # JSON is YAML
        return self.config

    async def patch(self, change: object, path: str = WEB) -> None:
        """Change an object as the administrator."""
        admin = SimTransport(self.cluster, self.cluster.access.token(ADMIN), SystemClock())
        answer = await admin.request(
            "PATCH",
            path,
            body=canonical(change),
            content_type="application/strategic-merge-patch+json",
        )
        assert answer.status == 200, answer.body


@asynccontextmanager
async def served_shop(folder: Path) -> AsyncIterator[Served]:
    """Serve a healthy shop in real time; configuration and kubeconfigs are written into ``folder``."""
    clock = SystemClock()
    cluster = shop(clock.now())
    async with serving(cluster, clock) as url:
        kubeconfig = folder / "kubeconfig"
        write_kubeconfig(kubeconfig, url, cluster.access.token(OPSAGENT))
        write_kubeconfig(folder / "executor.kubeconfig", url, cluster.access.token(EXECUTOR))
        served = Served(cluster, url, folder, folder / "opsagent.yaml", kubeconfig)
        served.write_config()
        yield served
