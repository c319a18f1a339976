"""How the real node's kubelet and container runtime are set, and why so.

``folder`` is the node's in the lab's folder. Nothing listens but the kubelet, on the bridge's address.
"""

import json
from pathlib import Path

from tests.lab.ground import Ground
from tests.lab.image import PAUSE
from tests.lab.options import Options

KUBELET_PORT = 10250  # the bridge's address is ours, so it is free
BACK_OFF_SECONDS_MAX = 20  # between restarts of a container
NOBODY = "10.96.0.10"
_SOCKET = "unix:///run/containerd/containerd.sock"  # /run is the node's own


def kubelet_flags(state: Path, node: str, ground: Ground) -> Options:
    folder = state / "node"
    return {
        "config": folder / "kubelet.json",
        "kubeconfig": state / "kubeconfig" / "kubelet",
        "hostname-override": node,
        "root-dir": folder / "kubelet",
        "cert-dir": folder / "certificates",  # it signs its serving certificate itself
        "node-ip": ground.address,
        "node-labels": "type=real",
    }


def kubelet(state: Path, ground: Ground) -> Options:
    """Return the content of its configuration file."""
    folder = state / "node"
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": ground.address,
        "port": KUBELET_PORT,
        "healthzPort": 0,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(state / "pki" / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "containerRuntimeEndpoint": _SOCKET,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{ground.name}",
        "failCgroupV1": False,
        "registerWithTaints": [{"key": "type", "value": "real", "effect": "NoSchedule"}],
        # By default a container waits 5 min at most, and its status is looked at again each minute: scaled alike.
        "syncFrequency": "5s",
        "crashLoopBackOff": {"maxContainerRestartPeriod": f"{BACK_OFF_SECONDS_MAX}s"},
        "podLogsDir": str(folder / "pod-logs"),
        "volumePluginDir": str(folder / "plugins"),
        "clusterDNS": [NOBODY],  # without one each pod gets a warning
        # The machine's: not ours to change, nor to fail on.
        "makeIPTablesUtilChains": False,
        "failSwapOn": False,
        "evictionHard": {},
        "imageGCHighThresholdPercent": 100,
        "oomScoreAdj": 0,  # less takes CAP_SYS_RESOURCE, which root in a container may lack
    }


def write_containerd_config(folder: Path, packages: Path, ground: Ground, registry: int) -> Path:
    """Write containerd's file and what it names; ``registry`` is the port of the only one it may ask."""
    network = {
        "cniVersion": "1.0.0",
        "name": "lab",
        "plugins": [
            {
                # Neither gateway nor masquerading: either would switch the machine's own forwarding on.
                "type": "bridge",
                "bridge": ground.name,
                "ipam": {
                    "type": "host-local",
                    "dataDir": str(folder / "addresses"),
                    "ranges": [[{"subnet": ground.network, "gateway": ground.address}]],
                },
            }
        ],
    }
    for path, content in {
        "cni/lab.conflist": json.dumps(network),
        "registries/_default/hosts.toml": _REGISTRY.format(port=registry),
        "containerd.toml": _CONTAINERD.format(folder=folder, packages=packages, pause=PAUSE),
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content)
    return folder / "containerd.toml"


_REGISTRY = """
server = "http://127.0.0.1:{port}"
[host."http://127.0.0.1:{port}"]
  capabilities = ["pull", "resolve"]
"""
_CONTAINERD = """
version = 2
root = "{folder}/containerd"
state = "/run/containerd"
oom_score = 0
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  disable_tcp_service = true
  disable_apparmor = true  # a profile would stay in the kernel
  restrict_oom_score_adj = true  # see oomScoreAdj
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{packages}/usr/lib/cni"
    conf_dir = "{folder}/cni"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{folder}/registries"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
"""
