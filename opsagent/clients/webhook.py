"""Signed JSON to one receiver, by the Standard Webhooks convention.

The headers ``webhook-id``, ``webhook-timestamp`` and ``webhook-signature`` let the receiver know that
we sent it, when, and whether it has it already: the id is the caller's idempotency key, so a message
sent twice is still one. Redirects are not followed: a signed message goes where it was configured to
go, or nowhere. The address and the secret never appear in a message or a repr: both may be secret.
Source: standardwebhooks.com specification, version 1.
"""

import base64
import datetime as dt
import math
from urllib.parse import urlsplit

import httpx2
from standardwebhooks import Webhook

from opsagent.ports import Terminal, Transient

SECONDS_MAX = 10.0
KEY_BYTES_MIN = 24  # Source: the specification, "between 24 bytes (192 bits) and 64 bytes"
_RETRIED = frozenset({408, 429})


class WebhookClient:
    """One receiver: ``url`` (http or https) and its base64 ``secret``, with or without ``whsec_``.

    Raises:
        Terminal: the address or the secret is not usable.
    """

    def __init__(self, url: str, secret: str, *, seconds_max: float = SECONDS_MAX) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Terminal("the webhook's url must begin with http:// or https:// and name a host")
        self._signer = Webhook(_key(secret))
        self._url = url
        self._host = parts.hostname
        self._client = httpx2.AsyncClient(timeout=seconds_max, follow_redirects=False)

    async def send(self, *, message_id: str, at: dt.datetime, body: bytes) -> None:
        """Send ``body`` (JSON, UTF-8), signed as of ``at``; ``message_id`` is the idempotency key.

        Raises:
            Transient: no answer in time, 408, 429, a redirect or 5xx: the same message may be sent again.
            Terminal: another 4xx: the receiver will never take this.
        """
        at = at.astimezone(dt.UTC)  # the signer would relabel another zone instead of converting it
        headers = {
            "content-type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": str(math.floor(at.timestamp())),
            "webhook-signature": self._signer.sign(message_id, at, body.decode()),
        }
        try:
            request = self._client.stream("POST", self._url, content=body, headers=headers)
            async with request as response:  # what the receiver answers in words is not read
                status = response.status_code
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            raise Transient(f"webhook {self._host}: {type(error).__name__}") from error
        if 200 <= status < 300:  # noqa: PLR2004 - HTTP
            return
        is_refusal = 400 <= status < 500 and status not in _RETRIED  # noqa: PLR2004 - HTTP
        raise (Terminal if is_refusal else Transient)(f"webhook {self._host}: status {status}")

    async def aclose(self) -> None:
        """Close connections."""
        await self._client.aclose()


def _key(secret: str) -> bytes:
    """Return the key; strict, because the signer would skip what is not base64 and sign with the rest."""
    text = secret.strip().removeprefix("whsec_")
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        key = b""
    if len(key) < KEY_BYTES_MIN:
        raise Terminal(f"the webhook's secret must be base64 of {KEY_BYTES_MIN} or more bytes")
    return key
