"""A state that cannot be written: nothing is done any more, people are told once, and readiness says why."""

import asyncio
import datetime as dt
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from opsagent.model.alert import Severity
from opsagent.model.notification import Notification
from opsagent.model.plan import PlanState
from opsagent.notify.parting import (
    ATTEMPTS_MAX,
    INTERVAL,
    RETRY_SECONDS,
    SECONDS_MAX,
    tell,
    unwritable,
)
from opsagent.ports import Terminal, Transient, Unwritable
from opsagent.sim import Fault, fault_patch
from opsagent.store.daemon import SqliteStore
from tests.edge.test_app import WEB, Replica, leads, send, until_so
from tests.fakes.executor import Bench, click
from tests.fakes.notifier import RecordingNotifier
from tests.fakes.plans import PROPOSAL
from tests.fakes.small_disk import fill, small_disk
from tests.fakes.virtual_time import EPOCH, run
from tests.scenarios.places import box

MESSAGE = unwritable("one", "shop", "daemon.db: the disk is full", EPOCH)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk") as place:
        yield place


def test_a_full_disk_ends_the_daemon_told_once_and_not_ready_and_it_goes_on_when_there_is_room(
    disk: Path,
) -> None:
    async def scene() -> None:
        async with box() as stage:
            first = Replica(stage, disk / "state", with_hands=True)
            with pytest.RaisesGroup(
                pytest.RaisesExc(Unwritable, match=r"daemon\.db: the disk .*full")
            ):
                async with first.running() as report:
                    await until_so(lambda: leads(report))
                    ballast = fill(disk)
                    await send(stage, "PATCH", WEB, fault_patch(Fault.MISSING_IMAGE))
                    await asyncio.sleep(600)
            (message,) = first.notifier.received.values()
            assert message.severity is Severity.CRITICAL
            assert message.title.startswith("opsagent cannot write its state")
            assert "daemon.db" in message.lines[0]
            assert "daemon.db" in report.unready()[0]
            for hours, is_same in ((0, True), (INTERVAL.total_seconds() / 3600, False)):
                await asyncio.sleep(hours * 3600)
                again = Replica(stage, disk / "state", with_hands=True)
                with pytest.raises(Unwritable, match=r"daemon\.db"):
                    await again.daemon.run()
                assert (again.notifier.attempts == first.notifier.attempts) is is_same
            assert stage.writes() == []
            ballast.unlink()
            repaired = Replica(stage, disk / "state", with_hands=True)
            async with repaired.running() as report:
                await until_so(lambda: leads(report))
                await until_so(lambda: repaired.notifier.received)
            assert "opened" in {each.reason for each in repaired.notifier.received.values()}

    run(scene())


async def test_a_file_that_could_be_read_but_not_written_is_refused_before_anything_begins(
    disk: Path,
) -> None:
    path = disk / "daemon.db"
    await (await SqliteStore.open(path)).aclose()
    with closing(sqlite3.connect(path)) as looking:
        looking.execute("SELECT * FROM meta").fetchall()  # makes the files that opening would make
        ballast = fill(disk)
        with pytest.raises(Unwritable, match="the disk is full"):
            await SqliteStore.open(path)
        ballast.unlink()
        await (await SqliteStore.open(path)).aclose()


def test_nothing_approved_is_begun_once_the_executors_disk_is_full(disk: Path) -> None:
    async def scene() -> None:
        bench = Bench(disk)
        with pytest.RaisesGroup(pytest.RaisesExc(Unwritable, match=r"executor\.sqlite: the disk")):
            async with bench.life() as life:
                record = await life.desk.submit(PROPOSAL)
                assert (await click(life.desk, record.plan)).state is PlanState.APPROVED
                fill(disk)
                await asyncio.sleep(60)
        assert bench.cluster.effects == []

    run(scene())


def test_a_state_folder_that_is_no_folder_is_told_too(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")

    async def scene() -> None:
        async with box() as stage:
            replica = Replica(stage, tmp_path / "state")
            with pytest.raises(Unwritable, match="cannot make the state folder"):
                await replica.daemon.run()
            assert len(replica.notifier.received) == 1

    run(scene())


def test_a_state_that_somebody_else_uses_is_told_to_nobody(tmp_path: Path) -> None:
    async def scene() -> None:
        async with box() as stage, Replica(stage, tmp_path).running():
            second = Replica(stage, tmp_path)
            with pytest.raises(Terminal, match="already open"):
                await second.daemon.run()
            assert second.notifier.attempts == []

    run(scene())


def test_installs_clusters_and_intervals_have_messages_of_their_own() -> None:
    at = [EPOCH, EPOCH + INTERVAL - dt.timedelta(seconds=1), EPOCH + INTERVAL]
    ids = [unwritable("one", "shop", "full", each).notification_id for each in at]
    others = [
        unwritable(*each, "full", EPOCH).notification_id for each in (("one", "b"), ("b", "shop"))
    ]
    assert ids[0] == ids[1] == unwritable("one", "shop", "read-only", EPOCH).notification_id
    assert len({*ids, *others}) == 4


class Deaf(RecordingNotifier):
    """A receiver that never answers."""

    async def send(self, notification: Notification) -> None:
        self.attempts.append(notification.notification_id)
        await asyncio.sleep(1e6)


@pytest.mark.parametrize(
    ("notifier", "attempts", "seconds"),
    [
        (RecordingNotifier(), 1, 0),
        (RecordingNotifier([Transient("503")]), 2, RETRY_SECONDS),
        (RecordingNotifier([Transient("503")] * 9), ATTEMPTS_MAX, 2 * RETRY_SECONDS),
        (RecordingNotifier([Terminal("400")]), 1, 0),
        (Deaf(), 1, SECONDS_MAX),
    ],
)
def test_the_receiver_is_tried_a_few_times_and_never_waited_for_long(
    notifier: RecordingNotifier, attempts: int, seconds: float
) -> None:
    async def scene() -> float:
        await tell(notifier, MESSAGE)
        return asyncio.get_running_loop().time()

    assert run(scene()) == seconds
    assert len(notifier.attempts) == attempts
