"""What the real node takes of the machine that does not end with its processes: a bridge and a cgroup.

Both are called ``opsagentN``. Making the bridge is also the claim to N, since the kernel lets one come
first; N picks the network 10.213.N.0/24 too, so any number of labs have a node side by side.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.lab.programs import LabError, wait_until

RELEASE_SECONDS = 30.0  # the kernel takes networks down behind our back: 0.2 s were measured
NUMBERS = range(256)
_BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Ground:
    """One claim. ``address`` is the machine's own in ``network``."""

    number: int

    @property
    def name(self) -> str:
        """The bridge's name and the cgroup's."""
        return f"opsagent{self.number}"

    @property
    def network(self) -> str:
        """The network of the pods."""
        return f"10.213.{self.number}.0/24"

    @property
    def address(self) -> str:
        """The node's address."""
        return f"10.213.{self.number}.1"


def claim(state: Path) -> Ground:
    """Take what is free and note it in ``state``.

    Raises:
        LabError: not root, no ``ip``, or nothing is free.
    """
    if os.geteuid() != 0:
        raise LabError(
            "the real node runs containers, which takes root; "
            "without it, start less: make lab ARGS=--control-plane"
        )
    for number in NUMBERS:
        ground = Ground(number)
        if _ip("link", "add", ground.name, "type", "bridge"):
            break
    else:
        raise LabError(f"no bridge of {len(NUMBERS)} can be made; see them by: ip link")
    (state / "ground").write_text(f"{ground.number} {_BOOT.read_text()}")
    _ip("address", "add", f"{ground.address}/24", "dev", ground.name)
    _ip("link", "set", ground.name, "up")
    for hierarchy in _hierarchies():
        (hierarchy / ground.name).mkdir(exist_ok=True)
    return ground


def release(state: Path) -> None:
    """Give back what ``state`` notes, once the node's processes have ended; nothing if it notes none."""
    note = state / "ground"
    if ground := _noted(note):
        ports = Path(f"/sys/class/net/{ground.name}/brif")
        wait_until(
            lambda: not list(ports.glob("*")),
            f"the end of the pods' networks on {ground.name}",
            timeout_seconds=RELEASE_SECONDS,
        )
        _ip("link", "delete", ground.name)
        cgroups = [hierarchy / ground.name for hierarchy in _hierarchies()]
        wait_until(
            lambda: all(map(_is_removed, cgroups)),
            f"the end of the cgroups {ground.name}",
            timeout_seconds=RELEASE_SECONDS,
        )
    note.unlink(missing_ok=True)


def _noted(note: Path) -> Ground | None:
    """Return the claim in ``note``, unless the machine was started anew: then the name is free, or another's."""
    if not note.exists():
        return None
    number, boot = note.read_text().split()
    return Ground(int(number)) if boot == _BOOT.read_text().strip() else None


def _is_removed(cgroup: Path) -> bool:
    """Remove a cgroup and those below it; one that still holds a process refuses."""
    try:
        for folder, _, _ in os.walk(cgroup, topdown=False):
            os.rmdir(folder)  # noqa: PTH106 - as os.walk gives it
    except OSError:
        return False
    return True


def _hierarchies() -> Iterator[Path]:
    """Yield where cgroups are mounted: many places in version 1, one in version 2."""
    for line in Path("/proc/mounts").read_text().splitlines():
        _, folder, kind, *_ = line.split()
        if kind in {"cgroup", "cgroup2"}:
            yield Path(folder)


def _ip(*arguments: str) -> bool:
    program = shutil.which("ip", path=f"{os.defpath}:/usr/sbin:/sbin")
    if program is None:
        raise LabError("the real node needs a bridge, and there is no `ip` here: install iproute2")
    return subprocess.run([program, *arguments], capture_output=True, check=False).returncode == 0
