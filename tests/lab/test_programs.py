"""Programs are started apart, watched with their logs at hand, and nothing else is ever ended."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.lab.programs import (
    LabError,
    Process,
    child_of,
    command_line,
    family,
    free_ports,
    is_alive,
    rss_mebibytes,
    start,
    stop,
    wait_until,
)


def python(tmp_path: Path, code: str) -> Process:
    return start("it", [sys.executable, "-c", code], home=tmp_path, log=tmp_path / "it.log")


SLEEPER = "import time; print('up', flush=True); time.sleep(60)"


def test_a_program_runs_until_it_is_stopped(tmp_path: Path):
    process = python(tmp_path, SLEEPER)
    assert is_alive(process)
    wait_until(lambda: rss_mebibytes(process) > 0, "its memory", timeout_seconds=4)
    stop([process])
    assert not is_alive(process)
    assert rss_mebibytes(process) == 0


def test_its_command_line_can_be_read_while_it_runs(tmp_path: Path):
    process = python(tmp_path, SLEEPER)
    # The kernel calls it started a moment before its arguments can be read.
    wait_until(lambda: bool(command_line(process)), "its arguments", timeout_seconds=4)
    assert command_line(process) == [sys.executable, "-c", SLEEPER]
    stop([process])
    assert command_line(process) == []


def test_stopping_twice_is_fine(tmp_path: Path):
    process = python(tmp_path, SLEEPER)
    stop([process])
    stop([process])


def test_a_pid_that_now_belongs_to_another_is_left_alone():
    other = subprocess.Popen([sys.executable, "-c", SLEEPER], stdout=subprocess.DEVNULL)
    began = int(Path(f"/proc/{other.pid}/stat").read_text().rpartition(")")[2].split()[19])
    ours = Process("etcd", other.pid, began - 1, "")
    assert not is_alive(ours)
    stop([ours])
    assert other.poll() is None
    assert is_alive(replace(ours, began=began))
    other.kill()
    other.wait()


def test_its_environment_holds_nothing_of_ours(tmp_path: Path):
    process = python(tmp_path, "import os; print(*os.environ)")
    wait_until(lambda: not is_alive(process), "its end", timeout_seconds=4)
    # Python itself adds LC_CTYPE where no locale is set.
    assert set((tmp_path / "it.log").read_text().split()) - {"LC_CTYPE"} == {"HOME", "PATH"}


def test_a_wait_tells_which_program_ended_and_what_it_said(tmp_path: Path):
    process = python(tmp_path, "raise SystemExit('no such flag: --color')")
    with pytest.raises(LabError, match=r"it ended by itself:\nno such flag: --color"):
        wait_until(lambda: False, "it", timeout_seconds=4, processes=[process])


def test_a_wait_has_an_end_and_shows_the_logs(tmp_path: Path):
    process = python(tmp_path, SLEEPER)
    log = tmp_path / "it.log"
    wait_until(lambda: "up" in log.read_text(), "its first line", timeout_seconds=4)
    with pytest.raises(LabError, match=r"(?s)no sign of spring within 0 s.*it:\nup"):
        wait_until(lambda: False, "spring", timeout_seconds=0.1, processes=[process])
    stop([process])


PARENT = (
    "import subprocess, sys; "
    "sys.exit(subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)']).returncode)"
)


def test_a_child_is_found_and_counts_to_its_parents_family(tmp_path: Path):
    parent = python(tmp_path, PARENT)
    wait_until(lambda: child_of(parent, "child") is not None, "the child", timeout_seconds=4)
    child = child_of(parent, "child")
    assert child
    assert family(parent) == {parent.pid, child.pid}
    assert family(child) == {child.pid}
    stop([parent, child])
    assert family(parent) == frozenset()
    assert child_of(parent, "child") is None


def test_a_parent_is_let_to_wait_for_its_child_so_that_nobody_is_left_an_orphan(tmp_path: Path):
    parent = python(tmp_path, PARENT)
    wait_until(lambda: child_of(parent, "child") is not None, "the child", timeout_seconds=4)
    child = child_of(parent, "child")
    assert child
    stop([child, parent])
    assert not Path(f"/proc/{child.pid}").exists()
    assert not Path(f"/proc/{parent.pid}").exists()


def test_ports_are_distinct_and_below_those_of_outgoing_connections():
    ports = free_ports(6)
    assert len(set(ports)) == 6
    assert max(ports) < 32_000
