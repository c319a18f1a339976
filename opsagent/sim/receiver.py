"""A receiver of signed messages, as a person's webhook would be: it checks, remembers and counts.

It verifies by its own arithmetic, not by the sender's library, so that a mistake there would show.
Source: standardwebhooks.com specification, version 1: ``v1,`` and the base64 of HMAC-SHA256 over
``id.timestamp.body``.
"""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Set as AbstractSet
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from opsagent.model.canonical import JsonValue
from opsagent.runtime.serving import serve

HOST = "127.0.0.1"


@dataclass(slots=True)
class Receiver:
    """What arrived. ``messages`` maps idempotency key -> body, in order of first arrival."""

    secret: bytes = field(repr=False)
    messages: dict[str, dict[str, JsonValue]] = field(default_factory=dict)
    repeated_total: int = 0
    refused_total: int = 0
    _news: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    def take(self, message_id: str, timestamp: str, signatures: str, body: bytes) -> int:
        """Return the HTTP status for one message: 204 taken (also again), 401 not by the secret's holder."""
        signed = b".".join((message_id.encode(), timestamp.encode(), body))
        wanted = base64.b64encode(hmac.digest(self.secret, signed, hashlib.sha256)).decode()
        if not any(hmac.compare_digest(f"v1,{wanted}", given) for given in signatures.split()):
            self.refused_total += 1
            return 401
        if message_id in self.messages:
            self.repeated_total += 1
        else:
            self.messages[message_id] = json.loads(body)
            self._news.set()
        return 204

    async def until_taken(self, message_ids: AbstractSet[str], seconds_max: float) -> bool:
        """Wait until all of these messages have arrived; False: not within ``seconds_max``."""
        try:
            async with asyncio.timeout(seconds_max):
                while not self.messages.keys() >= message_ids:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return False
        return True

    @property
    def reasons(self) -> list[str]:
        """Why people were told, in order."""
        return [str(body["reason"]) for body in self.messages.values()]


@asynccontextmanager
async def receiving(receiver: Receiver, port: int = 0) -> AsyncIterator[str]:
    """Serve ``receiver`` on loopback inside the block; yield the address to send to."""

    async def hook(http: Request) -> Response:
        header = http.headers.get
        status = receiver.take(
            header("webhook-id", ""),
            header("webhook-timestamp", ""),
            header("webhook-signature", ""),
            await http.body(),
        )
        return Response(status_code=status)

    app = Starlette(routes=[Route("/hook", hook, methods=["POST"])])
    async with serve(app, HOST, port) as bound:
        yield f"http://{HOST}:{bound}/hook"
