"""What people are told when opsagent cannot write its state: the one message that goes past the outbox.

The outbox is part of the state, so this one cannot be kept, marked or tried again after a restart. Its id is made
of the install and of the interval that the present instant lies in: a daemon that is started again and again
says it under one id, and receivers that know their ids page once an interval.
"""

import asyncio
import datetime as dt

import structlog

from opsagent.model.alert import Severity
from opsagent.model.canonical import content_id
from opsagent.model.notification import Notification, NotificationReason
from opsagent.ports import Notifier, Terminal, Transient

INTERVAL = dt.timedelta(hours=4)  # Source: Alertmanager, the default of repeat_interval
ATTEMPTS_MAX = 3
RETRY_SECONDS = 2.0
SECONDS_MAX = 15.0  # in all: a pod has 30 s to end, and people may look at its pages meanwhile

log = structlog.get_logger(__name__)


def unwritable(install: str, cluster: str, reason: str, now: dt.datetime) -> Notification:
    """Return the message.

    Args:
        install: what tells this install from others, and is the same after a restart.
        cluster: what people call the cluster.
        reason: what cannot be written and what to do.
        now: the present instant.
    """
    interval = int(now.timestamp() // INTERVAL.total_seconds())
    return Notification(
        notification_id=content_id(
            "ntf", [NotificationReason.UNWRITABLE, install, cluster, interval]
        ),
        incident_id="",
        reason=NotificationReason.UNWRITABLE,
        severity=Severity.CRITICAL,
        title=f"opsagent cannot write its state in {cluster}; it does nothing until that is repaired",
        lines=(
            reason,
            "It sees nothing and acts on nothing meanwhile. Repair it, then start it again.",
        ),
        at=now,
    )


async def tell(notifier: Notifier, message: Notification) -> None:
    """Send ``message`` now, a few times if need be. Whatever comes of it is logged and nothing is raised."""
    try:
        async with asyncio.timeout(SECONDS_MAX):
            for attempt in range(1, ATTEMPTS_MAX + 1):
                if attempt > 1:
                    await asyncio.sleep(RETRY_SECONDS)
                if await _is_over(notifier, message):
                    return
    except TimeoutError:
        log.warning("parting.cut_off", notification_id=message.notification_id)
    log.error("parting.not_delivered", notification_id=message.notification_id)


async def _is_over(notifier: Notifier, message: Notification) -> bool:
    """Try once; return whether another try would be of no use."""
    try:
        await notifier.send(message)
    except Transient as error:
        log.warning("parting.retried", notification_id=message.notification_id, error=str(error))
        return False
    except Terminal as error:
        log.warning("parting.refused", notification_id=message.notification_id, error=str(error))
    else:
        log.info("parting.delivered", notification_id=message.notification_id)
    return True
