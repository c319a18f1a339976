"""Through cuts, refusals, slow lists, a revoked token, restarts and a forgotten past the picture stays true."""

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from opsagent.store.daemon import SqliteStore
from opsagent.term import KINDS
from tests.lab.programs import Process
from tests.lab.storms.place import Place, place, until
from tests.lab.storms.proxy import Weather
from tests.lab.storms.subject import sighting
from tests.lab.storms.verdict import busiest, differences, lags, percentile, phantoms, unseen

DEPLOYMENTS, REPLICAS = 40, 50
CHURN_SECONDS = 1.0
CALM_SECONDS = 20.0
LAG_SECONDS_MAX = 2.0
RSS_MEBIBYTES_MAX = 300 * 1_000_000 // 2**20
WINDOW_SECONDS = 10.0
ALL = frozenset({"list", "more", "watch"})
ASKS_MAX = 10  # lists or watches of one kind in a window: a back-off of 1, 2, 4 s makes 5

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900, func_only=True)]


@dataclass
class Figures:
    """What was measured, for people."""

    lines: list[str] = field(default_factory=list)

    def add(self, what: str, value: float, unit: str) -> None:
        self.lines.append(f"  {what:<44}{value:>10.2f} {unit}")


def cpu_seconds(process: Process) -> float:
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_mebibytes(process: Process) -> float:
    status = Path(f"/proc/{process.pid}/status").read_text()
    (peak,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    return int(peak) / 1024


async def cuts(at: Place) -> None:
    """All connections break, three times."""
    for _ in range(3):
        assert at.proxy.cut() >= len(KINDS)
        await asyncio.sleep(2)


async def too_many_requests(at: Place) -> None:
    """For a while every list and watch is answered with 429."""
    at.proxy.weather = Weather(refused=ALL, retry_after_seconds=2)
    at.proxy.cut()
    await asyncio.sleep(10)


async def slow_lists_after_gone(at: Place) -> None:
    """Every watch is told that it is too old, and each page of a list takes seconds, while pods come and go."""
    at.proxy.weather = Weather(refused=frozenset({"watch"}), status=410, list_seconds=1.5)
    at.proxy.cut()
    await asyncio.sleep(12)


async def revoked_token(at: Place) -> None:
    """The identity is deleted and made anew: the token in use is worth nothing, the file gets another."""
    began = len(at.proxy.asks)
    for what in ("delete", "create"):
        command = (what, "serviceaccount", "opsagent", "-n", "opsagent")
        await asyncio.to_thread(at.cluster.kubectl, *command)

    async def is_refused() -> bool:
        at.proxy.cut()
        await asyncio.sleep(2)
        return any(ask.status == 401 for ask in at.proxy.asks[began:])

    await until(is_refused, "a refused token")  # the API server believes a token for 10 s more
    await asyncio.to_thread(at.write_kubeconfig)


async def api_server_restart(at: Place) -> None:
    """The API server is killed and started again."""
    await at.restart("kube-apiserver")


async def etcd_restart(at: Place) -> None:
    """etcd is killed and started again."""
    await at.restart("etcd")


async def forgotten_past(at: Place) -> None:
    """While the subject is kept from looking, etcd forgets the past and the API server starts anew: Gone, in earnest."""
    at.proxy.weather = Weather(refused=ALL, status=503)
    at.proxy.cut()
    await asyncio.sleep(3)
    await at.compact()
    await at.restart("kube-apiserver")


Storm = Callable[[Place], Awaitable[None]]


async def start(at: Place, figures: Figures) -> Process:
    """Start the subject on the whole crowd and wait for its first full picture."""
    subject = at.start_subject()

    def is_synced() -> bool:
        return len(at.seen.read().lists) == len(KINDS)

    await until(is_synced, "the subject's first full picture")
    figures.add("start to ready: CPU", cpu_seconds(subject), "s")
    figures.add("start to ready: RSS", peak_mebibytes(subject), "MiB")
    return subject


async def measure_lag(at: Place, subject: Process, figures: Figures) -> None:
    """Let the crowd churn in fine weather; what the subject commits, it commits soon."""
    began, cpu = time.time(), cpu_seconds(subject)  # noqa: TID251 - across processes
    await asyncio.sleep(CALM_SECONDS)
    before = time.time()  # noqa: TID251 - across processes
    await at.until_caught_up()
    late = lags(at.truth.sightings, at.seen.sightings, since=began)
    figures.add("fine weather: states a second", len(late) / CALM_SECONDS, "/s")
    figures.add("fine weather: CPU", (cpu_seconds(subject) - cpu) / CALM_SECONDS * 100, "%")
    for share in (0.5, 0.99, 1.0):
        figures.add(f"fine weather: lag p{share * 100:.0f}", percentile(late, share), "s")
    assert len(late) > 20 * CALM_SECONDS, "that is no churn"
    assert percentile(late, 0.99) <= LAG_SECONDS_MAX
    assert unseen(at.truth.sightings, at.seen.sightings, since=began, before=before) == []


async def ride_out(storm: Storm, at: Place, figures: Figures) -> int:
    """Send one storm and wait until the subject has caught up; return how many watches were told Gone by the API server."""
    asked = len(at.proxy.asks)
    await storm(at)
    at.calm()
    over = time.monotonic()  # noqa: TID251 - real programs take real time
    await at.until_caught_up()
    seconds = time.monotonic() - over  # noqa: TID251 - real programs take real time
    asks = at.proxy.asks[asked:]
    lists, watches = (sum(ask.how == way for ask in asks) for way in ("list", "watch"))
    gone = sum(ask.is_gone for ask in asks)
    told = f"s; {lists} lists, {watches} watches, {gone} told Gone"
    figures.add(f"{storm.__name__.replace('_', ' ')}: caught up after", seconds, told)
    return gone


async def ride_out_all(at: Place, figures: Figures) -> None:
    """Send all storms."""
    for storm in (cuts, too_many_requests, slow_lists_after_gone, revoked_token, etcd_restart):
        await ride_out(storm, at, figures)
    gone = await ride_out(api_server_restart, at, figures)
    gone += await ride_out(forgotten_past, at, figures)
    # On a machine so slow that the Lease is lost each time, a new term begins with lists, and no watch
    # is told anything.
    for _ in range(3):
        gone = gone or await ride_out(forgotten_past, at, figures)
    assert gone, "no watch was told that it is too old"


async def until_same(at: Place) -> None:
    """Wait until list, witness and subject agree; if they never do, say how they differ."""
    found: dict[str, object] = {}

    async def is_same() -> bool:
        listed = await at.listed()
        at.read()
        found["witness"] = differences(listed, at.truth.newest)
        found["subject"] = differences(listed, at.seen.newest)
        return found["witness"] == found["subject"] == ([], [])

    try:
        await until(is_same, "agreement")
    except AssertionError as error:
        raise AssertionError(f"(missed, beyond): {found}") from error


async def test_the_picture_stays_true(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    figures = Figures()
    async with place(tmp_path, DEPLOYMENTS, REPLICAS) as at:
        figures.add("load of the machine", os.getloadavg()[0], "")
        await at.crowd.gather()
        await until(at.crowd.is_there, "the crowd")
        subject = await start(at, figures)
        async with asyncio.TaskGroup() as group:
            churning = group.create_task(at.crowd.churn(CHURN_SECONDS))
            await measure_lag(at, subject, figures)
            await ride_out_all(at, figures)
            churning.cancel()
        await until_same(at)
        figures.add("in all: states", len(at.seen.sightings), "")
        peak = peak_mebibytes(subject)
        figures.add("in all: RSS, peak", peak, "MiB")
        await at.stop_subject()

        store = await SqliteStore.open(at.folder / "daemon.db")
        kept = {(each.kind, each.name): each for each in map(sighting, (await store.load()).rows)}
        await store.aclose()
        listed = await at.listed()
        most = busiest(at.proxy.asks, WINDOW_SECONDS)
        figures.add("in 10 s: lists or watches of a kind, most", max(most.values()), "")
        with capsys.disabled():
            sys.stdout.write("\n" + "\n".join(figures.lines) + "\n")

        assert phantoms(at.truth.sightings, at.seen.sightings) == []
        assert differences(listed, kept) == ([], [])
        assert max(most.values()) <= ASKS_MAX, most
        assert '"task.failed"' not in (at.folder / "log").read_text()
        assert peak <= RSS_MEBIBYTES_MAX
