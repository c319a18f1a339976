"""``ports.AccessReviewer``: who a token belongs to and what that person may do, asked of the API server.

Tokens pass through: they are never kept, logged or put into an error. Whatever the server says but a
clear yes means no; if it cannot be asked, that is ``Transient`` and nothing is decided.
"""

from typing import TypeVar

import msgspec

from opsagent.clients.kube_status import raise_for_status
from opsagent.ports import (
    Conflict,
    Forbidden,
    Gone,
    Identity,
    KubeTransport,
    NotFound,
    Terminal,
    Transient,
)

TOKEN_REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"  # noqa: S105 - a path
ACCESS_REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
GROUP, RESOURCE, VERB = "opsagent.io", "actionrequests", "approve"
TOKEN_CHARACTERS_MAX = 16 * 1024


class _User(msgspec.Struct):
    username: str = ""
    groups: tuple[str, ...] | None = None


class _TokenStatus(msgspec.Struct):
    authenticated: bool = False
    user: _User | None = None


class _TokenReview(msgspec.Struct):
    status: _TokenStatus


class _AccessStatus(msgspec.Struct):
    allowed: bool = False
    denied: bool = False


class _AccessReview(msgspec.Struct):
    status: _AccessStatus


R = TypeVar("R", _TokenReview, _AccessReview)


class KubeReviewer:
    """Reviews with the transport's identity, which needs ``create`` on both kinds of review."""

    def __init__(self, transport: KubeTransport) -> None:
        self._transport = transport

    async def identify(self, token: str) -> Identity | None:
        """Return the identity behind ``token``, None if it is not valid.

        Raises:
            Transient: the server cannot answer, or does not let us ask.
        """
        is_possible = token.isascii() and token.isprintable() and token != ""
        if not is_possible or len(token) > TOKEN_CHARACTERS_MAX:
            return None
        review = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token},
        }
        status = (await self._review(TOKEN_REVIEWS, review, _TokenReview)).status
        if not status.authenticated or status.user is None or not status.user.username:
            return None
        return Identity(status.user.username, status.user.groups or ())

    async def may_approve(self, identity: Identity, namespace: str) -> bool:
        """Return whether ``identity`` may ``approve`` ``actionrequests.opsagent.io`` in ``namespace``.

        Raises:
            Transient: the server cannot answer, or does not let us ask.
        """
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": identity.username,
                "groups": identity.groups,
                "resourceAttributes": {
                    "namespace": namespace,
                    "group": GROUP,
                    "resource": RESOURCE,
                    "verb": VERB,
                },
            },
        }
        status = (await self._review(ACCESS_REVIEWS, review, _AccessReview)).status
        return status.allowed and not status.denied

    async def _review(self, path: str, review: object, answer_type: type[R]) -> R:
        answer = await self._transport.request("POST", path, body=msgspec.json.encode(review))
        try:
            raise_for_status(answer, f"POST {path}")
            return msgspec.json.decode(answer.body, type=answer_type)
        except (Forbidden, NotFound, Conflict, Gone, Terminal) as error:
            raise Transient(f"no review: {error}") from error
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise Transient(f"POST {path}: the answer is no review") from error
