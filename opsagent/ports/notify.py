"""Other people's alerts coming in, our messages going out."""

from typing import Protocol

from opsagent.model.alert import ReportedAlert
from opsagent.model.notification import Notification


class AlertIntake(Protocol):
    """Where somebody else's alerting reports to."""

    async def take(self, alerts: tuple[ReportedAlert, ...]) -> None:
        """Take the alerts in; what follows from them is durable when this returns.

        Raises: Transient when that cannot be now: the sender shall try again.
        """
        ...

    def refuse(self) -> None:
        """Take note of a message that cannot be read."""
        ...


class Notifier(Protocol):
    """One receiver of messages. Raises: Transient (try again), Terminal (it will never take this)."""

    @property
    def name(self) -> str:
        """The receiver's name in the configuration."""
        ...

    async def send(self, notification: Notification) -> None:
        """Deliver; the id is the idempotency key."""
        ...
