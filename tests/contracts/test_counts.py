"""The table of counts: one row a contract, one column a place, in one process and from workers."""

import os
import subprocess
import sys
from pathlib import Path

from tests.contracts.counts import side_by_side

ROOT = Path(__file__).parents[2]
SUITE = """
import pytest

@pytest.mark.parametrize("environment", ["sim", "http", pytest.param("lab", marks=pytest.mark.skip)])
@pytest.mark.parametrize("number", [1, 2])
def test_one(number, environment):
    assert (number, environment) != (2, "http")
"""


def test_a_row_for_each_contract_and_a_column_for_each_place() -> None:
    passed = [
        "tests/contracts/kubernetes/test_a.py::test_a[sim]",
        "tests/contracts/kubernetes/test_b.py::test_b[sim]",
        "tests/contracts/kubernetes/test_b.py::test_b[lab]",
        "tests/contracts/alertmanager/test_a.py::test_a[1-real]",
        "tests/contracts/test_model.py::test_a[x-y-over_http]",
        "tests/contracts/test_store.py::test_a[sqlite]",
        "tests/contracts/test_counts.py::test_no_parameter",
        "tests/edge/test_x.py::test_a[sim]",
    ]
    failed = ["tests/contracts/kubernetes/test_a.py::test_a[http]"]
    assert side_by_side(passed, failed) == [
        "contract suite | sim |        http | lab",
        "alertmanager   |   - |           - |   1",
        "kubernetes     |   2 | 0, 1 failed |   1",
        "model          |   - |           1 |   -",
    ]


def test_where_no_contract_ran_there_is_no_table() -> None:
    assert side_by_side(["tests/edge/test_x.py::test_a[sim]"], []) == []


def test_the_table_ends_a_run_whose_tests_ran_in_workers(tmp_path: Path) -> None:
    folder = tmp_path / "tests" / "contracts" / "kubernetes"
    folder.mkdir(parents=True)
    (folder / "test_some.py").write_text(SUITE)
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --import-mode=importlib\n")
    plugins = ["-p", "xdist", "-p", "tests.contracts.counts", "-p", "no:cacheprovider"]
    own = {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *plugins, "-n", "2"],
        cwd=tmp_path,
        env=os.environ | own,  # noqa: TID251 - the child's, as ours
        capture_output=True,
        text=True,
        check=False,
    )
    assert "contract suite | sim |        http | lab" in done.stdout.splitlines(), done.stderr
    assert "kubernetes     |   2 | 1, 1 failed |   -" in done.stdout.splitlines()
