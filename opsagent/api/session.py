"""Who may look at the pages: a one-time link becomes a session, kept in memory and nowhere else.

Theory of operation. The daemon prints a link with a secret. The first browser that opens it gets a session
cookie in exchange, and the link is spent. Of both secrets only the SHA-256 is kept, so a memory dump opens
no door; a restart closes all sessions. A session lets somebody look. It does not say who it is: whoever
decides about a plan sends a cluster token of their own with that one decision.

Each session has a form token as well. It stands in our forms and nowhere else, so a page of another origin,
which can make a browser send the cookie, still cannot fill in the form.

Numbers are bounded: of too many links or sessions the oldest goes.
"""

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field

from opsagent.ports import IdSource

LINK_SECONDS = 3600.0  # printed at the start, opened a coffee later; a fresh one costs one command
SESSION_SECONDS = 12 * 3600.0  # one shift
LINKS_MAX = 16
SESSIONS_MAX = 64


@dataclass(frozen=True, slots=True)
class Session:
    """One browser that was let in. ``ends_at`` is on the monotonic clock."""

    ends_at: float
    form_token: str = field(repr=False)

    def has_form(self, token: str) -> bool:
        """Return whether ``token`` is that of this session's own forms."""
        return hmac.compare_digest(token.encode(), self.form_token.encode())


class Sessions:
    """The open links and sessions of one daemon.

    Args:
        ids: where the secrets come from.
        monotonic: seconds that never go back.
    """

    def __init__(self, ids: IdSource, monotonic: Callable[[], float]) -> None:
        self._ids = ids
        self._monotonic = monotonic
        self._links: dict[bytes, float] = {}
        self._sessions: dict[bytes, Session] = {}

    def link(self) -> str:
        """Return the secret of a fresh link."""
        secret = self._ids.token()
        self._links[_hashed(secret)] = self._monotonic() + LINK_SECONDS
        while len(self._links) > LINKS_MAX:
            del self._links[next(iter(self._links))]
        return secret

    def redeem(self, link: str) -> str | None:
        """Spend a link; return the secret of a new session, None if the link is unknown, spent or too old."""
        ends_at = self._links.pop(_hashed(link), None)
        now = self._monotonic()
        if ends_at is None or ends_at <= now:
            return None
        secret = self._ids.token()
        self._sessions[_hashed(secret)] = Session(now + SESSION_SECONDS, self._ids.token())
        while len(self._sessions) > SESSIONS_MAX:
            del self._sessions[next(iter(self._sessions))]
        return secret

    def find(self, secret: str) -> Session | None:
        """Return the session behind a cookie, None if there is none or it has ended."""
        session = self._sessions.get(_hashed(secret))
        if session is None or session.ends_at > self._monotonic():
            return session
        del self._sessions[_hashed(secret)]
        return None


def _hashed(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
