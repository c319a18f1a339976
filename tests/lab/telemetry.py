"""Prometheus and what belongs to it, on top of a cluster: Alertmanager, kube-state-metrics, node-exporter.

Theory. Prometheus scrapes the other three, itself, and the kubelet and cAdvisor of a real node (found in
``kubelets.json``, which ``node.py`` writes, so either may come first); it evaluates
``manifests/rules.yaml`` and sends what fires to Alertmanager, which tells one webhook. Job names are those
in common use: ``kube-state-metrics``, ``node-exporter``, and ``kubelet`` with ``metrics_path`` to tell the
kubelet's own metrics from cAdvisor's.

The past is written by ``backfill``: Prometheus stops for a moment, takes in the text, starts again.
"""

import http.client
import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

from tests.lab import telemetry_config as config
from tests.lab.binaries import KUBE_STATE_METRICS, ensure_binaries
from tests.lab.cluster import Cluster
from tests.lab.packages import alertmanager as alertmanager_command, ensure_packages
from tests.lab.programs import LabError, free_ports, wait_until

START_SECONDS = 60.0  # 2 s were measured on 2 idle cores
BACKFILL_SECONDS = 300.0  # 3.6 million samples took 11 s at load 9
READY_PATHS = {
    "prometheus": "/-/ready",
    "alertmanager": "/-/ready",
    "kube-state-metrics": "/healthz",
    "node-exporter": "/",
}
BLOCK = "400h"  # promtool reads the whole text once for each block, and would make one for each 2 h


@dataclass(frozen=True, slots=True)
class Telemetry:
    """What was started, as URLs without a slash at the end."""

    cluster: Cluster
    prometheus_url: str
    alertmanager_url: str
    kube_state_metrics_url: str
    node_exporter_url: str

    @property
    def urls(self) -> dict[str, str]:
        """Name of the program -> its URL."""
        return {
            "prometheus": self.prometheus_url,
            "alertmanager": self.alertmanager_url,
            "kube-state-metrics": self.kube_state_metrics_url,
            "node-exporter": self.node_exporter_url,
        }

    def send_alerts_to(self, url: str) -> None:
        """Make ``url`` the one webhook that Alertmanager tells; an empty one makes it tell nobody."""
        _write(self.cluster.state / "alertmanager.yml", config.alertmanager(url))
        status = _ask("POST", self.alertmanager_url, "/-/reload")
        assert status == HTTPStatus.OK, f"Alertmanager does not take {url}: {status}"

    def backfill(self, openmetrics: str) -> None:
        """Add samples of the past: OpenMetrics text with stamps in seconds, one family after the other.

        They should end before the first scrape: what was scraped in the time that they cover is lost.

        Raises:
            LabError: it is not such text.
        """
        state = self.cluster.state
        (state / "past.om").write_text(openmetrics)
        self.cluster.halt("prometheus")
        command = ["tsdb", "create-blocks-from", "openmetrics", f"--max-block-duration={BLOCK}"]
        done = subprocess.run(
            [
                ensure_packages() / "usr/bin/promtool",
                *command,
                state / "past.om",
                state / "prometheus",
            ],
            capture_output=True,
            text=True,
            timeout=BACKFILL_SECONDS,
            check=False,
        )
        _start_prometheus(self)
        if done.returncode:
            raise LabError(f"promtool takes no such past: {done.stderr or done.stdout}")


def up(cluster: Cluster) -> Telemetry:
    """Start everything and wait until it is ready. It ends with the cluster.

    Raises:
        LabError: it cannot be built or fetched, or did not come up; ``cluster.down`` stops the rest.
    """
    state_metrics = ensure_binaries(build=KUBE_STATE_METRICS) / "kube-state-metrics"
    state, programs = cluster.state, ensure_packages() / "usr/bin"
    prometheus, alertmanager, states, states_own, node = free_ports(5)
    urls = [f"http://127.0.0.1:{port}" for port in (prometheus, alertmanager, states, node)]
    (state / "telemetry.json").write_text(json.dumps(urls))
    telemetry = Telemetry(cluster, *urls)
    _write(state / "alertmanager.yml", config.alertmanager(""))
    _write(state / "prometheus.yml", config.prometheus(state, telemetry.urls))
    _start_prometheus(telemetry)
    flags = config.state_metrics_flags(state, states, states_own)
    _launch(cluster, "kube-state-metrics", [state_metrics], flags)
    flags = config.alertmanager_flags(state, f"127.0.0.1:{alertmanager}")
    _launch(cluster, "alertmanager", alertmanager_command(), flags)
    flags = {"web.listen-address": f"127.0.0.1:{node}", "log.level": "warn"}
    _launch(cluster, "node-exporter", [programs / "prometheus-node-exporter"], flags)
    for name in READY_PATHS:
        _wait_ready(telemetry, name)
    return telemetry


def load(cluster: Cluster) -> Telemetry | None:
    """Return what was started on a cluster, None if nothing was."""
    try:
        urls = json.loads((cluster.state / "telemetry.json").read_text())
    except FileNotFoundError:
        return None
    return Telemetry(cluster, *urls)


def _start_prometheus(telemetry: Telemetry) -> None:
    cluster, packages = telemetry.cluster, ensure_packages()
    address = urlsplit(telemetry.prometheus_url).netloc
    flags = config.prometheus_flags(cluster.state, packages / "usr/share/prometheus/web", address)
    _launch(cluster, "prometheus", [packages / "usr/bin/prometheus"], flags, *config.SWITCHES)
    _wait_ready(telemetry, "prometheus")


def _launch(
    cluster: Cluster,
    name: str,
    program: Sequence[str | Path],
    flags: Mapping[str, object],
    *switches: str,
) -> None:
    given = (f"--{flag}={value}" for flag, value in flags.items())
    cluster.launch(name, [*map(str, program), *given, *switches])


def _write(path: Path, content: Mapping[str, object]) -> None:
    path.write_text(json.dumps(content, indent=1))  # JSON is YAML


def _wait_ready(telemetry: Telemetry, name: str) -> None:
    """Wait until the program answers a GET of its path by 200."""
    url, path = telemetry.urls[name], READY_PATHS[name]
    wait_until(
        lambda: _ask("GET", url, path) == HTTPStatus.OK,
        f"{url}{path}",
        timeout_seconds=START_SECONDS,
        processes=[each for each in telemetry.cluster.running() if each.name == name],
    )


def _ask(method: str, url: str, path: str) -> int:
    """Return the status of the answer, 0 if there is none."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=5)
    try:
        connection.request(method, path)
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()
