"""The lab for a person: ``python -m tests.lab up | status | down``, which ``make lab`` calls.

``up`` starts what is missing: the cluster, one real node, Prometheus with its neighbours; with
``--control-plane`` the cluster alone, which needs neither root nor Debian. It is that of this checkout,
in ``.lab/``.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.lab import cluster as clusters, node, telemetry
from tests.lab.cluster import IDENTITIES, Cluster
from tests.lab.programs import LabError, is_alive, rss_mebibytes

STATE = Path(__file__).parents[2] / ".lab"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.lab")
    parser.add_argument("command", choices=("up", "down", "status"))
    parser.add_argument("--state", type=Path, default=STATE, help="the folder of the lab")
    parser.add_argument(
        "--control-plane", action="store_true", help="no real node and no Prometheus"
    )
    chosen = parser.parse_args(arguments)
    state = chosen.state.resolve()
    try:
        match chosen.command:
            case "up":
                sys.stdout.write(_describe(_up(state, is_whole=not chosen.control_plane)))
            case "down":
                clusters.down(state)
            case _:
                cluster = _running(state)
                sys.stdout.write(_describe(cluster) if cluster else "the lab is down\n")
                return 0 if cluster else 1
    except LabError as error:
        sys.stderr.write(f"lab: {error}\n")
        return 1
    return 0


def _running(state: Path) -> Cluster | None:
    cluster = clusters.load(state)
    return cluster if cluster and all(map(is_alive, cluster.processes)) else None


def _up(state: Path, *, is_whole: bool) -> Cluster:
    cluster = _running(state) or clusters.up(state)
    if not is_whole:
        return cluster
    try:
        if node.NAME not in cluster.kubectl("get", "nodes", "-o", "name"):
            node.up(cluster)
        if telemetry.load(cluster) is None:
            telemetry.up(cluster)
    except BaseException:  # also an impatient Ctrl-C must leave nothing behind
        clusters.down(state)
        raise
    return _running(state) or cluster


def _describe(cluster: Cluster) -> str:
    kubectl = cluster.binaries / "kubectl"
    metrics = telemetry.load(cluster)
    urls = metrics.urls if metrics else {}
    return "\n".join(
        [
            f"lab at {cluster.server}",
            *(f"  {p.name:<24} pid {p.pid:<8} {rss_mebibytes(p)} MiB" for p in cluster.processes),
            *(f"{name}: {url}" for name, url in urls.items()),
            f"kubeconfigs: {cluster.kubeconfig()} (also: {', '.join(IDENTITIES)})",
            f"try: {kubectl} --kubeconfig {os.path.relpath(cluster.kubeconfig())} get nodes",
            "stop: make lab-down\n",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
