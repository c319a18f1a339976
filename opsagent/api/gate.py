"""Who gets in: the right host name, and for everything but the two probes the bearer token of this daemon.

The token keeps other users of the same machine out; it is written where only the daemon's own user can read.
The host name is checked because a web page in somebody's browser may name any address it likes, ours
included, but cannot forge the name that the browser then sends (DNS rebinding).
"""

import hmac
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from opsagent.api.replies import failure

LOOPBACK_NAMES = frozenset({"127.0.0.1", "::1", "localhost"})
OPEN_PATHS = frozenset({"/healthz", "/readyz"})


def host_name(header: str) -> str:
    """Return the name in a Host header without its port, lower-case; '' if it cannot be read."""
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""


class Gate:
    """ASGI middleware in front of every path.

    Args:
        app: what is behind the gate.
        token: what ``Authorization: Bearer`` has to carry.
        hosts: names that a request may use for this server; empty for any, when it is not on loopback.
    """

    def __init__(self, app: ASGIApp, token: str, hosts: frozenset[str]) -> None:
        assert token, "an empty token would let everybody in"
        self._app = app
        self._expected = f"Bearer {token}".encode()
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through or answer it here."""
        headers = Headers(scope=scope)
        if self._hosts and host_name(headers.get("host", "")) not in self._hosts:
            names = ", ".join(sorted(self._hosts))
            refusal = failure(421, f"This server answers only under these names: {names}.")
            await refusal(scope, receive, send)
        elif scope["path"] not in OPEN_PATHS and not self._knows(headers):
            refusal = failure(
                401,
                "Send the daemon's token as 'Authorization: Bearer ...'; its state folder has it.",
            )
            await refusal(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _knows(self, headers: Headers) -> bool:
        given = headers.get("authorization", "").encode("latin-1")  # the bytes as they came
        return hmac.compare_digest(given, self._expected)
