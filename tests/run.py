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
    is_full: bool = False  # runs only with LAB=1 or CI=true: it installs programs, or builds them
    installer: str = ""  # a module to run first


FAST = "not lab and not chaos and not browser and not figures"
COVERAGE = ("--cov", "--cov-report=json:.coverage.json", "--cov-report=term")

CHROMIUM = "tests.browser.chromium"

SUITES = (
    Suite(
        "fast: core, contracts, edge, scenarios, architecture", ("-m", FAST, "-n", "2", *COVERAGE)
    ),
    Suite("figures: promises in seconds, measured alone", ("-m", "figures")),
    Suite("chaos: kill -9 over HTTP", ("-m", "chaos", "-n", "4")),
    Suite("browser: the pages in a real Chromium", ("-m", "browser"), True, CHROMIUM),
    Suite("lab: a real API server, node and Prometheus", ("-m", "lab"), True),
)


def uncovered() -> list[str]:
    """Return the files of the packages held at 100 % that have an untested line or branch."""
    report = json.loads((ROOT / ".coverage.json").read_text())
    return [
        f"{name}: {entry['summary']['percent_covered']:.1f} %"
        for name, entry in sorted(report["files"].items())
        if name.startswith(FULL_COVERAGE) and entry["summary"]["percent_covered"] < 100
    ]


def run(suite: Suite, extra: list[str]) -> bool:
    """Run one suite; say what it came to and how long it took."""
    print(f"\n== {suite.name}", flush=True)
    began = time.monotonic()
    commands = [["-m", "pytest", "-q", *suite.arguments, *extra]]
    if suite.installer:
        commands.insert(0, ["-m", suite.installer])
    statuses = [
        subprocess.run([sys.executable, *command], cwd=ROOT, check=False).returncode
        for command in commands
    ]
    verdict = "FAILED" if any(statuses) else "ok"
    print(f"== {suite.name}: {verdict} in {time.monotonic() - began:.0f} s", flush=True)
    return not any(statuses)


def main(extra: list[str]) -> int:
    is_full = os.environ.get("CI") == "true" or os.environ.get("LAB") == "1"
    failed, absent = [], []
    for suite in SUITES:
        if suite.is_full and not is_full:
            absent.append(f"{suite.name}: needs LAB=1 or CI=true, which install programs as root")
        elif not run(suite, extra):
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
