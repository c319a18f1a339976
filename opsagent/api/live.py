"""News as server-sent events: they say only that something changed, so that a page never moves by itself.

A stream ends when its reader leaves or the daemon stops. Their number is bounded; a tab that nobody looks at
has none.
"""

import asyncio
from collections.abc import AsyncIterator

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from opsagent.api.desk import DeskView
from opsagent.api.inputs import number
from opsagent.api.render import HEADERS

STREAMS_MAX = 16
SILENT_SECONDS = 15.0  # then a comment is sent, which finds out who left
NEWS_MAX = 10**15


class Live:
    """The open streams of one daemon."""

    def __init__(self, view: DeskView) -> None:
        self._view = view
        self._streams = 0

    async def news(self, request: Request) -> Response:
        """Answer ``/news?after=NUMBER&about=INCIDENT`` with a stream."""
        after = number(request.query_params.get("after", ""), NEWS_MAX)
        if after is None:
            raise HTTPException(400, "after: give the number that the page carries.")
        if self._streams >= STREAMS_MAX:
            raise HTTPException(503, "Too many pages listen for news; load this one again.")
        return StreamingResponse(
            self._stream(after, request.query_params.get("about", "")),
            headers=HEADERS,
            media_type="text/event-stream",
        )

    async def _stream(self, after: int, incident_id: str) -> AsyncIterator[str]:
        self._streams += 1
        try:
            newest: int | None = after
            while newest is not None:
                try:
                    async with asyncio.timeout(SILENT_SECONDS):
                        newest = await self._view.wait_news(newest, incident_id)
                except TimeoutError:
                    yield ":\n\n"
                else:
                    yield f"event: news\ndata: {newest}\n\n" if newest is not None else ""
        finally:
            self._streams -= 1
