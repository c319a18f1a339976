"""Programs that the lab takes from Debian: a container runtime, and Prometheus with its neighbours.

They are fetched by ``apt-get download`` and unpacked into the user's cache folder, never installed: no
service starts, no file of the system changes, no root is needed. apt-get keeps its lists in that folder
too and checks signatures with the system's keys. 70 MB come down, 300 MB lie unpacked.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.lab.binaries import cache_folder, one_at_a_time
from tests.lab.programs import LabError, tail

PACKAGES = (
    "busybox-static",
    "containerd",
    "containernetworking-plugins",
    "prometheus",
    "prometheus-alertmanager",
    "prometheus-node-exporter",
    "runc",
)
SHARE_INIT = Path(__file__).parent / "share-init.sh"
FETCH_SECONDS = 900.0  # 31 s were measured
_APT = """
Dir::State "{work}/state";
Dir::State::status "/var/lib/dpkg/status";
Dir::Cache "{work}/cache";
Acquire::Languages "none";
Acquire::Retries "3";
APT::Sandbox::User "";
"""


def stamp(release: Path = Path("/etc/os-release")) -> str:
    """Return the name of the unpacked set: another list or another release is another set."""
    text = release.read_text() if release.exists() else ""
    digest = hashlib.sha256(f"{PACKAGES} {os.uname().machine} {text}".encode())
    return f"debian-{digest.hexdigest()[:12]}"


def ensure_packages(cache: Path | None = None) -> Path:
    """Return the folder that holds ``usr/bin`` and so on; fetch and unpack first if this machine has none.

    Raises:
        LabError: there is no apt-get, or it failed; with what to do, or the log's tail.
    """
    cache = cache or cache_folder()
    target = cache / stamp()
    cache.mkdir(parents=True, exist_ok=True)
    with one_at_a_time(cache / "packages.lock"):
        if not target.exists():
            _fetch(target)
    return target


def alertmanager() -> tuple[str, ...]:
    """Return how to start Alertmanager: Debian's build looks for its templates in /usr/share, whatever it is told.

    It is shown the unpacked ones there, in a mount namespace of its own, which takes root.
    """
    user = ensure_packages() / "usr"
    program = user / "bin" / "prometheus-alertmanager"
    return ("/usr/bin/unshare", "--mount", str(SHARE_INIT), str(user / "share"), str(program))


def find_tool(name: str, path: str | None = None) -> str:
    """Return the path of a tool of Debian's package manager. ``path`` None means PATH.

    Raises:
        LabError: this machine has none.
    """
    found = shutil.which(name, path=path)
    if found is None:
        raise LabError(
            f"the lab's real node and its metrics are made of Debian packages ({', '.join(PACKAGES)}), "
            f"and there is no `{name}` here: use Debian 12 or newer, or start less: "
            "make lab ARGS=--control-plane"
        )
    return found


def _fetch(target: Path) -> None:
    get, unpack = find_tool("apt-get"), find_tool("dpkg-deb")
    work = target.with_name(f"{target.name}.new")
    shutil.rmtree(work, ignore_errors=True)
    for folder in ("state/lists/partial", "cache/archives/partial", "archives", "root"):
        (work / folder).mkdir(parents=True)
    (work / "apt.conf").write_text(_APT.format(work=work))
    log = target.with_name(f"{target.name}.log")
    log.write_text("")
    sys.stderr.write(f"fetching the lab's Debian packages (half a minute, once); log: {log}\n")
    _run(work, log, get, "update")
    _run(work, log, get, "download", *PACKAGES)
    for archive in sorted((work / "archives").glob("*.deb")):
        _run(work, log, unpack, "--extract", str(archive), str(work / "root"))
    (work / "root").rename(target)  # last, so that a folder of this name is always whole
    shutil.rmtree(work)


def _run(work: Path, log: Path, *command: str) -> None:
    environment = {**os.environ, "APT_CONFIG": str(work / "apt.conf")}  # noqa: TID251 - proxies are the user's
    with log.open("a") as output:
        done = subprocess.run(
            command,
            cwd=work / "archives",
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=FETCH_SECONDS,
            check=False,
        )
    if done.returncode:
        raise LabError(f"{Path(command[0]).name} {command[1]} failed:\n{tail(log)}")
