"""The shape is the product: layers, sizes and the names of things, held by counting."""

import ast
import configparser
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted([*ROOT.glob("opsagent/**/*.py"), *ROOT.glob("memory/opsagent_memory/**/*.py")])
LINES_MAX = 400
FUNCTION_LINES_MAX = 60
# "file" or "file:function", each with a sentence at its head saying why
LONG_ON_PURPOSE: set[str] = set()

# One forbidden import per contract: where it is planted and what it says.
PLANTED = {
    "rings": ("opsagent/detection/alerts.py", "import opsagent.incidents.reduce"),
    "pure": ("opsagent/incidents/reduce.py", "import random"),
    "http": ("opsagent/notify/webhook.py", "import httpx2"),
    "sql": ("opsagent/controllers/pipeline.py", "import sqlite3"),
    "acyclic": ("opsagent/model/entity.py", "import opsagent.model.kube"),
    "hands": ("opsagent/app.py", "import opsagent.clients.kube_write"),
    "servers": ("opsagent/notify/webhook.py", "import starlette"),
    "sockets": ("opsagent/api/app.py", "import uvicorn"),
}


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    program = (
        "import sys; sys.path[:0] = ['.', 'memory'];"
        "from importlinter.cli import lint_imports_command; lint_imports_command()"
    )
    return subprocess.run(
        [sys.executable, "-P", "-c", program, "--no-cache"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the packages alone, to plant violations in."""
    folder = tmp_path_factory.mktemp("copy")
    for name in ("opsagent", "memory"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / ".importlinter", folder)
    return folder


def contracts() -> list[str]:
    parser = configparser.ConfigParser()
    parser.read(ROOT / ".importlinter")
    prefix = "importlinter:contract:"
    return [name.removeprefix(prefix) for name in parser.sections() if name.startswith(prefix)]


def test_every_contract_has_a_planted_violation() -> None:
    assert sorted(contracts()) == sorted(PLANTED)


def test_the_contracts_hold(copy: Path) -> None:
    answer = lint_imports(copy)
    assert answer.returncode == 0, answer.stdout


@pytest.mark.parametrize("contract", sorted(PLANTED))
def test_a_planted_violation_breaks_its_contract(contract: str, copy: Path) -> None:
    name, line = PLANTED[contract]
    path = copy / name
    whole = path.read_text()
    parser = configparser.ConfigParser()
    parser.read(ROOT / ".importlinter")
    title = parser[f"importlinter:contract:{contract}"]["name"]
    try:
        path.write_text(whole + f"\n{line}\n")
        answer = lint_imports(copy)
    finally:
        path.write_text(whole)
    assert answer.returncode != 0
    assert re.search(rf"{re.escape(title)}.*BROKEN", answer.stdout), answer.stdout


def test_files_and_functions_stay_small() -> None:
    long = []
    for path in SOURCES:
        text, name = path.read_text(), str(path.relative_to(ROOT))
        if (lines := text.count("\n")) > LINES_MAX and name not in LONG_ON_PURPOSE:
            long.append(f"{name}: {lines} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or 0) - node.lineno + 1
                if lines > FUNCTION_LINES_MAX and f"{name}:{node.name}" not in LONG_ON_PURPOSE:
                    long.append(f"{name}:{node.name}: {lines} lines")
    assert not long


def test_every_module_says_what_it_is_for() -> None:
    silent = [str(path) for path in SOURCES if not ast.get_docstring(ast.parse(path.read_text()))]
    assert not silent


def test_no_empty_package_is_kept() -> None:
    packages = {path.parent for path in SOURCES}
    empty = [
        str(p)
        for p in packages
        if [f.name for f in p.glob("*.py")] == ["__init__.py"] and not any(p.glob("*/"))
    ]
    assert not empty


def swallows_everything(handler: ast.ExceptHandler) -> bool:
    caught = ast.unparse(handler.type) if handler.type else "BaseException"
    is_blind = bool({"Exception", "BaseException"} & set(re.findall(r"\w+", caught)))
    return is_blind and not (
        isinstance(handler.body[-1], ast.Raise) and handler.body[-1].exc is None
    )


def test_blind_except_stands_in_supervision_and_where_a_thread_hands_its_failure_over() -> None:
    """Clean up and raise again is no blindness; anything else that catches everything is."""
    found = {
        str(path.relative_to(ROOT))
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ExceptHandler) and swallows_everything(node)
    }
    assert found == {"opsagent/runtime/supervise.py", "opsagent/runtime/threads.py"}


def test_the_typed_api_classes_are_never_used() -> None:
    """``CoreV1Api()`` alone costs 101 MiB and 1.2 CPU seconds; everything goes by paths."""
    users = [str(path) for path in SOURCES if re.search(r"\w+V\d\w*Api\b", path.read_text())]
    assert not users


def test_every_package_is_in_the_contract_and_on_the_map() -> None:
    rings = (ROOT / ".importlinter").read_text()
    map_text = (ROOT / "ARCHITECTURE.md").read_text()
    names = {
        path.relative_to(ROOT / "opsagent").parts[0].removesuffix(".py")
        for path in SOURCES
        if path.is_relative_to(ROOT / "opsagent")
    }
    names -= {"__init__", "__main__"}
    assert not [name for name in names if f"opsagent.{name}" not in rings]
    assert not [name for name in names if f"`{name}" not in map_text]


def test_every_invariant_names_a_test_that_exists() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text)
    assert len(named) >= 15
    missing = [
        f"{file}::{test}"
        for file, test in named
        if not (ROOT / file).exists() or f"def {test}(" not in (ROOT / file).read_text()
    ]
    assert not missing


def test_the_readme_names_only_targets_that_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for document in ("README.md", "CONTRIBUTING.md"):
        used = set(
            re.findall(r"(?:^|`)make ([a-z-]+)", (ROOT / document).read_text(), re.MULTILINE)
        )
        assert used <= targets, document
