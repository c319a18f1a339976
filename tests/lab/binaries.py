"""Build the lab's programs from pinned Go modules, once per machine.

``gomod/`` holds go.mod and go.sum; the build refuses to change them. The result lies outside the
checkout, under a name made of the Kubernetes version and a hash of everything that went into it, so a
fresh clone of the same commit builds nothing. A build takes 7 minutes on 2 cores the first time.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.lab.programs import LabError, tail

GOMOD = Path(__file__).parent / "gomod"
PROGRAMS = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubectl",
    "kubelet",
    "kwok",
    "kwok-stages",
)
BUILD_SECONDS = 5400  # 36 minutes were measured on 2 cores at load 20
_GO_FLAGS = "-mod=readonly -buildvcs=false"
_VERSION_PACKAGES = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")


def module_version(module: str) -> str:
    """Return the version at which go.mod requires ``module``, e.g. ``v1.37.2``."""
    found = re.search(
        rf"^\s+{re.escape(module)} (v\S+)", (GOMOD / "go.mod").read_text(), re.MULTILINE
    )
    assert found, f"go.mod does not require {module}"
    return found[1]


def _link_flags() -> str:
    """Strip symbols; tell Kubernetes its version, which its own build takes from git."""
    version = module_version("k8s.io/kubernetes")
    major, minor, _ = version.removeprefix("v").split(".")
    facts = {"gitVersion": version, "gitMajor": major, "gitMinor": minor}
    settings = [f"-X {p}.{key}={value}" for p in _VERSION_PACKAGES for key, value in facts.items()]
    return " ".join(["-s -w", *settings])


def stamp() -> str:
    """Return the name of the build that this checkout needs."""
    digest = hashlib.sha256(f"{_GO_FLAGS} {_link_flags()} {PROGRAMS}".encode())
    for name in ("go.mod", "go.sum", "main.go"):
        digest.update((GOMOD / name).read_bytes())
    return f"{module_version('k8s.io/kubernetes')}-{digest.hexdigest()[:12]}"


def cache_folder() -> Path:
    """Return where builds are kept: the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME")  # noqa: TID251 - the desktop standard names it so
    return Path(base or Path.home() / ".cache") / "opsagent" / "lab"


def ensure_binaries(cache: Path | None = None) -> Path:
    """Return the folder of the programs; build them first if this machine has none that fit.

    Raises:
        LabError: Go is missing or too old, or the build failed; with what to do, or the log's tail.
    """
    cache = cache or cache_folder()
    target = cache / stamp()
    cache.mkdir(parents=True, exist_ok=True)
    with _lock(cache / "lock"):
        if not target.exists():
            _build(target)
    return target / "bin"


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Let one process build at a time; the others wait for it and find the result."""
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _build(target: Path) -> None:
    go = find_go()
    work = target.with_name(f"{target.name}.new")
    shutil.rmtree(work, ignore_errors=True)
    (work / "bin").mkdir(parents=True)
    log = target.with_name(f"{target.name}.log")
    sys.stderr.write(f"building the lab's programs (minutes, the first time); log: {log}\n")
    command = [
        go,
        "build",
        "-trimpath",
        "-ldflags",
        _link_flags(),
        "-o",
        str(work / "bin" / "lab"),
        ".",
    ]
    environment = {**os.environ, "GOFLAGS": _GO_FLAGS, "CGO_ENABLED": "0"}  # noqa: TID251 - Go's own proxy and cache settings
    with log.open("w") as output:
        done = subprocess.run(
            command,
            cwd=GOMOD,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=BUILD_SECONDS,
            check=False,
        )
    if done.returncode:
        raise LabError(f"the lab's programs do not build:\n{tail(log)}")
    for program in PROGRAMS:
        (work / "bin" / program).symlink_to("lab")
    work.rename(target)  # last, so that a folder of this name is always whole


def find_go(path: str | None = None) -> str:
    """Return the path of a ``go`` command that can build the lab. ``path`` None means PATH.

    Raises:
        LabError: there is none, or it is older than go.mod asks for.
    """
    wanted = re.search(r"^go (\S+)", (GOMOD / "go.mod").read_text(), re.MULTILINE)
    assert wanted, "go.mod names no Go version"
    advice = (
        f"install Go {wanted[1]} or newer (go.dev/dl) and put it on PATH; nothing else is needed"
    )
    go = shutil.which("go", path=path)
    if go is None:
        raise LabError(f"the lab is built by Go, and there is no `go` here: {advice}")
    found = subprocess.run(
        [go, "env", "GOVERSION"],
        cwd=GOMOD,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if _numbers(found.stdout) < _numbers(wanted[1]):
        has = found.stdout.strip() or found.stderr.strip()
        raise LabError(f"the Go at {go} is too old ({has}): {advice}")
    return go


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])
