"""A whole lab starts by one command, and when it is stopped the machine is as it was.

Other labs may run beside this one, so what is compared are this one's own traces, taken while it lives,
and what all labs would change alike.
"""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.lab.__main__ import main
from tests.lab.cluster import Cluster, load
from tests.lab.programs import all_pids, family, is_alive, wait_until

pytestmark = [
    pytest.mark.lab,
    pytest.mark.timeout(300, func_only=True),
    pytest.mark.node,
]

SETTINGS = (
    "kernel/panic",
    "kernel/panic_on_oops",
    "net/ipv4/ip_forward",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
)
# Where runtimes and kubelets are used to write.
FOLDERS = (
    "/etc/cni",
    "/run/containerd",
    "/run/netns",
    "/run/runc",
    "/var/lib/cni",
    "/var/lib/containerd",
    "/var/lib/kubelet",
    "/var/log/containers",
    "/var/log/pods",
)
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "web", "namespace": "shop"},
    "spec": {
        "nodeSelector": {"type": "real"},
        "tolerations": [{"key": "type", "value": "real"}],
        "containers": [{"name": "web", "image": "shop/web:v1"}],
    },
}


@dataclass(frozen=True)
class Machine:
    """What a lab must leave as it found it."""

    mounts: tuple[str, ...]
    settings: tuple[str, ...]
    folders: tuple[bool, ...]

    @classmethod
    def now(cls) -> "Machine":
        return cls(
            tuple(sorted(Path("/proc/mounts").read_text().splitlines())),
            tuple((Path("/proc/sys") / name).read_text() for name in SETTINGS),
            tuple(Path(folder).exists() for folder in FOLDERS),
        )


@dataclass(frozen=True)
class Traces:
    """What there is of one lab: process ids, their networks and mounts, the bridge and its ports, cgroups."""

    pids: frozenset[int]
    namespaces: frozenset[str]
    links: frozenset[str]
    cgroups: frozenset[Path]

    @classmethod
    def of(cls, cluster: Cluster) -> "Traces":
        pids = frozenset(pid for each in cluster.processes for pid in family(each))
        name = f"opsagent{(cluster.state / 'ground').read_text().split()[0]}"
        ports = [port.name for port in Path(f"/sys/class/net/{name}/brif").iterdir()]
        return cls(
            pids,
            namespaces(pids) - namespaces([os.getpid()]),
            frozenset([name, *ports]),
            frozenset(Path("/sys/fs/cgroup").glob(f"*/{name}")),
        )

    def are_gone(self) -> bool:
        """Whether nothing is left; a process that ended but was not waited for counts."""
        return not (
            any(Path(f"/proc/{pid}").exists() for pid in self.pids)
            or self.namespaces & namespaces(all_pids())
            or any(Path(f"/sys/class/net/{link}").exists() for link in self.links)
            or any(cgroup.exists() for cgroup in self.cgroups)
        )


def namespaces(pids: Iterable[int]) -> frozenset[str]:
    found = set()
    for pid in pids:
        for kind in ("net", "mnt", "pid"):
            try:
                found.add(str(Path(f"/proc/{pid}/ns/{kind}").readlink()))
            except OSError:
                continue
    return frozenset(found)


def test_a_whole_lab_comes_and_goes_without_a_trace(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    before = Machine.now()
    state = ["--state", str(tmp_path / "lab")]
    try:
        assert main(["up", *state]) == 0
        said = capsys.readouterr().out
        assert "kubelet" in said
        assert "prometheus: http://127.0.0.1:" in said
        cluster = load(tmp_path / "lab")
        assert cluster
        assert all(map(is_alive, cluster.processes))
        cluster.kubectl("create", "-f", "-", stdin=json.dumps(POD))
        cluster.kubectl("wait", "-n", "shop", "pod/web", "--for=condition=Ready", "--timeout=60s")
        traces = Traces.of(cluster)
        assert len(traces.namespaces) >= 3  # the node's two, and the pod's network at least
        assert len(traces.links) == 2
        assert traces.cgroups
        assert main(["status", *state]) == 0
    finally:
        assert main(["down", *state]) == 0
    # Whatever process has number 1 here waits for orphans when it gets to it.
    wait_until(traces.are_gone, "the end of every trace", timeout_seconds=20)
    assert Machine.now() == before
    assert main(["status", *state]) == 1
