"""Build the lab's programs from pinned Go modules, once per machine.

A folder holds go.mod and go.sum; the build refuses to change them. The result lies outside the checkout,
under a name made of the version and a hash of everything that went into it, so a fresh clone of the same
commit builds nothing. The first time, on 2 cores, Kubernetes takes 7 minutes, kube-state-metrics 2.5 and
VictoriaLogs half of one; the latter two need other modules than Kubernetes, hence folders of their own.
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
from dataclasses import dataclass
from pathlib import Path

from tests.lab.programs import LabError, tail

GOMOD = Path(__file__).parent / "gomod"
BUILD_SECONDS = 5400  # 36 minutes were measured on 2 cores at load 20
_GO_FLAGS = "-mod=readonly -buildvcs=false"
_VERSION_PACKAGES = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")


@dataclass(frozen=True, slots=True)
class Build:
    """One binary from the modules in ``folder``, called by each of ``names``. ``module`` gives the version."""

    folder: Path
    module: str
    package: str
    names: tuple[str, ...]

    @property
    def version(self) -> str:
        """The version at which go.mod requires the module, e.g. ``v1.37.2``."""
        return module_version(self.module, self.folder)

    @property
    def link_flags(self) -> str:
        """Strip symbols; tell Kubernetes its version, which its own build takes from git."""
        if self.module != "k8s.io/kubernetes":
            return "-s -w"
        major, minor, _ = self.version.removeprefix("v").split(".")
        facts = {"gitVersion": self.version, "gitMajor": major, "gitMinor": minor}
        settings = [
            f"-X {p}.{key}={value}" for p in _VERSION_PACKAGES for key, value in facts.items()
        ]
        return " ".join(["-s -w", *settings])


KUBERNETES = Build(
    GOMOD,
    "k8s.io/kubernetes",
    ".",
    (
        "etcd",
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
        "kubectl",
        "kubelet",
        "kwok",
        "kwok-stages",
    ),
)
KUBE_STATE_METRICS = Build(
    GOMOD.with_name("gomod-ksm"),
    "k8s.io/kube-state-metrics/v2",
    "k8s.io/kube-state-metrics/v2",
    ("kube-state-metrics",),
)
VICTORIA_LOGS = Build(
    GOMOD.with_name("gomod-victorialogs"),
    "github.com/VictoriaMetrics/VictoriaLogs",
    "github.com/VictoriaMetrics/VictoriaLogs/app/victoria-logs",
    ("victoria-logs",),
)


def module_version(module: str, folder: Path = GOMOD) -> str:
    """Return the version at which the go.mod in ``folder`` requires ``module``."""
    text = (folder / "go.mod").read_text()
    found = re.search(rf"^\s+{re.escape(module)} (v\S+)", text, re.MULTILINE)
    assert found, f"go.mod does not require {module}"
    return found[1]


def stamp(build: Build = KUBERNETES) -> str:
    """Return the name of the build that this checkout needs."""
    digest = hashlib.sha256(f"{_GO_FLAGS} {build.link_flags} {build.names}".encode())
    for path in sorted(build.folder.iterdir()):
        digest.update(path.read_bytes())
    name = build.names[0] if len(build.names) == 1 else build.module.split("/")[1]
    return f"{name}-{build.version}-{digest.hexdigest()[:12]}"


def cache_folder() -> Path:
    """Return where builds are kept: the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME")  # noqa: TID251 - the desktop standard names it so
    return Path(base or Path.home() / ".cache") / "opsagent" / "lab"


def ensure_binaries(cache: Path | None = None, build: Build = KUBERNETES) -> Path:
    """Return the folder of the programs; build them first if this machine has none that fit.

    Raises:
        LabError: Go is missing or too old, or the build failed; with what to do, or the log's tail.
    """
    cache = cache or cache_folder()
    target = cache / stamp(build)
    cache.mkdir(parents=True, exist_ok=True)
    with one_at_a_time(cache / "lock"):
        if not target.exists():
            _build(build, target)
    return target / "bin"


@contextmanager
def one_at_a_time(path: Path) -> Iterator[None]:
    """Let one process in at a time; the others wait for it and find its result."""
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _build(build: Build, target: Path) -> None:
    go = find_go()
    work = target.with_name(f"{target.name}.new")
    shutil.rmtree(work, ignore_errors=True)
    (work / "bin").mkdir(parents=True)
    log = target.with_name(f"{target.name}.log")
    sys.stderr.write(f"building {build.module} (minutes, the first time); log: {log}\n")
    command = [
        go,
        "build",
        "-trimpath",
        "-ldflags",
        build.link_flags,
        "-o",
        str(work / "bin" / "lab"),
        build.package,
    ]
    environment = {**os.environ, "GOFLAGS": _GO_FLAGS, "CGO_ENABLED": "0"}  # noqa: TID251 - Go's own proxy and cache settings
    with log.open("w") as output:
        done = subprocess.run(
            command,
            cwd=build.folder,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=BUILD_SECONDS,
            check=False,
        )
    if done.returncode:
        raise LabError(f"{build.module} does not build:\n{tail(log)}")
    for name in build.names:
        (work / "bin" / name).symlink_to("lab")
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
