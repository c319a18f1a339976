"""One real node beside the pretended ones: kubelet, containerd and runc run real containers.

Theory. Containers leave traces all over a machine: processes, mounts, networks, sockets, cgroups, kernel
settings. They are not cleaned up one by one: nearly all are kept in namespaces that die as a whole
(``node-init.sh``), the rest is one bridge and one cgroup (``ground.py``). So the end is a kill, and a lab
that was itself killed leaves nothing that ``down`` would not find.

The node is called ``real-1``, labelled and tainted ``type=real``: only pods that mean it come here. Its
address is the bridge's, since a kubelet refuses loopback; pods reach the machine and each other and have
no route to anywhere else. Its images are those of ``image.py``; it knows no registry but an empty one on
loopback. It needs root, and cgroups of version 1 (2 should do but was not tried).
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.lab import ground, image, node_config
from tests.lab.cluster import Cluster
from tests.lab.ground import Ground
from tests.lab.packages import ensure_packages
from tests.lab.programs import LabError, Process, child_of, free_ports, wait_until

NAME = "real-1"
START_SECONDS = 120.0  # 3 s were measured on 2 idle cores
INIT = Path(__file__).parent / "node-init.sh"
_UNSHARE = ("/usr/bin/unshare", "--mount", "--pid", "--mount-proc", "--fork", "--kill-child")


@dataclass(frozen=True, slots=True)
class RealNode:
    """The node as the cluster knows it. ``kubelet_url`` asks for a certificate of the cluster's."""

    name: str
    address: str
    kubelet_url: str


def up(cluster: Cluster) -> RealNode:
    """Add the real node and wait until it is Ready. It ends with the cluster.

    Raises:
        LabError: this machine cannot have one, or it did not come up; ``cluster.down`` takes away the rest.
    """
    packages = ensure_packages()
    place = ground.claim(cluster.state)
    folder = cluster.state / "node"
    folder.mkdir()
    registry = _start_registry(cluster, folder / "empty")
    first = _start_runtime(cluster, packages, place, registry)
    image.write_archive(packages / "bin" / "busybox", folder / "images.tar")
    imported = _ctr(
        packages, first, "--namespace=k8s.io", "images", "import", f"{folder}/images.tar"
    )
    if imported.returncode:
        raise LabError(f"the runtime takes no images: {imported.stderr}")
    kubelet = _start_kubelet(cluster, first, place)
    wait_until(
        lambda: _is_ready(cluster),
        f"the node {NAME} being Ready",
        timeout_seconds=START_SECONDS,
        processes=[first, kubelet],
    )
    served = f"{place.address}:{node_config.KUBELET_PORT}"
    targets = [{"targets": [served], "labels": {"node": NAME}}]
    (cluster.state / "kubelets.json").write_text(json.dumps(targets))
    return RealNode(NAME, place.address, f"https://{served}")


def _start_registry(cluster: Cluster, folder: Path) -> int:
    """Start a web server that has nothing, which is how a registry looks that lacks an image."""
    folder.mkdir()
    (port,) = free_ports(1)
    served = [str(port), "--bind=127.0.0.1", f"--directory={folder}"]
    cluster.launch("registry", [sys.executable, "-m", "http.server", *served])
    return port


def _start_runtime(cluster: Cluster, packages: Path, place: Ground, registry: int) -> Process:
    """Start the first process of the node with containerd below it; return the first process."""
    config = node_config.write_containerd_config(cluster.state / "node", packages, place, registry)
    path = f"{packages}/usr/bin:{packages}/usr/sbin:{os.defpath}:/usr/sbin:/sbin"
    runtime = ["/usr/bin/env", f"PATH={path}", "containerd", f"--config={config}"]
    outer = cluster.launch("node", [*_UNSHARE, str(INIT), str(cluster.state), *runtime])

    def has_begun() -> bool:
        return child_of(outer, "containerd") is not None

    wait_until(has_begun, "the node", timeout_seconds=START_SECONDS, processes=[outer])
    first = child_of(outer, "containerd")
    assert first, "it has begun"
    cluster.note(first)
    wait_until(
        lambda: _ctr(packages, first, "version").returncode == 0,
        "the container runtime",
        timeout_seconds=START_SECONDS,
        processes=[first],
    )
    return first


def _start_kubelet(cluster: Cluster, first: Process, place: Ground) -> Process:
    config = cluster.state / "node" / "kubelet.json"
    config.write_text(json.dumps(node_config.kubelet(cluster.state, place)))
    flags = node_config.kubelet_flags(cluster.state, NAME, place)
    argv = [
        str(cluster.binaries / "kubelet"),
        *(f"--{key}={value}" for key, value in flags.items()),
    ]
    return cluster.launch("kubelet", [*_entering(first), *argv])


def _entering(first: Process) -> list[str]:
    return ["/usr/bin/nsenter", f"--target={first.pid}", "--mount", "--pid", "--"]


def _ctr(packages: Path, first: Process, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*_entering(first), f"{packages}/usr/bin/ctr", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=START_SECONDS, check=False
    )


def _is_ready(cluster: Cluster) -> bool:
    nodes = json.loads(cluster.kubectl("get", "nodes", "-o", "json"))["items"]
    return any(
        node["metadata"]["name"] == NAME
        and {"type": "Ready", "status": "True"}.items() <= condition.items()
        for node in nodes
        for condition in node["status"]["conditions"]
    )
