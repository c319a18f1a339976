"""HTTP status of an API server -> the exceptions of ``ports``, once for all Kubernetes clients.

The words of the server travel with the exception for people; they are untrusted, so they are cut and
freed of control characters. Source: API conventions, "HTTP Status codes".
"""

import msgspec

from opsagent.clients.kube_struct import Status
from opsagent.ports import Conflict, Forbidden, Gone, KubeAnswer, NotFound, Terminal, Transient
from opsagent.runtime.retry import RetryLater

MESSAGE_CHARACTERS_MAX = 300

_BY_STATUS: dict[int, type[Exception]] = {
    401: Forbidden,
    403: Forbidden,
    404: NotFound,
    408: Transient,
    409: Conflict,
    410: Gone,
    429: Transient,
}
_SUCCESS = range(200, 300)
_SERVER_ERROR = range(500, 600)


def raise_for_status(answer: KubeAnswer, what: str) -> None:
    """Return if the server did ``what``.

    Raises:
        Forbidden: 401, 403.
        NotFound: 404.
        Conflict: 409.
        Gone: 410.
        Transient: 408, 429 and 5xx; a ``RetryLater`` if the server says in seconds when to come back.
        Terminal: every other refusal, 422 among them.
    """
    if answer.status in _SUCCESS:
        return
    message = f"{what}: {answer.status} {_words(answer.body)}".rstrip()
    if answer.status == 401:  # noqa: PLR2004 - HTTP
        message += " (the server does not know these credentials: a token may have expired)"
    default = Transient if answer.status in _SERVER_ERROR else Terminal
    error = _BY_STATUS.get(answer.status, default)
    after = answer.headers.get("retry-after", "")
    if error is Transient and after.isascii() and after.isdigit():
        raise RetryLater(message, float(after))
    raise error(message)


def _words(body: bytes) -> str:
    """Return reason and message of a ``Status``, or the beginning of whatever else came."""
    try:
        status = msgspec.json.decode(body, type=Status)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        text = body[: 4 * MESSAGE_CHARACTERS_MAX].decode(errors="replace")
    else:
        text = " ".join(part for part in (status.reason, status.message) if part)
    readable = "".join(mark if mark.isprintable() else " " for mark in text)
    return readable[:MESSAGE_CHARACTERS_MAX]
