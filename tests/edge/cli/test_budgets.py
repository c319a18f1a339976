"""What the program costs before it does anything, held where a busy machine cannot blur it."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from tests.edge.cli.child import running
from tests.fakes.served_shop import served_shop

IDLE_MEBIBYTES_MAX = 130
HEAVY = ("aiohttp", "asyncio", "httpx2", "kubernetes", "msgspec", "pydantic", "sqlite3", "yaml")


def test_help_loads_nothing_that_only_commands_need() -> None:
    code = f"import sys, opsagent.cli; sys.exit(', '.join({set(HEAVY)!r} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={},  # what measures coverage loads modules of its own
    )
    assert done.stderr.strip() == ""


def resident_mebibytes(pid: int) -> float:
    (line,) = [
        line
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith("VmRSS:")
    ]
    return int(line.split()[1]) / 1024


@pytest.mark.timeout(120)
async def test_an_idle_daemon_is_small(tmp_path: Path) -> None:
    async with (
        served_shop(tmp_path) as served,
        running(tmp_path, "run", "--config", served.config) as child,
    ):
        await child.until_ready(served.state)
        used = await asyncio.to_thread(resident_mebibytes, child.process.pid)
        await child.stop()
    assert used <= IDLE_MEBIBYTES_MAX
