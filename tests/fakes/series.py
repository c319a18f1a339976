"""``ports.SeriesSource`` that passes questions on to another one, remembers them, and fails as it is told to."""

import datetime as dt
from collections import deque
from dataclasses import dataclass, field

from opsagent.model.series import Selection, SeriesBlock
from opsagent.ports import SeriesSource


@dataclass
class Troubled:
    """``trouble`` holds how the next questions fail, None is no trouble; ``always`` fails whatever is asked for a selection."""

    inner: SeriesSource
    trouble: deque[Exception | None] = field(default_factory=deque)
    always: dict[Selection, Exception] = field(default_factory=dict)
    asked: list[tuple[str, Selection, dt.datetime, dt.datetime]] = field(default_factory=list)

    async def samples(
        self, selection: Selection, *, start: dt.datetime, end: dt.datetime
    ) -> SeriesBlock:
        self._note("samples", selection, start, end)
        return await self.inner.samples(selection, start=start, end=end)

    async def range(
        self, selection: Selection, *, start: dt.datetime, end: dt.datetime, step: dt.timedelta
    ) -> SeriesBlock:
        self._note("range", selection, start, end)
        return await self.inner.range(selection, start=start, end=end, step=step)

    def _note(self, how: str, selection: Selection, start: dt.datetime, end: dt.datetime) -> None:
        assert start <= end
        self.asked.append((how, selection, start, end))
        failure = self.trouble.popleft() if self.trouble else self.always.get(selection)
        if failure is not None:
            raise failure
