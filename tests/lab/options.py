"""The command line options of each program of the lab, and why they are so.

Everything listens on loopback only. ``state`` is the folder of the cluster; ports are the caller's.
"""

from pathlib import Path

MANIFESTS = Path(__file__).parent / "manifests"

Options = dict[str, object]


def etcd(state: Path, client: int, peer: int) -> Options:
    here, peers = f"http://127.0.0.1:{client}", f"http://127.0.0.1:{peer}"
    return {
        "data-dir": state / "etcd",
        "unsafe-no-fsync": "true",  # nothing here outlives the cluster
        "listen-client-urls": here,
        "advertise-client-urls": here,
        "listen-peer-urls": peers,
        "initial-advertise-peer-urls": peers,
        "initial-cluster": f"default={peers}",
        "log-level": "warn",
    }


def _serving(state: Path, port: int) -> Options:
    """Loopback only, with a certificate of our own authority."""
    return {
        "bind-address": "127.0.0.1",
        "secure-port": port,
        "tls-cert-file": state / "pki" / "server.crt",
        "tls-private-key-file": state / "pki" / "server.key",
    }


def api_server(state: Path, port: int, etcd: int) -> Options:
    keys = state / "pki"
    return {
        **_serving(state, port),
        "etcd-servers": f"http://127.0.0.1:{etcd}",
        "advertise-address": "10.255.255.1",  # has to be some other than loopback; nobody connects to it
        "endpoint-reconciler-type": "none",
        "client-ca-file": keys / "ca.crt",
        "authorization-mode": "Node,RBAC",
        "service-account-issuer": "https://kubernetes.default.svc",
        "service-account-signing-key-file": keys / "service-accounts.key",
        "service-account-key-file": keys / "service-accounts.crt",
        "service-cluster-ip-range": "10.96.0.0/16",
        "kubelet-client-certificate": keys / "kubelet-client.crt",
        "kubelet-client-key": keys / "kubelet-client.key",
        "kubelet-preferred-address-types": "InternalIP",  # node names are in no DNS
        "audit-log-path": state / "logs" / "audit.log",
        "audit-log-maxsize": 4000,  # MiB: a test reads one file, so it must not be rotated
        "audit-policy-file": MANIFESTS / "audit-policy.yaml",
        "event-ttl": "1h",
    }


def manager(state: Path, port: int) -> Options:
    return {
        **_serving(state, port),
        **_client(state, "kube-controller-manager"),
        "use-service-account-credentials": "true",
        "service-account-private-key-file": state / "pki" / "service-accounts.key",
        "root-ca-file": state / "pki" / "ca.crt",
        # The default of 20 requests a second is what 2,000 pods would wait for.
        "kube-api-qps": 200,
        "kube-api-burst": 400,
    }


def scheduler(state: Path, port: int) -> Options:
    return {**_serving(state, port), **_client(state, "kube-scheduler")}


def _client(state: Path, name: str) -> Options:
    config = state / "kubeconfig" / name
    return {
        "kubeconfig": config,
        "authentication-kubeconfig": config,
        "authorization-kubeconfig": config,
        "leader-elect": "false",  # there is one of each
    }


def kwok(state: Path, port: int) -> Options:
    return {
        "config": state / "kwok.yaml",
        "kubeconfig": state / "kubeconfig" / "kwok",
        "manage-nodes-with-label-selector": "type=kwok",
        "node-ip": "127.0.0.1",
        "node-port": port,
        "server-address": f"127.0.0.1:{port}",
        "tls-cert-file": state / "pki" / "server.crt",
        "tls-private-key-file": state / "pki" / "server.key",
        "node-lease-duration-seconds": 40,
    }
