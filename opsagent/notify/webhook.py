"""The webhook receiver: one notification becomes one signed JSON message with a stable id.

The message id is the notification's id, so a receiver that sees it twice knows it has it already.
Titles and lines quote telemetry, which is untrusted: they leave as plain text, with control and
direction characters replaced, and bounded in number and length. Never markup, never a link taken from
telemetry.
"""

from opsagent.clients.webhook import WebhookClient
from opsagent.model.canonical import JsonValue, canonical, instant
from opsagent.model.notification import Notification
from opsagent.model.printable import printable
from opsagent.ports import Clock

LINES_MAX = 20
LINE_CHARACTERS_MAX = 500


def plain_text(text: str) -> str:
    """Return ``text`` on one line without what cannot be printed, at most 500 characters."""
    short = text if len(text) <= LINE_CHARACTERS_MAX else f"{text[: LINE_CHARACTERS_MAX - 1]}…"
    return printable(short)


def render(notification: Notification, status_url: str = "") -> bytes:
    """Return the JSON body, canonical: same notification, same bytes.

    Args:
        notification: what to tell.
        status_url: where a person finds the daemon's status; left out of the body if empty.
    """
    lines = [plain_text(line) for line in notification.lines[:LINES_MAX]]
    if len(notification.lines) > LINES_MAX:
        lines.append(f"({len(notification.lines) - LINES_MAX} more lines left out)")
    body: dict[str, JsonValue] = {
        "notification_id": notification.notification_id,
        "incident_id": notification.incident_id,
        "reason": notification.reason.value,
        "severity": notification.severity.value,
        "title": plain_text(notification.title),
        "lines": lines,
        "at": instant(notification.at),
    }
    if status_url:
        body["status_url"] = status_url
    return canonical(body)


class WebhookNotifier:
    """``ports.Notifier`` over a signed webhook.

    Raises (send): Transient, Terminal, as the client says.
    """

    def __init__(
        self, name: str, client: WebhookClient, clock: Clock, status_url: str = ""
    ) -> None:
        self._name = name
        self._client = client
        self._clock = clock
        self._status_url = status_url

    @property
    def name(self) -> str:
        """The receiver's name in the configuration."""
        return self._name

    async def send(self, notification: Notification) -> None:
        """Deliver; sending the same notification again sends the same bytes under the same id."""
        await self._client.send(
            message_id=notification.notification_id,
            at=self._clock.now(),  # of this attempt: receivers refuse old stamps as replays
            body=render(notification, self._status_url),
        )
