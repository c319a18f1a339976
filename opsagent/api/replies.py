"""Answers in JSON: canonical bytes, never cached; a failure says what went wrong and what to do."""

from http import HTTPStatus

from starlette.responses import Response

from opsagent.model.canonical import JsonValue, canonical
from opsagent.ports import Conflict, Forbidden, NotFound, Terminal, Transient, Unwritable

STATUS_OF = {
    Transient: 503,
    Terminal: 500,
    Unwritable: 500,
    NotFound: 404,
    Forbidden: 403,
    Conflict: 409,
}
HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


def reply(value: JsonValue, status: int = 200) -> Response:
    """Return ``value`` as a JSON answer."""
    return Response(canonical(value), status, HEADERS, media_type="application/json")


def failure(status: int, message: str) -> Response:
    """Return ``{"error": {"code", "message"}}``; the code is the status in lower_snake."""
    code = HTTPStatus(status).name.lower()
    answer = reply({"error": {"code": code, "message": message}}, status)
    if status == HTTPStatus.UNAUTHORIZED:
        answer.headers["www-authenticate"] = "Bearer"
    return answer
