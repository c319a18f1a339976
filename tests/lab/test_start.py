"""A start that fails says why and leaves nothing running; no real program is needed to see that."""

import json
from pathlib import Path

import pytest

from tests.lab.__main__ import main
from tests.lab.cluster import load, up
from tests.lab.programs import LabError, is_alive


def programs(folder: Path, **scripts: str) -> Path:
    """Make shell scripts in the place of the programs; ``_`` in a name stands for ``-``."""
    folder.mkdir()
    for name, script in scripts.items():
        path = folder / name.replace("_", "-")
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
    return folder


def test_the_words_of_the_program_that_failed_are_in_the_error(tmp_path: Path):
    binaries = programs(
        tmp_path / "bin",
        etcd="exec sleep 60",
        kube_apiserver="echo bind: address already in use; exit 1",
    )
    with pytest.raises(LabError, match=r"kube-apiserver ended by itself:\nbind: address already"):
        up(tmp_path / "lab", binaries)


def test_what_had_started_is_stopped_again(tmp_path: Path):
    binaries = programs(tmp_path / "bin", etcd="exec sleep 60", kube_apiserver="exit 1")
    with pytest.raises(LabError):
        up(tmp_path / "lab", binaries)
    cluster = load(tmp_path / "lab")
    assert cluster is not None
    assert [process.name for process in cluster.processes] == ["etcd", "kube-apiserver"]
    assert not any(map(is_alive, cluster.processes))


def test_a_folder_of_something_else_is_refused(tmp_path: Path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(LabError, match="holds something else"):
        up(tmp_path, tmp_path)
    assert (tmp_path / "thesis.txt").exists()


def test_without_a_lab_status_says_so_and_down_has_nothing_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["status", "--state", str(tmp_path)]) == 1
    assert capsys.readouterr().out == "the lab is down\n"
    assert main(["down", "--state", str(tmp_path)]) == 0


def test_keys_are_for_their_owner_only(tmp_path: Path):
    binaries = programs(tmp_path / "bin", etcd="exec sleep 60", kube_apiserver="exit 1")
    with pytest.raises(LabError):
        up(tmp_path / "lab", binaries)
    config = tmp_path / "lab" / "kubeconfig" / "admin"
    assert config.stat().st_mode & 0o077 == 0
    assert (tmp_path / "lab" / "pki").stat().st_mode & 0o077 == 0
    assert json.loads(config.read_text())["current-context"] == "lab"
