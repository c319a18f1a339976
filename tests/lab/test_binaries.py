"""The programs are built once, from pinned modules; without Go the message says what to do."""

import re
from pathlib import Path

import pytest

from tests.lab.binaries import (
    GOMOD,
    KUBE_STATE_METRICS,
    VICTORIA_LOGS,
    Build,
    cache_folder,
    ensure_binaries,
    find_go,
    module_version,
    stamp,
)
from tests.lab.programs import LabError


def go_that_says(folder: Path, version: str) -> str:
    """Make a ``go`` command that knows its version and nothing else; return its PATH."""
    command = folder / "go"
    command.write_text(f"#!/bin/sh\necho {version}\n")
    command.chmod(0o755)
    return str(folder)


def test_without_go_the_message_says_what_to_install(tmp_path: Path):
    with pytest.raises(LabError, match=r"no `go` here: install Go 1\.\d+\.\d+ or newer"):
        find_go(path=str(tmp_path))


def test_an_old_go_is_refused_by_name(tmp_path: Path):
    with pytest.raises(LabError, match=r"too old \(go1\.19\.8\): install Go"):
        find_go(path=go_that_says(tmp_path, "go1.19.8"))


@pytest.mark.parametrize("version", ["go1.26.0", "go1.26.8", "go1.100.0", "go2.0"])
def test_a_newer_go_will_do(tmp_path: Path, version: str):
    assert find_go(path=go_that_says(tmp_path, version)) == str(tmp_path / "go")


def test_a_build_that_fits_is_used_without_go(tmp_path: Path):
    (tmp_path / stamp() / "bin").mkdir(parents=True)
    assert ensure_binaries(tmp_path) == tmp_path / stamp() / "bin"


def test_builds_are_kept_outside_the_checkout():
    assert not cache_folder().is_relative_to(GOMOD.parents[2])


def test_every_module_is_pinned_by_hash():
    sums = (GOMOD / "go.sum").read_text()
    for module in ("k8s.io/kubernetes", "sigs.k8s.io/kwok", "go.etcd.io/etcd/server/v3"):
        assert f"{module} {module_version(module)} h1:" in sums


@pytest.mark.parametrize(
    ("build", "name"),
    [(KUBE_STATE_METRICS, "kube-state-metrics"), (VICTORIA_LOGS, "victoria-logs")],
)
def test_what_has_a_folder_of_its_own_is_pinned_too_and_named_by_its_version(
    build: Build, name: str
):
    assert f"{build.module} {build.version} h1:" in (build.folder / "go.sum").read_text()
    assert stamp(build).startswith(f"{name}-{build.version}-")


def test_the_staging_modules_are_those_of_the_kubernetes_version():
    text = (GOMOD / "go.mod").read_text()
    staging = set(re.findall(r"=> k8s\.io/\S+ (v\S+)", text))
    assert staging == {module_version("k8s.io/kubernetes").replace("v1.", "v0.", 1)}
