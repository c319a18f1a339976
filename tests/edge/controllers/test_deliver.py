"""The outbox: every message reaches its receiver or is given up aloud, and no message waits behind another."""

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Iterable

from opsagent.controllers.deliver import Deliver
from opsagent.controllers.pipeline import Step
from opsagent.model.alert import Severity
from opsagent.model.notification import Notification, NotificationReason
from opsagent.ports import Batch, Terminal, Transient
from tests.fakes.notifier import RecordingNotifier
from tests.fakes.store import MemoryStore
from tests.fakes.virtual_time import EPOCH, LoopClock, run

RETRY_SECONDS = 5.0
TRIES_MAX = 3


def message(number: int) -> Notification:
    return Notification(
        notification_id=f"ntf_{number:03}",
        incident_id="inc_1",
        reason=NotificationReason.OPENED,
        severity=Severity.CRITICAL,
        title="cart crashes",
        lines=(),
        at=EPOCH + dt.timedelta(seconds=number),
    )


def retry_at(attempts: int, _created_at: dt.datetime, now: dt.datetime) -> dt.datetime | None:
    return None if attempts == TRIES_MAX else now + dt.timedelta(seconds=RETRY_SECONDS)


class ChokingNotifier(RecordingNotifier):
    """A receiver that answers 503 to some messages for ever and takes all others."""

    def __init__(self, chokes_on: Iterable[str]) -> None:
        super().__init__()
        self._chokes_on = frozenset(chokes_on)

    async def send(self, notification: Notification) -> None:
        if notification.notification_id in self._chokes_on:
            self.attempts.append(notification.notification_id)
            raise Transient("503")
        await super().send(notification)


def delivering(
    notifier: RecordingNotifier | None,
    scene: Callable[[MemoryStore, Deliver], Awaitable[None]],
    *earlier: Notification,
) -> tuple[MemoryStore, Deliver]:
    """Run the loop on virtual time while ``scene`` plays; ``earlier`` messages are left from an earlier life."""

    async def play() -> tuple[MemoryStore, Deliver]:
        store = MemoryStore()
        await store.commit(Batch(notifications=earlier))
        deliver = Deliver(store, notifier, LoopClock(), retry_at=retry_at)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(deliver.run())
            await scene(store, deliver)
            running.cancel()
        return store, deliver

    return run(play())


async def say(store: MemoryStore, deliver: Deliver, *messages: Notification) -> None:
    """Commit messages and tell the loop, as the fold does."""
    batch = Batch(notifications=messages)
    await store.commit(batch)
    deliver.notice(Step(batch))


async def a_minute(_store: MemoryStore, _deliver: Deliver) -> None:
    await asyncio.sleep(60)


def test_a_new_message_goes_out_at_once_and_is_marked() -> None:
    notifier = RecordingNotifier()

    async def scene(store: MemoryStore, deliver: Deliver) -> None:
        await asyncio.sleep(30)
        await say(store, deliver, message(1))
        await asyncio.sleep(1)

    store, _ = delivering(notifier, scene)
    assert notifier.attempts == ["ntf_001"]
    assert store.fates == {"ntf_001": ("delivered", EPOCH + dt.timedelta(seconds=30))}


def test_a_step_without_messages_wakes_nobody() -> None:
    notifier = RecordingNotifier()

    async def scene(store: MemoryStore, deliver: Deliver) -> None:
        await asyncio.sleep(1)
        await store.commit(Batch(notifications=(message(1),)))
        deliver.notice(Step(wants_plan=("inc_1",)))
        await asyncio.sleep(60)

    delivering(notifier, scene)
    assert notifier.attempts == []


def test_what_an_earlier_life_left_is_sent_first_and_all_of_it() -> None:
    notifier = RecordingNotifier()
    left = [message(number) for number in range(120)]
    store, _ = delivering(notifier, a_minute, *left)
    assert notifier.attempts == [each.notification_id for each in left]
    assert len(store.fates) == 120


def test_a_failure_that_may_pass_is_tried_again_under_the_same_key() -> None:
    notifier = RecordingNotifier([Transient("503"), Transient("timeout")])
    store, deliver = delivering(notifier, a_minute, message(1))
    assert notifier.attempts == ["ntf_001"] * 3
    assert list(notifier.received) == ["ntf_001"]
    assert store.fates["ntf_001"] == ("delivered", EPOCH + dt.timedelta(seconds=10))
    assert deliver.given_up_total == 0


def test_a_receiver_that_stays_away_is_given_up_counted_and_not_asked_again() -> None:
    notifier = ChokingNotifier(["ntf_001"])
    store, deliver = delivering(notifier, a_minute, message(1))
    assert notifier.attempts == ["ntf_001"] * TRIES_MAX
    assert store.fates["ntf_001"][0] == "given_up"
    assert deliver.given_up_total == 1


def test_a_refusal_for_good_is_given_up_at_once() -> None:
    notifier = RecordingNotifier([Terminal("400")])
    store, deliver = delivering(notifier, a_minute, message(1), message(2))
    assert notifier.attempts == ["ntf_001", "ntf_002"]
    assert [fate for fate, _ in store.fates.values()] == ["given_up", "delivered"]
    assert deliver.given_up_total == 1


def test_a_message_that_waits_for_another_try_holds_up_no_other() -> None:
    stuck = [message(number) for number in range(80)]
    notifier = ChokingNotifier(each.notification_id for each in stuck)

    async def scene(store: MemoryStore, deliver: Deliver) -> None:
        await asyncio.sleep(1)
        await say(store, deliver, message(500))
        await asyncio.sleep(1)
        assert list(notifier.received) == ["ntf_500"]
        assert len(notifier.attempts) == 81, "what waits was not tried again because of the news"

    delivering(notifier, scene, *stuck)


def test_without_a_receiver_messages_wait_for_one() -> None:
    async def scene(store: MemoryStore, deliver: Deliver) -> None:
        await say(store, deliver, message(1))
        await asyncio.sleep(60)

    store, deliver = delivering(None, scene)
    assert store.fates == {}
    assert deliver.given_up_total == 0
