"""One run: ``python -m tests.bench.five_days [--scale 0.01] [--days 5] [--hours 24] [--seed 1]``; prints JSON.

cpu_seconds    of this process from the first list to the last day's end, of each day
rss_mebibytes  the peak of this process
counts         what came through, exactly; digest: of everything that is kept
"""

import argparse
import asyncio
import hashlib
import json
import logging
import resource
import sqlite3
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from opsagent.app import Daemon
from opsagent.clients.alertmanager_wire import reported
from opsagent.controllers.report import Report
from opsagent.runtime.collection import settle
from opsagent.settings import LogsSettings, MetricsSettings, Settings
from tests.bench.five_days.cluster import FedCluster, FedSeries, Pipe, feeding
from tests.bench.five_days.volume import Volume
from tests.fakes.virtual_time import LoopClock, run
from tests.fakes.worlds import world_of


class CountedIds:
    """Names that are the same in every run."""

    def __init__(self) -> None:
        self._count = 0

    def token(self) -> str:
        """Return 32 characters."""
        self._count += 1
        return f"{self._count:032d}"


@dataclass
class Figures:
    """What a run comes to."""

    cpu_seconds: list[float] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    digest: str = ""


async def _post_alerts(daemon: Daemon, pipe: Pipe, volume: Volume) -> None:
    number = 0
    while True:
        await asyncio.sleep(volume.post_seconds)
        await daemon.alerts.take(reported(pipe.ask(f"alerts {number}")))
        number += 1


async def _play(state: Path, pipe: Pipe, volume: Volume, days: int, day_seconds: float) -> Figures:
    figures, clock, cluster = Figures(), LoopClock(), FedCluster(pipe, volume)
    daemon = Daemon(
        Settings(
            state_dir=state,
            logs=LogsSettings(),
            metrics=MetricsSettings(url="http://in.this.process"),
        ),
        world_of(
            clock=clock,
            ids=CountedIds(),
            cluster=cluster,
            series=FedSeries(pipe),
        ),
    )
    async with asyncio.TaskGroup() as group:
        running = group.create_task(daemon.run())
        report = await daemon.report()
        posting = group.create_task(_post_alerts(daemon, pipe, volume))
        for _ in range(days):
            began = time.process_time()
            await asyncio.sleep(day_seconds)
            figures.cpu_seconds.append(round(time.process_time() - began, 2))
            sys.stderr.write(f"{figures.cpu_seconds} {await _counts(report, cluster)}\n")
        figures.counts = await _counts(report, cluster)
        for task in (posting, running):
            task.cancel()
    figures.digest = _digest(state)
    return figures


async def _counts(report: Report, cluster: FedCluster) -> dict[str, int]:
    status: Any = await report.status()  # JSON
    assert not status["restarts"], status["restarts"]
    followed, kept = status["logs"]["followed"], status["logs"]["kept"]
    windows = status["series"]["kept"]["windows"]
    return {
        "lines": followed["lines_total"],
        "entries": kept["entries_total"],
        "lost": kept["lost_total"] + followed["skipped_lines_total"],
        "gaps": followed["gaps_total"],
        "samples": sum(each["samples_total"] - each["repeats_total"] for each in windows.values()),
        "bins": status["series"]["kept"]["bins_total"],
        "watch_events": cluster.events_total,
        "alerts": status["counters"]["alerts_taken_total"],
        **{f"stored_{name}": count for name, count in status["stored"].items()},
    }


def _digest(state: Path) -> str:
    """Return a digest of every row of every database, but for when each was made by the machine's clock."""
    digest = hashlib.sha256()
    for path in sorted(state.rglob("*.db")):
        with closing(sqlite3.connect(path)) as connection:
            for statement in connection.iterdump():
                if '"_sqlite_migrations"' not in statement:
                    digest.update(statement.encode())
    return digest.hexdigest()


def main(arguments: list[str]) -> int:
    """Run once."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    settle()  # as the daemon's own process does
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--days", type=int, default=5)
    parser.add_argument("--hours", type=float, default=24.0, help="of each day")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, feeding(options.seed, options.scale) as pipe:
        volume = Volume(options.scale)
        figures = run(_play(Path(folder), pipe, volume, options.days, options.hours * 3600))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    told = {
        "cpu_seconds": figures.cpu_seconds,
        "cpu_seconds_total": round(sum(figures.cpu_seconds), 1),
        "rss_mebibytes": round(peak),
        "counts": figures.counts,
        "digest": figures.digest,
    }
    sys.stdout.write(json.dumps(told) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
