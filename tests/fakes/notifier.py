"""``ports.Notifier`` in memory: a receiver that fails when told to and knows each message by its id."""

from collections.abc import Iterable

from opsagent.model.notification import Notification


class RecordingNotifier:
    """``received`` has each message once, ``attempts`` every try; ``failures`` are raised first, in order."""

    name = "recording"

    def __init__(self, failures: Iterable[Exception] = ()) -> None:
        self.received: dict[str, Notification] = {}
        self.attempts: list[str] = []
        self._failures = list(failures)

    async def send(self, notification: Notification) -> None:
        self.attempts.append(notification.notification_id)
        if self._failures:
            raise self._failures.pop(0)
        self.received.setdefault(notification.notification_id, notification)
