"""The test command: runs every suite that can run here, and says which did not and why.

``python -m tests.run`` runs what needs Python alone, with coverage. ``CI=true`` or ``LAB=1`` adds the
suites that need a real API server; there a lab that cannot start is a failure, never a skip.

Real programs are mostly waited for, so suites run side by side in lanes, a stage of lanes after another; what
measures its own CPU time comes last and alone. Each suite's output is printed whole when it ends.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SUITE_SECONDS_MAX = 2_400  # the slowest takes 350, or 900 where it builds what it needs first
FULL_COVERAGE = ("opsagent/guard/", "opsagent/incidents/")


@dataclass(frozen=True)
class Suite:
    name: str
    arguments: tuple[str, ...]
    is_full: bool = False  # runs only with LAB=1 or CI=true: it installs programs, or builds them
    installer: str = ""  # a module to run first


CORE_ALONE = "not lab and not chaos and not browser and not figures and not flood"
COVERAGE = ("--cov", "--cov-report=json:.coverage.json", "--cov-report=term")

FAST = Suite(
    "fast: core, contracts, edge, scenarios, architecture",
    ("-m", CORE_ALONE, "-n", "3", "--dist", "worksteal", *COVERAGE),
)
FIGURES = Suite("figures: promises in seconds, measured alone", ("-m", "figures"))
FLOODS = Suite("floods: more than anyone would read, untraced", ("-m", "flood", "-n", "2"))
CHAOS = Suite("chaos: kill -9 over HTTP", ("-m", "chaos", "-n", "4"))
BROWSER = Suite(
    "browser: the pages in a real Chromium", ("-m", "browser"), True, "tests.browser.chromium"
)
STORMS = "tests/lab/storms"
LAB = Suite(
    "lab: a real API server",
    ("-m", "lab and not node", "-n", "3", "--dist", "worksteal", f"--ignore={STORMS}"),
    True,
)
NODE = Suite(
    "node: a real kubelet with containers, Prometheus and its neighbours",
    ("-m", "lab and node", f"--ignore={STORMS}"),
    True,
)
STORM = Suite("storms: the watch on a real API server under fire", ("-m", "lab", STORMS), True)

Lane = tuple[Suite, ...]
STAGES: tuple[tuple[Lane, ...], ...] = (
    ((FAST,), (LAB,), (NODE,)),
    ((CHAOS, BROWSER), (FLOODS,), (STORM,)),
    ((FIGURES,),),
)


def uncovered() -> list[str]:
    """Return the files of the packages held at 100 % that have an untested line or branch."""
    report = json.loads((ROOT / ".coverage.json").read_text())
    return [
        f"{name}: {entry['summary']['percent_covered']:.1f} %"
        for name, entry in sorted(report["files"].items())
        if name.startswith(FULL_COVERAGE) and entry["summary"]["percent_covered"] < 100
    ]


def run(suite: Suite, extra: Sequence[str]) -> bool:
    """Run one suite; print what it said, what it came to and how long it took."""
    began = time.monotonic()
    commands = [["-m", "pytest", "-q", *suite.arguments, *extra]]
    if suite.installer:
        commands.insert(0, ["-m", suite.installer])
    done = [_ran(command) for command in commands]
    is_green = all(is_ok for is_ok, _ in done)
    verdict = "ok" if is_green else "FAILED"
    said = "".join(said for _, said in done)
    seconds = time.monotonic() - began
    print(f"\n== {suite.name}\n{said}== {suite.name}: {verdict} in {seconds:.0f} s", flush=True)
    return is_green


def _ran(command: Sequence[str]) -> tuple[bool, str]:
    """Run Python with ``command``; return whether that went well, and what it said."""
    try:
        done = subprocess.run(
            [sys.executable, *command],
            cwd=ROOT,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=SUITE_SECONDS_MAX,
        )
    except subprocess.TimeoutExpired as error:
        said = (error.stdout or b"").decode(errors="replace")
        return False, f"{said}\nstill running after {SUITE_SECONDS_MAX} s: ended\n"
    return done.returncode == 0, done.stdout.decode(errors="replace")


def run_stage(lanes: Sequence[Lane], extra: Sequence[str]) -> list[str]:
    """Run lanes side by side; return the names of the suites that failed."""

    def run_lane(lane: Lane) -> list[str]:
        return [suite.name for suite in lane if not run(suite, extra)]

    with ThreadPoolExecutor(len(lanes)) as pool:
        return [name for failed in pool.map(run_lane, lanes) for name in failed]


def main(extra: list[str]) -> int:
    is_full = os.environ.get("CI") == "true" or os.environ.get("LAB") == "1"
    suites = [suite for stage in STAGES for lane in stage for suite in lane]
    absent = [] if is_full else [suite for suite in suites if suite.is_full]
    began = time.monotonic()
    failed = []
    for stage in STAGES:
        lanes = [tuple(suite for suite in lane if suite not in absent) for lane in stage]
        chosen = [lane for lane in lanes if lane]
        print("running:", ", ".join(each.name for lane in chosen for each in lane), flush=True)
        failed += run_stage(chosen, extra)
    if not extra and (holes := uncovered()):
        failed.append("branch coverage of guard and incidents must be 100 %: " + ", ".join(holes))
    print()
    for suite in absent:
        print(f"did not run: {suite.name}: needs LAB=1 or CI=true, which install programs as root")
    for line in failed:
        print(f"FAILED: {line}")
    if not failed:
        ran = len(suites) - len(absent)
        seconds = time.monotonic() - began
        print(f"ran: {ran} of {len(suites)} suites, all green, in {seconds:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
