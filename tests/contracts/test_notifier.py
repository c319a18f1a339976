"""What every receiver of messages promises: the signed webhook over loopback, and the fake in memory."""

import datetime as dt
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from opsagent.clients.webhook import WebhookClient
from opsagent.model.alert import Severity
from opsagent.model.notification import Notification, NotificationReason
from opsagent.notify.webhook import WebhookNotifier
from opsagent.ports import Notifier, Terminal, Transient
from tests.fakes.http_server import Reply, Request, serve
from tests.fakes.notifier import RecordingNotifier

T0 = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOTE = Notification(
    "ntf_1",
    "inc_1",
    NotificationReason.OPENED,
    Severity.CRITICAL,
    "shop/cart crashes",
    ("one", "two"),
    T0,
)
STATUS_OF = {Transient: 503, Terminal: 400}


class FixedClock:
    def now(self) -> dt.datetime:
        return T0 + dt.timedelta(seconds=1)

    def monotonic(self) -> float:
        return 0.0


Ids = Callable[[], list[str]]
Receiver = Callable[[list[Exception]], AbstractAsyncContextManager[tuple[Notifier, Ids]]]


@asynccontextmanager
async def webhook(failures: list[Exception]) -> AsyncIterator[tuple[Notifier, Ids]]:
    """Yield a receiver over HTTP and the message ids that reached it."""
    left = list(failures)

    async def answer(_request: Request) -> Reply:
        return Reply(STATUS_OF[type(left.pop(0))]) if left else Reply(204)

    async with serve(answer) as server:
        client = WebhookClient(server.url, SECRET)
        yield (
            WebhookNotifier("pager", client, FixedClock()),
            lambda: [request.headers["webhook-id"] for request in server.requests],
        )
        await client.aclose()


@asynccontextmanager
async def recording(failures: list[Exception]) -> AsyncIterator[tuple[Notifier, Ids]]:
    notifier = RecordingNotifier(failures)
    yield notifier, lambda: notifier.attempts


receivers = pytest.mark.parametrize("receiver", [webhook, recording])


@receivers
async def test_a_message_arrives_under_its_id(receiver: Receiver) -> None:
    async with receiver([]) as (notifier, ids):
        await notifier.send(NOTE)
        assert ids() == ["ntf_1"]
        assert notifier.name


@receivers
async def test_sent_again_it_has_the_same_id(receiver: Receiver) -> None:
    async with receiver([]) as (notifier, ids):
        await notifier.send(NOTE)
        await notifier.send(NOTE)
        assert set(ids()) == {"ntf_1"}


@receivers
async def test_trouble_that_passes_is_transient(receiver: Receiver) -> None:
    async with receiver([Transient("away")]) as (notifier, ids):
        with pytest.raises(Transient):
            await notifier.send(NOTE)
        await notifier.send(NOTE)
        assert ids() == ["ntf_1", "ntf_1"]


@receivers
async def test_a_refusal_is_terminal(receiver: Receiver) -> None:
    async with receiver([Terminal("never")]) as (notifier, _):
        with pytest.raises(Terminal):
            await notifier.send(NOTE)
