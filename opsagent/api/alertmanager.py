"""An Alertmanager -> opsagent: the webhook body of version 4, taken in and stored before the answer.

Alertmanager cannot sign; it sends a bearer token of its own, which opens this path and no other. It tries
again on 5xx and never on 4xx, so what may pass is 503 and only what can never be read is 4xx.
"""

from collections.abc import Awaitable, Callable

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from opsagent.api.inputs import read_body
from opsagent.api.replies import reply
from opsagent.clients.alertmanager_wire import reported
from opsagent.ports import AlertIntake, Terminal

PATH = "/alertmanager"
BODY_BYTES_MAX = 2**20  # 1,000 alerts of the usual size

log = structlog.get_logger(__name__)


def webhook(intake: AlertIntake) -> Callable[[Request], Awaitable[Response]]:
    """Return the endpoint over ``intake``."""

    async def take(request: Request) -> Response:
        try:
            alerts = reported(await read_body(request, BODY_BYTES_MAX))
        except HTTPException:  # too much of it, or too slow
            intake.refuse()
            raise
        except Terminal as error:
            intake.refuse()
            log.warning("alerts.refused", reason=str(error))
            raise HTTPException(400, str(error)) from None
        await intake.take(alerts)
        log.info("alerts.taken", alerts=len(alerts))
        return reply({"taken": len(alerts)})

    return take
