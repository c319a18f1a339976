"""Debian's programs are unpacked beside the system, once, and nothing of the system is touched."""

from pathlib import Path

import pytest

from tests.lab.packages import ensure_packages, find_tool, stamp
from tests.lab.programs import LabError

pytestmark = pytest.mark.timeout(20)


def test_on_another_system_the_message_says_what_is_missing_and_what_works_without(tmp_path: Path):
    with pytest.raises(LabError, match=r"no `apt-get` here: use Debian 12.*ARGS=--control-plane"):
        find_tool("apt-get", path=str(tmp_path))


def test_a_set_that_fits_is_used_without_apt(tmp_path: Path):
    (tmp_path / stamp()).mkdir()
    assert ensure_packages(tmp_path) == tmp_path / stamp()


def test_another_release_is_another_set(tmp_path: Path):
    (tmp_path / "os-release").write_text("VERSION_ID=13\n")
    assert stamp(tmp_path / "os-release") != stamp(tmp_path / "none") != stamp()


@pytest.mark.lab
def test_every_program_is_there():
    folder = ensure_packages()
    for name in (
        "bin/busybox",
        "usr/bin/containerd",
        "usr/bin/containerd-shim-runc-v2",
        "usr/bin/ctr",
        "usr/bin/prometheus",
        "usr/bin/prometheus-alertmanager",
        "usr/bin/prometheus-node-exporter",
        "usr/bin/promtool",
        "usr/lib/cni/bridge",
        "usr/sbin/runc",
    ):
        assert (folder / name).is_file(), name
