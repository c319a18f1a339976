"""The test command: runs every suite that can run here, and says which did not and why.

``python -m tests.run`` runs what needs Python alone, with coverage. ``CI=true`` or ``LAB=1`` adds the
suites that need a real API server; there a lab that cannot start is a failure, never a skip.
"""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FULL_COVERAGE = ("opsagent/guard/", "opsagent/incidents/")


@dataclass(frozen=True)
class Suite:
    name: str
    arguments: tuple[str, ...]
    needs_lab: bool = False


SUITES = (
    Suite(
        "fast: core, contracts, edge, scenarios, architecture",
        (
            "-m",
            "not lab and not chaos",
            "-n",
            "2",
            "--cov",
            "--cov-report=json:.coverage.json",
            "--cov-report=term",
        ),
    ),
    Suite("chaos: kill -9 on the sim over HTTP", ("-m", "chaos", "-n", "4")),
    Suite("lab: a real API server with kwok nodes", ("-m", "lab"), needs_lab=True),
)


def uncovered() -> list[str]:
    """Return the files of the packages held at 100 % that have an untested line or branch."""
    report = json.loads((ROOT / ".coverage.json").read_text())
    return [
        f"{name}: {entry['summary']['percent_covered']:.1f} %"
        for name, entry in sorted(report["files"].items())
        if name.startswith(FULL_COVERAGE) and entry["summary"]["percent_covered"] < 100
    ]


def main(extra: list[str]) -> int:
    is_full = os.environ.get("CI") == "true" or os.environ.get("LAB") == "1"
    failed, absent = [], []
    for suite in SUITES:
        if suite.needs_lab and not is_full:
            absent.append(
                f"{suite.name}: needs LAB=1 or CI=true (builds Kubernetes, 7 minutes once)"
            )
            continue
        print(f"\n== {suite.name}", flush=True)
        began = time.monotonic()
        status = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", *suite.arguments, *extra], cwd=ROOT, check=False
        ).returncode
        print(
            f"== {suite.name}: {'ok' if status == 0 else f'FAILED ({status})'} in {time.monotonic() - began:.0f} s",
            flush=True,
        )
        if status:
            failed.append(suite.name)
    if not extra and (holes := uncovered()):
        failed.append("branch coverage of guard and incidents must be 100 %: " + ", ".join(holes))
    print()
    for line in absent:
        print(f"did not run: {line}")
    for line in failed:
        print(f"FAILED: {line}")
    if not failed:
        print(f"ran: {len(SUITES) - len(absent)} of {len(SUITES)} suites, all green")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
