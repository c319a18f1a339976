"""How many checks of each contract passed where, side by side at the end of a run.

A fake is as good as the suite that it shares with the real thing, so the two numbers belong next to each other.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

import pytest

FOLDER = "tests/contracts/"
PLACES = ("sim", "http", "lab")
# What the suites call their environments: in this process, over loopback, and the real thing.
PLACE_OF = {
    "sim": "sim",
    "in_process": "sim",
    "http": "http",
    "over_http": "http",
    "lab": "lab",
    "real": "lab",
    "real_with_marks": "lab",
}


def place(node_id: str) -> tuple[str, str] | None:
    """Return suite and place of a contract's test, None of any other."""
    path, _, name = node_id.partition("::")
    if not path.startswith(FOLDER) or not name.endswith("]"):
        return None
    suite = path.removeprefix(FOLDER).partition("/")[0]
    words = name[:-1].partition("[")[2].split("-")
    found = next((PLACE_OF[word] for word in words if word in PLACE_OF), None)
    return (suite.removesuffix(".py").removeprefix("test_"), found) if found else None


def side_by_side(passed: Iterable[str], failed: Iterable[str]) -> list[str]:
    """Return the lines of the table from the node ids of tests; none if no contract ran."""
    good, bad = (Counter(filter(None, map(place, ids))) for ids in (passed, failed))
    rows = [
        (suite, *(_cell(good[suite, where], bad[suite, where]) for where in PLACES))
        for suite in sorted({suite for suite, _ in good | bad})
    ]
    return list(_aligned([("contract suite", *PLACES), *rows])) if rows else []


def _cell(passed: int, failed: int) -> str:
    if not passed and not failed:
        return "-"
    return f"{passed}, {failed} failed" if failed else str(passed)


def _aligned(rows: list[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *others in rows:
        cells = [text.rjust(width) for text, width in zip(others, widths[1:], strict=True)]
        yield " | ".join([first.ljust(widths[0]), *cells])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table; the reports of workers arrive here, too."""
    stats = terminalreporter.stats
    passed, failed = (
        [report.nodeid for kind in kinds for report in stats.get(kind, ())]
        for kinds in (("passed",), ("failed", "error"))
    )
    if lines := side_by_side(passed, failed):
        terminalreporter.section("contracts: passed side by side")
        for line in lines:
            terminalreporter.line(line)
