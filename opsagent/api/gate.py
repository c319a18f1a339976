"""Who gets in: the right host name, and for everything under /v1 the bearer token of this daemon.

The token keeps other users of the same machine out; it is written where only the daemon's own user can read.
The host name is checked because a web page in somebody's browser may name any address it likes, ours
included, but cannot forge the name that the browser then sends (DNS rebinding). The names are those of
loopback: there is no login yet, so nobody answers elsewhere.

The pages have sessions in place of the bearer token, and a check of their own on whatever is posted to them:
see ``is_own_post``. A cookie alone would not do, because browsers send it to a host on every port.
"""

import hmac
from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from opsagent.api.replies import failure

LOOPBACK_NAMES = frozenset({"127.0.0.1", "::1", "localhost"})
BEARER_PATH = "/v1"


def host_name(header: str) -> str:
    """Return the name in a Host header without its port, lower-case; '' if either cannot be read."""
    try:
        parts = urlsplit(f"//{header}")
        is_readable = parts.port != 0
    except ValueError:
        return ""
    return (parts.hostname or "") if is_readable else ""


def is_own_post(headers: Headers) -> bool:
    """Return whether a browser says that the request comes from a page of this very origin.

    ``Origin`` must be there and name the host and port that the request names. ``Sec-Fetch-Site`` must agree
    if it is there; browsers of before 2023 do not send it. Source: Fetch Metadata, section 2.3.
    """
    is_ours = headers.get("origin") == f"http://{headers.get('host', '')}"
    return is_ours and headers.get("sec-fetch-site", "same-origin") == "same-origin"


class Gate:
    """ASGI middleware in front of every path.

    Args:
        app: what is behind the gate.
        token: what ``Authorization: Bearer`` has to carry under /v1.
        others: paths under /v1 that have a token of their own, which opens nothing else.
    """

    def __init__(
        self, app: ASGIApp, token: str, others: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        assert token, "an empty token would let everybody in"
        assert all(others.values()), "an empty token would let everybody in"
        self._app = app
        self._expected = f"Bearer {token}".encode()
        self._others = {path: f"Bearer {each}".encode() for path, each in others.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through or answer it here."""
        headers = Headers(scope=scope)
        if host_name(headers.get("host", "")) not in LOOPBACK_NAMES:
            names = ", ".join(sorted(LOOPBACK_NAMES))
            refusal = failure(421, f"This server answers only under these names: {names}.")
            await refusal(scope, receive, send)
        elif _needs_token(scope["path"]) and not self._knows(scope["path"], headers):
            refusal = failure(
                401,
                "Send the daemon's token as 'Authorization: Bearer ...'; its state folder has it.",
            )
            await refusal(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _knows(self, path: str, headers: Headers) -> bool:
        given = headers.get("authorization", "").encode("latin-1")  # the bytes as they came
        return hmac.compare_digest(given, self._others.get(path, self._expected))


def _needs_token(path: str) -> bool:
    return path == BEARER_PATH or path.startswith(f"{BEARER_PATH}/")
