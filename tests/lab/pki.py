"""Keys, certificates and kubeconfigs of one lab: made by the ``openssl`` command, valid for 30 days.

One authority signs everything. Each program and each person gets a key of its own; the common name is
the user, the organisation the group, as Kubernetes reads client certificates.
"""

import base64
import json
import shutil
import subprocess
from pathlib import Path

from tests.lab.programs import LabError

# Who gets a certificate: file name -> subject. system:masters may do everything.
_SUBJECTS = {
    "server": "/CN=lab",
    "admin": "/O=system:masters/CN=admin",
    "kube-controller-manager": "/CN=system:kube-controller-manager",
    "kube-scheduler": "/CN=system:kube-scheduler",
    "kwok": "/O=system:masters/CN=kwok",
    "kubelet": "/O=system:nodes/CN=system:node:real-1",  # the node authorizer goes by this name
    "kubelet-client": "/O=system:masters/CN=kubelet-client",  # who asks kubelets: the API server, Prometheus
    "service-accounts": "/CN=service-accounts",  # signs their tokens; nobody logs in with it
}
CLIENTS = ("admin", "kube-controller-manager", "kube-scheduler", "kubelet", "kwok")

_CONFIG = """
[req]
distinguished_name = subject
prompt = no
[subject]
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[leaf]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth, clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = IP:127.0.0.1, DNS:localhost
"""
_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-days", "30")


def _openssl(folder: Path, *arguments: str) -> None:
    program = shutil.which("openssl")
    if program is None:
        raise LabError(
            "the lab's certificates are made by `openssl` 3, which is not here: install it"
        )
    done = subprocess.run(
        [program, *arguments], cwd=folder, capture_output=True, text=True, timeout=30, check=False
    )
    if done.returncode:
        raise LabError(f"openssl {arguments[0]} failed (version 3 is needed):\n{done.stderr}")


def create(folder: Path) -> None:
    """Write ``NAME.crt`` and ``NAME.key`` for the authority ``ca`` and everyone in the table above."""
    folder.mkdir(mode=0o700)
    (folder / "openssl.cnf").write_text(_CONFIG)
    request = ("req", "-config", "openssl.cnf", "-x509", *_NEW_KEY)
    files = ("-keyout", "ca.key", "-out", "ca.crt")
    _openssl(folder, *request, "-extensions", "authority", "-subj", "/CN=lab-ca", *files)
    signed = ("-CA", "ca.crt", "-CAkey", "ca.key", "-extensions", "leaf")
    for name, subject in _SUBJECTS.items():
        files = ("-keyout", f"{name}.key", "-out", f"{name}.crt")
        _openssl(folder, *request, *signed, "-subj", subject, *files)


def _encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def certificate_user(folder: Path, name: str) -> dict[str, str]:
    """Return the kubeconfig user entry of one who has a certificate."""
    return {
        "client-certificate-data": _encoded(folder / f"{name}.crt"),
        "client-key-data": _encoded(folder / f"{name}.key"),
    }


def write_kubeconfig(path: Path, *, server: str, authority: Path, user: dict[str, str]) -> Path:
    """Write a kubeconfig that needs no other file. JSON is YAML, so every client reads it."""
    cluster = {"server": server, "certificate-authority-data": _encoded(authority)}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "lab", "cluster": cluster}],
        "users": [{"name": path.name, "user": user}],
        "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": path.name}}],
        "current-context": "lab",
    }
    path.touch(mode=0o600)
    path.write_text(json.dumps(config, indent=1))
    return path
