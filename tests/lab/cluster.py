"""One cluster of the lab: start it, use it, stop it.

``python -m tests.lab up | status | down`` runs the cluster of this checkout in ``.lab/``. Tests start one
of their own in a temporary folder. Each takes free ports, so any number run side by side.

Theory. etcd, kube-apiserver, kube-controller-manager and kube-scheduler are the real programs; kwok
stands in for the kubelets and moves pods through the statuses that ``stages`` describes. Nothing is kept
from one start to the next, and everything lies in one folder:

    lab.json           processes and address: what ``down`` and ``status`` need
    kubeconfig/NAME    admin, opsagent, opsagent-executor, alice, bob
    logs/              one file a program, audit.log, and what ``kubectl logs`` shows for every pod
    pki/ etcd/ kwok.yaml
"""

import http.client
import json
import shutil
import ssl
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tests.lab import ground, options, pki
from tests.lab.binaries import ensure_binaries
from tests.lab.options import MANIFESTS, Options
from tests.lab.programs import (
    LabError,
    Process,
    command_line,
    free_ports,
    start,
    stop,
    wait_until,
)
from tests.lab.stages import kwok_stages

START_SECONDS = 60.0  # 5 s were measured on 2 idle cores
NODES = 3
NO_OPTIONS: Mapping[str, Options] = {}
IDENTITIES = {  # service accounts of manifests/identities.yaml: name -> namespace
    "opsagent": "opsagent",
    "opsagent-executor": "opsagent",
    "alice": "people",
    "bob": "people",
}


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster that was started. ``server`` is the API server's URL."""

    state: Path
    binaries: Path
    server: str
    processes: tuple[Process, ...]

    @property
    def audit_log(self) -> Path:
        """The API server's audit log."""
        return self.state / "logs" / "audit.log"

    def process(self, name: str) -> Process:
        """Return one of the programs."""
        (found,) = (each for each in self.processes if each.name == name)
        return found

    def kubeconfig(self, name: str = "admin") -> Path:
        """Return the kubeconfig of ``admin`` or of one of IDENTITIES."""
        return self.state / "kubeconfig" / name

    def kubectl(self, *arguments: str, stdin: str = "", identity: str = "admin") -> str:
        """Run kubectl and return what it printed.

        Raises:
            LabError: it failed; with its message.
        """
        kubectl = str(self.binaries / "kubectl")
        command = [kubectl, "--kubeconfig", str(self.kubeconfig(identity)), *arguments]
        done = subprocess.run(
            command,
            input=stdin,
            env={"HOME": str(self.state)},
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
            check=False,
        )
        if done.returncode:
            raise LabError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def launch(self, name: str, argv: list[str]) -> Process:
        """Start one more program, noted so that ``down`` stops it with the others."""
        log = self.state / "logs" / f"{name}.log"
        return self.note(start(name, argv, home=self.state, log=log))

    def note(self, process: Process) -> Process:
        """Note a process that was started by other means, in the place of one of that name."""
        others = [each for each in self.running() if each.name != process.name]
        _save(replace(self, processes=(*others, process)))
        return process

    def halt(self, name: str) -> None:
        """Stop the program of that name."""
        stop([each for each in self.running() if each.name == name])

    def running(self) -> tuple[Process, ...]:
        """Return what was started so far, also after this value was made."""
        present = load(self.state)
        return present.processes if present else ()

    def token(self, name: str, namespace: str) -> str:
        """Return a fresh token of a service account, valid for a day."""
        return self.kubectl("create", "token", name, "-n", namespace, "--duration", "24h").strip()

    def write_kubeconfig(self, name: str, token: str) -> Path:
        """Write and return the kubeconfig of one who has a token."""
        authority = self.state / "pki" / "ca.crt"
        path = self.kubeconfig(name)
        return pki.write_kubeconfig(
            path, server=self.server, authority=authority, user={"token": token}
        )

    def create_team_namespace(self, name: str) -> None:
        """Create a namespace in which the executor may act and alice may approve; pods can start."""
        self.kubectl("create", "namespace", name)
        self.kubectl("apply", "-n", name, "-f", str(MANIFESTS / "team.yaml"))
        # Pods are refused until the controller manager has made the default service account.
        self.kubectl("wait", "-n", name, "--for=create", "serviceaccount/default", "--timeout=30s")


def up(
    state: Path, binaries: Path | None = None, more: Mapping[str, Options] = NO_OPTIONS
) -> Cluster:
    """Build what is missing and start a cluster in ``state``, which is emptied first.

    ``binaries`` is the folder of the programs, None for our own build. ``more``: program -> options
    beside our own, or instead of them.

    Raises:
        LabError: it cannot be built, or did not come up; nothing is left running then.
    """
    binaries = binaries or ensure_binaries()
    _empty(state)
    processes: list[Process] = []
    try:
        cluster = _start(state, binaries, processes, more)
        _furnish(cluster)
    except BaseException:  # also an impatient Ctrl-C must leave nothing behind
        stop(reversed(processes))
        raise
    return cluster


def load(state: Path) -> Cluster | None:
    """Return the cluster that was started in ``state``, None if there is none."""
    try:
        saved = json.loads((state / "lab.json").read_text())
    except FileNotFoundError:
        return None
    processes = tuple(Process(**each) for each in saved["processes"])
    return Cluster(state, Path(saved["binaries"]), saved["server"], processes)


def down(state: Path) -> None:
    """Stop the cluster of ``state``, if there is one. Its logs stay until the next start."""
    cluster = load(state)
    if cluster:
        stop(reversed(cluster.processes))
        ground.release(state)
        (state / "lab.json").unlink()


def restart(state: Path, name: str) -> Cluster:
    """Kill one program and start it as it was; return the cluster as it is now. Does not wait until it serves."""
    cluster = load(state)
    assert cluster, f"there is no lab in {state}"
    old = cluster.process(name)
    argv = command_line(old)
    stop([old])
    new = start(name, argv, home=state, log=Path(old.log))
    processes = tuple(new if each is old else each for each in cluster.processes)
    cluster = replace(cluster, processes=processes)
    _save(cluster)
    return cluster


def wait_until_ready(cluster: Cluster) -> None:
    """Wait until the API server serves and reaches etcd.

    Raises:
        LabError: it did not in time, or a program has ended.
    """
    _wait_ready(cluster.server, "/readyz", cluster.state / "pki", cluster.processes)


def _empty(state: Path) -> None:
    """Stop what runs in ``state`` and clear it; a folder that no lab wrote is refused."""
    down(state)
    if state.exists() and any(state.iterdir()) and not (state / "logs").is_dir():
        raise LabError(f"{state} holds something else than a lab: move it away")
    shutil.rmtree(state, ignore_errors=True)
    for folder in (state, state / "logs", state / "kubeconfig"):
        folder.mkdir(mode=0o700, parents=True)


def _save(cluster: Cluster) -> None:
    saved = {
        "server": cluster.server,
        "binaries": str(cluster.binaries),
        "processes": [asdict(process) for process in cluster.processes],
    }
    (cluster.state / "lab.json").write_text(json.dumps(saved, indent=1))


def _start(
    state: Path, binaries: Path, processes: list[Process], more: Mapping[str, Options]
) -> Cluster:
    """Start the programs in the order of their needs, noting each in ``processes``."""
    api, etcd, peer, manager, scheduler, kubelet = free_ports(6)
    server = f"https://127.0.0.1:{api}"
    keys = state / "pki"
    pki.create(keys)
    for name in pki.CLIENTS:
        user = pki.certificate_user(keys, name)
        path = state / "kubeconfig" / name
        pki.write_kubeconfig(path, server=server, authority=keys / "ca.crt", user=user)

    def run(name: str, flags: Options) -> None:
        flags |= more.get(name, {})
        argv = [str(binaries / name), *(f"--{flag}={value}" for flag, value in flags.items())]
        processes.append(start(name, argv, home=state, log=state / "logs" / f"{name}.log"))
        _save(Cluster(state, binaries, server, tuple(processes)))

    run("etcd", options.etcd(state, etcd, peer))
    run("kube-apiserver", options.api_server(state, api, etcd))
    _wait_ready(server, "/readyz", keys, processes)
    run("kube-controller-manager", options.manager(state, manager))
    run("kube-scheduler", options.scheduler(state, scheduler))
    _write_kwok_config(state, binaries)
    run("kwok", options.kwok(state, kubelet))
    for port in (manager, scheduler):
        _wait_ready(f"https://127.0.0.1:{port}", "/healthz", keys, processes)
    return Cluster(state, binaries, server, tuple(processes))


def _write_kwok_config(state: Path, binaries: Path) -> None:
    """Give kwok its stages and the logs of its pods by file: the API server carries nothing extra."""
    own = subprocess.run([binaries / "kwok-stages"], capture_output=True, text=True, check=True)
    logs = {}
    for key, name in (("logsFile", "pods.log"), ("previousLogsFile", "pods-previous.log")):
        path = state / "logs" / name
        path.write_text(f"2026-01-05T00:00:00.000000000Z stdout F {name}: one line for every pod\n")
        logs[key] = str(path)
    cluster_logs = {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "ClusterLogs",
        "metadata": {"name": "all"},
        "spec": {"logs": [logs]},
    }
    documents = (own.stdout, kwok_stages(), json.dumps(cluster_logs))
    (state / "kwok.yaml").write_text("\n---\n".join(documents))


def _wait_ready(server: str, path: str, keys: Path, processes: Sequence[Process]) -> None:
    context = ssl.create_default_context(cafile=str(keys / "ca.crt"))
    context.load_cert_chain(keys / "admin.crt", keys / "admin.key")
    address = server.removeprefix("https://")

    def is_ready() -> bool:
        connection = http.client.HTTPSConnection(address, context=context, timeout=5)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == http.HTTPStatus.OK
        except OSError:
            return False
        finally:
            connection.close()

    what = f"{server}{path}"
    wait_until(is_ready, what, timeout_seconds=START_SECONDS, processes=processes)


def _furnish(cluster: Cluster) -> None:
    """Create nodes, identities with their kubeconfigs, and the namespace ``shop``."""
    cluster.kubectl("create", "-f", "-", stdin=json.dumps(_nodes()))
    cluster.kubectl("apply", "-f", str(MANIFESTS / "identities.yaml"))
    for name, namespace in IDENTITIES.items():
        cluster.write_kubeconfig(name, cluster.token(name, namespace))
    cluster.create_team_namespace("shop")
    cluster.kubectl("wait", "node", "--all", "--for=condition=Ready", "--timeout=30s")


def _nodes() -> dict[str, object]:
    """Return nodes of 16 CPUs: a pod that asks for 64 is never scheduled."""
    size = {"cpu": "16", "memory": "64Gi", "pods": "500"}
    nodes = [
        {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {
                "name": f"node-{number}",
                "labels": {"type": "kwok", "kubernetes.io/hostname": f"node-{number}"},
            },
            "status": {"capacity": size, "allocatable": size},
        }
        for number in range(1, NODES + 1)
    ]
    return {"apiVersion": "v1", "kind": "List", "items": nodes}
