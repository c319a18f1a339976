"""Messages -> people: take what no receiver has taken yet, send, mark, try again later.

At least once: a crash between the receiver's answer and the mark sends the message again, under the
same idempotency key. A message that may never be taken is given up aloud, not for ever retried.
"""

import asyncio
import datetime as dt
from collections.abc import Callable, Sequence

import structlog

from opsagent.controllers.pipeline import Step
from opsagent.model.notification import Notification
from opsagent.ports import Clock, Notifier, Store, Terminal, Transient

log = structlog.get_logger(__name__)

AT_ONCE = 50  # messages read from the store in one go

RetryAt = Callable[[int, dt.datetime, dt.datetime], dt.datetime | None]


class Deliver:
    """One loop over the outbox.

    ``retry_at(attempts, created_at, now)`` decides when to try again, always later than ``now``; None
    means give up. Without a ``notifier`` messages wait in the store for one to be configured.
    """

    def __init__(
        self, store: Store, notifier: Notifier | None, clock: Clock, *, retry_at: RetryAt
    ) -> None:
        self._store = store
        self._notifier = notifier
        self._clock = clock
        self._retry_at = retry_at
        self._attempts: dict[str, int] = {}
        self._not_before: dict[str, dt.datetime] = {}
        self._news = asyncio.Event()
        self.given_up_total = 0

    def notice(self, step: Step) -> None:
        """Take note that a committed step has messages."""
        if step.batch.notifications:
            self._news.set()

    async def run(self) -> None:
        """Deliver until cancelled; what an earlier life left undelivered comes first."""
        while True:
            self._news.clear()
            if self._notifier is not None:
                await self._deliver(self._notifier)
            await self._wait()

    async def _deliver(self, notifier: Notifier) -> None:
        """Try all that may be tried now."""
        while ready := await self._ready():
            for notification in ready:
                await self._send(notifier, notification)

    async def _ready(self) -> Sequence[Notification]:
        """Return the oldest that may be tried now; those that wait for another try hide none behind them."""
        now = self._clock.now()
        oldest = await self._store.undelivered(AT_ONCE + len(self._not_before))
        return [each for each in oldest if self._not_before.get(each.notification_id, now) <= now]

    async def _wait(self) -> None:
        due = min(self._not_before.values(), default=None)
        seconds = None if due is None else max(0.0, (due - self._clock.now()).total_seconds())
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return

    async def _send(self, notifier: Notifier, notification: Notification) -> None:
        key = notification.notification_id
        try:
            await notifier.send(notification)
        except Transient as error:
            self._attempts[key] = self._attempts.get(key, 0) + 1
            again = self._retry_at(self._attempts[key], notification.at, self._clock.now())
            if again is not None:
                self._not_before[key] = again
                log.warning("notification.retried", notification_id=key, error=str(error))
                return
            await self._give_up(notification, str(error))
        except Terminal as error:
            await self._give_up(notification, str(error))
        else:
            log.info("notification.delivered", notification_id=key, receiver=notifier.name)
            await self._done(key)

    async def _give_up(self, notification: Notification, error: str) -> None:
        self.given_up_total += 1
        log.error(
            "notification.given_up",
            notification_id=notification.notification_id,
            incident_id=notification.incident_id,
            error=error,
        )
        await self._store.mark_given_up(notification.notification_id, self._clock.now())
        self._forget(notification.notification_id)

    async def _done(self, key: str) -> None:
        await self._store.mark_delivered(key, self._clock.now())
        self._forget(key)

    def _forget(self, key: str) -> None:
        self._attempts.pop(key, None)
        self._not_before.pop(key, None)
